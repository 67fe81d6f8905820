"""State of one adapter run, and the positions that a checkpoint may have of it.

Ends wait here with the sequence of their event, in order, until that event is acknowledged.
A checkpoint claims the acknowledged ones alone. One that travels inside a progress event may
claim all that were emitted, since a consumer that has received that event has asked for it,
and so has acknowledged everything before it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any

import attrs

from .checkpoints import Checkpoint
from .errors import CheckpointError, EngineBug, SetupError, abbreviated
from .positions import Position, snapshot_of
from .ranges import size
from .watermark import Watermark


@attrs.frozen
class Failure:
    """An attempt that failed, in words: the exception itself is not kept."""

    error: str
    error_type: str
    traceback: str | None
    is_retryable: bool


@attrs.frozen
class Skip:
    """A parsed document that is done already."""

    doc_id: str
    reason: str


@attrs.define(eq=False, repr=False)
class AdapterRun:
    """The state of one adapter run: one adapter with one set of params.

    Memory: O(in flight + unacknowledged events), and at most 64 cursors that wait for the
    records before them.
    """

    source: str
    parameters: dict[str, Any]
    parameters_key: str
    acknowledged: Watermark = attrs.field(factory=Watermark, alias="watermark")
    next_record: int = attrs.field(default=0, kw_only=True, alias="first_record")
    finished: bool = attrs.field(default=False, kw_only=True)
    stable_order: bool = attrs.field(default=False, kw_only=True)
    # So many events the consumer must have acknowledged before `finished` may be claimed:
    # an adapter's own events may come after its last record.
    finished_at: int = attrs.field(default=0, init=False)
    # Of the parameters, a copy that events carry: who changes it changes no fetch.
    metadata: Mapping[str, Any] = attrs.field(init=False)
    # Records below this may have ended in an earlier run.
    resumed_until: int = attrs.field(init=False)
    # For the ETA: the rate of this run has no part of what was done before it began.
    done_before: int = attrs.field(init=False)
    open: set[int] = attrs.field(factory=set, init=False)
    unacknowledged: deque[tuple[int, int]] = attrs.field(factory=deque, init=False)
    waiting_cursors: deque[tuple[int, int, Any]] = attrs.field(factory=deque, init=False)
    # Cursors behind a custom event that waits in the window: they cover it, so they may not
    # be noted before it has a sequence.
    held_cursors: deque[tuple[int, int, Any]] = attrs.field(factory=deque, init=False)
    custom_events_fetched: int = attrs.field(default=0, init=False)
    custom_events_emitted: int = attrs.field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        self.metadata = {"adapter": self.source, "parameters": deepcopy(self.parameters)}
        low, ended = self.acknowledged.low, self.acknowledged.ended
        self.resumed_until = ended[-1][1] if ended else low
        self.done_before = low + size(ended)

    def not_open(self, record_number: int) -> EngineBug:
        """Return the error for an end or a retry of a record that is not open."""
        return EngineBug(
            f"Record {record_number} of {self.source!r} is not open, so it can neither "
            f"end nor be retried. Please report this with the stream's events."
        )

    def check_end(self) -> None:
        """Refuse an end of the source that comes before the end of an earlier run.

        Raises:
            CheckpointError: when it is not the source that the checkpoint was made with.
        """
        if self.next_record < self.resumed_until:
            raise CheckpointError(
                f"The adapter {self.source!r} came to its end after {self.next_record:,} "
                f"records, and the checkpoint has had {self.resumed_until:,} of them, so this "
                f"is not the whole of what it was. Bring that back and resume again, or "
                f"start again without the checkpoint."
            )

    def cursor_yielded(self, sequence: int, value: Any) -> None:
        """Note a cursor; it covers the events up to ``sequence`` and custom ones that wait.

        Raises:
            SetupError: when JSON has no form for the value, or it is None.
        """
        if value is None:
            raise SetupError(
                f"The adapter {self.source!r} yielded Cursor(None), and fetch(cursor=None) "
                f"begins at the start. Behind the last page there is nothing to go on from: "
                f"yield no cursor there, and let fetch end."
            )
        try:
            value = snapshot_of(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise SetupError(
                f"The adapter {self.source!r} yielded a Cursor whose value has no JSON form "
                f"({error}): {abbreviated(value)}. Use numbers, strings, lists and mappings."
            ) from error
        if self.custom_events_fetched == self.custom_events_emitted:
            self.waiting_cursors.append((sequence, self.next_record, value))
        else:
            self.held_cursors.append((self.custom_events_fetched, self.next_record, value))

    def custom_event_emitted(self, sequence: int) -> None:
        """Note that the oldest custom event that waited was emitted with this sequence."""
        self.custom_events_emitted += 1
        held = self.held_cursors
        while held and held[0][0] <= self.custom_events_emitted:
            _, record_number, value = held.popleft()
            self.waiting_cursors.append((sequence, record_number, value))

    def cursor_to_resume(self) -> Any:
        """Return a copy of the value to go on from, which the adapter may change."""
        return snapshot_of(self.acknowledged.cursor)

    def position(self, watermark: Watermark) -> Position:
        """Return the position of this adapter run, as far as ``watermark`` says."""
        return Position(
            source=self.source,
            parameters=self.parameters_key,
            watermark=watermark.low,
            ended=watermark.ended,
            cursor=snapshot_of(watermark.cursor),
            cursor_record=watermark.cursor_record,
            finished=self.finished and not self.open,
            stable_order=self.stable_order,
        )


def acknowledge(adapter_runs: Sequence[AdapterRun], acknowledged: int) -> None:
    """Count as ended the records whose end has a lower sequence than ``acknowledged``."""
    for adapter_run in adapter_runs:
        waiting = adapter_run.unacknowledged
        if waiting and waiting[0][0] < acknowledged:
            end, popleft = adapter_run.acknowledged.end, waiting.popleft
            while waiting and waiting[0][0] < acknowledged:
                end(popleft()[1])
        cursors = adapter_run.waiting_cursors
        while cursors and cursors[0][0] < acknowledged:
            _, record_number, value = cursors.popleft()
            adapter_run.acknowledged.place_cursor(record_number, value)


def acknowledged_checkpoint(
    adapter_runs: Sequence[AdapterRun], acknowledged: int
) -> Checkpoint:
    """Return a checkpoint that claims the acknowledged ends, and none that still waits."""
    positions = []
    for adapter_run in adapter_runs:
        position = adapter_run.position(adapter_run.acknowledged)
        if adapter_run.unacknowledged or acknowledged < adapter_run.finished_at:
            position = attrs.evolve(position, finished=False)
        positions.append(position)
    return Checkpoint(tuple(positions))


def emitted_checkpoint(adapter_runs: Sequence[AdapterRun]) -> Checkpoint:
    """Return a checkpoint of all ends so far, for the progress event that follows them."""
    positions = []
    for adapter_run in adapter_runs:
        watermark = adapter_run.acknowledged
        if adapter_run.unacknowledged or adapter_run.waiting_cursors:
            watermark = watermark.copy()
            for _, record_number in adapter_run.unacknowledged:
                watermark.end(record_number)
            for _, record_number, value in adapter_run.waiting_cursors:
                watermark.place_cursor(record_number, value)
        positions.append(adapter_run.position(watermark))
    return Checkpoint(tuple(positions))
