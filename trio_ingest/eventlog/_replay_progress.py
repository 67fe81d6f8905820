"""The progress of a replay: acknowledged events, as a checkpoint of the original run.

A checkpoint in the log covers exactly the ends before it. The ends since then are added,
so that a sink may commit between two of them, as it does with a real stream.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from trio_ingest import (
    BatchProgress,
    Checkpoint,
    CheckpointError,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
    Position,
    SetupError,
)
from trio_ingest._core.positions import claimed_by, with_claims
from trio_ingest._core.ranges import Ranges, difference, split_at_watermark, union

from ._adapter_runs import Key, KeyCache


class ReplayProgress:
    """Follows the events that a consumer acknowledges, in order.

    Memory: O(in flight), and a number for each adapter run.
    """

    def __init__(self) -> None:
        self._positions: dict[Key, Position] = {}
        # Ended since the newest checkpoint.
        self._ended: dict[Key, Ranges] = {}
        self._newest: dict[str, Key] = {}
        self._keys = KeyCache()
        self._pipeline_id: str | None = None
        self._sequence = 0
        self.has_checkpoint = False
        self.has_gap = False
        self.is_several = False
        self.completed = self.failed = self.skipped = self.retried = 0
        self.progress: BatchProgress | None = None

    @property
    def has_begun(self) -> bool:
        """True after the first event."""
        return self._pipeline_id is not None

    def take(self, event: PipelineEvent) -> None:
        """Take note that the consumer has acknowledged an event."""
        if event.pipeline_id != self._pipeline_id:
            self.is_several = self.has_begun
            self._pipeline_id, self._sequence = event.pipeline_id, 0
        if event.sequence != self._sequence:
            self.has_gap = True
        self._sequence = event.sequence + 1
        if isinstance(event, DocumentStarted):
            key = self._keys.key_of(event.adapter, event.parameters)
            self._newest[event.adapter] = key
            self._ended.setdefault(key, [])
        elif isinstance(event, DocumentCompleted):
            self.completed += 1
            metadata = event.adapter_metadata
            adapter, parameters = metadata.get("adapter", ""), metadata.get("parameters", {})
            self._end(self._keys.key_of(adapter, parameters), event.record_number)
        elif isinstance(event, DocumentFailed | DocumentSkipped):
            self.failed += isinstance(event, DocumentFailed)
            self.skipped += isinstance(event, DocumentSkipped)
            newest = self._newest.get(event.adapter)
            if newest is not None:
                self._end(newest, event.record_number)
        elif isinstance(event, DocumentRetrying):
            self.retried += 1
        elif isinstance(event, BatchProgress):
            self.progress = event
            if event.checkpoint is not None:
                self._begin(event.checkpoint)
                self.has_checkpoint = True

    def resumed_from(self, first: Checkpoint | None) -> Checkpoint | None:
        """Return what the run had from an earlier one; None when it began at the beginning.

        Args:
            first: the first checkpoint of the run, before it is acknowledged.
        """
        if first is None:
            return None
        rests = [self._without_ours(position) for position in first.positions]
        if all(not p.watermark and not p.ended for p in rests):
            return None
        return attrs.evolve(first, positions=tuple(rests))

    def begin(self, resumed_from: Checkpoint | None, first: Checkpoint | None) -> None:
        """Set what checkpoints cover, besides new ends, until the log has one.

        Args:
            resumed_from: the checkpoint of an earlier run, if there was one.
            first: a checkpoint whose positions, without their progress, serve otherwise.
        """
        if resumed_from is not None:
            self._begin(resumed_from)
        elif first is not None:
            self._begin(
                attrs.evolve(
                    first,
                    positions=tuple(
                        Position(p.source, p.parameters, stable_order=p.stable_order)
                        for p in first.positions
                    ),
                )
            )

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint that covers what has been acknowledged.

        Raises:
            CheckpointError: events are missing in the log.
            SetupError: the events are of several runs.
        """
        if self.is_several:
            raise SetupError(
                "The log holds several runs, each with checkpoints of its own. Replay them "
                "one after another: replay(path, run=...) with each pipeline_id that "
                "recorded_runs(path) gives."
            )
        if self.has_gap:
            raise CheckpointError(
                "The log has gaps: a filter was at work when it was recorded, or it is "
                "damaged. What its checkpoints claim may not be in it, so no sink could be "
                "resumed from them. Record a stream without event_filter; or take the "
                "documents in a loop of your own."
            )
        keys: Iterable[Key] = {**self._positions, **self._ended}
        return Checkpoint(tuple(self._position(key) for key in keys))

    def _position(self, key: Key) -> Position:
        position = self._positions.get(key, Position(*key))
        return with_claims(position, union(claimed_by(position), self._ended.get(key, [])))

    def _begin(self, checkpoint: Checkpoint) -> None:
        self._positions = {(p.source, p.parameters): p for p in checkpoint.positions}
        self._ended = {}

    def _without_ours(self, position: Position) -> Position:
        key = position.source, position.parameters
        rest = difference(claimed_by(position), self._ended.get(key, []))
        watermark, _ = split_at_watermark(rest)
        cursor_record = position.cursor_record
        passed = cursor_record is not None and cursor_record <= watermark
        return with_claims(
            position,
            rest,
            cursor=position.cursor if passed else None,
            cursor_record=cursor_record if passed else None,
            finished=position.finished and not self._ended.get(key) and watermark > 0,
        )

    def _end(self, key: Key, number: int) -> None:
        ended = self._ended.setdefault(key, [])
        if ended and ended[-1][1] == number:
            ended[-1] = (ended[-1][0], number + 1)
        else:
            self._ended[key] = union(ended, [(number, number + 1)])
