"""The ends of records that have come since the last commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from trio_ingest import (
    Checkpoint,
    DocumentCompleted,
    DocumentFailed,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
    Position,
    SetupError,
)

from ._sink import Batch, Rejection
from ._totals import RecordKey, SinkState, Totals

# Long documents fill the memory before a batch of them has come together.
MOST_CHARACTERS: Final = 8 * 1024 * 1024

_Params = Mapping[str, Any]


@attrs.define(eq=False)
class BatchBuilder:
    """Collects the ends that the next commit is to cover.

    Args:
        batch_size: how many ends are enough for a batch.

    Memory: the documents, and the records of the failed ones.
    """

    _batch_size: int
    # An adapter works on one set of params after another, so an end belongs to those of its
    # adapter's newest start.
    _params: dict[str, _Params] = attrs.field(init=False, factory=dict)
    _completed: list[DocumentCompleted] = attrs.field(init=False, factory=list)
    _failed: list[tuple[DocumentFailed, _Params | None]] = attrs.field(
        init=False, factory=list
    )
    _skipped: list[tuple[DocumentSkipped, _Params | None]] = attrs.field(
        init=False, factory=list
    )
    _characters: int = attrs.field(init=False, default=0)
    _ended: int = attrs.field(init=False, default=0)
    # True when it is time for a commit; asked at every event.
    is_full: bool = attrs.field(init=False, default=False)

    @property
    def ended(self) -> int:
        """The documents completed and failed since the beginning, committed or not."""
        return self._ended + len(self._completed) + len(self._failed)

    def __len__(self) -> int:
        return len(self._completed) + len(self._failed) + len(self._skipped)

    def add(self, event: PipelineEvent) -> None:
        """Keep an event that ends a record; remember the params that a start names."""
        kind = type(event)
        if kind is DocumentStarted:
            self._params[event.adapter] = event.parameters  # type: ignore[attr-defined]
        elif kind is DocumentCompleted:
            document = event.document  # type: ignore[attr-defined]
            content, raw = document.content, document.raw
            self._completed.append(event)  # type: ignore[arg-type]
            # Both are text as a rule, which needs no further call.
            self._characters += len(content) if type(content) is str else 0
            self._characters += len(raw) if type(raw) is str else _characters_in(raw)
            others = len(self._failed) + len(self._skipped)
            if (
                len(self._completed) + others >= self._batch_size
                or self._characters >= MOST_CHARACTERS
            ):
                self.is_full = True
        elif kind is DocumentFailed:
            params = self._params.get(event.adapter)  # type: ignore[attr-defined]
            self._failed.append((event, params))  # type: ignore[arg-type]
            self._grow(_characters_in(event.raw))  # type: ignore[attr-defined]
        elif kind is DocumentSkipped:
            params = self._params.get(event.adapter)  # type: ignore[attr-defined]
            self._skipped.append((event, params))  # type: ignore[arg-type]
            self._grow(0)
        else:
            self._check_other(event)

    def _check_other(self, event: PipelineEvent) -> None:
        if isinstance(event, DocumentCompleted | DocumentFailed | DocumentSkipped):
            raise SetupError(
                f"The stream gives {type(event).__name__} objects, which are ends of a record "
                f"that the engine did not make. Give deliver a stream without "
                f"event_transformer."
            )
        if not isinstance(event, PipelineEvent):
            raise SetupError(
                f"The stream gives {type(event).__name__} objects instead of events, so "
                f"nothing of it could be delivered. Give deliver a stream without "
                f"event_transformer."
            )

    def _grow(self, characters: int) -> None:
        self._characters += characters
        if len(self) >= self._batch_size or self._characters >= MOST_CHARACTERS:
            self.is_full = True

    def without(
        self, stored: Checkpoint, now: Checkpoint
    ) -> tuple[BatchBuilder, list[DocumentCompleted]]:
        """Return a copy that lacks what ``stored`` covers, where record numbers tell.

        They do where they named the same records then that they name now.

        Args:
            stored: the checkpoint of a sink.
            now: covers what is pending, and all before.

        Returns:
            the copy, and the documents that it lacks.
        """
        positions: dict[tuple[str, int], tuple[Position | None, Position | None]] = {}

        def is_new(adapter: str, params: _Params | None, record_number: int) -> bool:
            # By identity: an adapter run has one mapping for all of its events.
            key = adapter, id(params)
            if key not in positions:
                positions[key] = (
                    _position(stored, adapter, params),
                    _position(now, adapter, params),
                )
            then, today = positions[key]
            return (
                then is None
                or today is None
                or not (then.stable_order and today.stable_order)
                or not then.covers(record_number)
            )

        rest, held = BatchBuilder(self._batch_size), []
        for event in self._completed:
            run = event.adapter_metadata
            if is_new(run["adapter"], run["parameters"], event.record_number):
                rest._completed.append(event)
            else:
                held.append(event)
        rest._failed = [
            (event, params)
            for event, params in self._failed
            if is_new(event.adapter, params, event.record_number)
        ]
        rest._skipped = [
            (event, params)
            for event, params in self._skipped
            if is_new(event.adapter, params, event.record_number)
        ]
        return rest, held

    def batch(
        self,
        checkpoint: Checkpoint,
        state: SinkState | None,
        rejected: Sequence[Rejection],
        known: frozenset[RecordKey],
    ) -> Batch:
        """Return what is pending as a sink gets it.

        Args:
            checkpoint: covers it, and all that the sink has.
            state: of the sink; None before its first batch.
            rejected: documents that the sinks before it did not take.
            known: rejected records that the sink's state goes on naming.
        """
        if rejected:
            held = {id(event.document) for event in self._completed}
            rejected = [one for one in rejected if id(one.document) in held]
        return Batch(
            checkpoint=checkpoint,
            completed=tuple(self._completed),
            failed=tuple(event for event, _ in self._failed),
            skipped=tuple(event for event, _ in self._skipped),
            before=Totals() if state is None else state.totals,
            rejected=rejected,
            previous=None if state is None else state.checkpoint,
            known=known,
        )

    def clear(self) -> None:
        """Forget what was committed."""
        self._ended += len(self._completed) + len(self._failed)
        self._completed, self._failed, self._skipped = [], [], []
        self._characters = 0
        self.is_full = False


def _position(checkpoint: Checkpoint, adapter: str, params: _Params | None) -> Position | None:
    """Return the position that an end belongs to; None when nothing tells which it is."""
    if params is not None:
        return checkpoint.position(adapter, params)
    # No start was seen: the caller's filter hides them.
    of_adapter = [p for p in checkpoint.positions if p.source == adapter]
    return of_adapter[0] if len(of_adapter) == 1 else None


def _characters_in(value: object) -> int:
    """Return the length of a text, or of those that a record is made of; else 0."""
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, tuple):
        return sum(len(part) for part in value if isinstance(part, str | bytes))
    return 0
