"""What the book of a run knows of one adapter run, and what a checkpoint may claim of it.

Ends wait here with the sequence of their event, in order, until that event is
acknowledged. A checkpoint claims only what was; but one that travels inside a progress
event may claim all of them, since whoever has that event has asked for it, and so
acknowledged everything before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from .checkpoints import Checkpoint
from .errors import CheckpointError, EngineBug, SetupError, shortened
from .positions import Position, snapshot_of
from .ranges import size
from .watermark import Watermark


@attrs.frozen
class Failure:
    """The fact that an attempt failed."""

    error: Exception
    error_type: str
    traceback: str | None
    is_retryable: bool


@attrs.frozen
class Skip:
    """The fact that a parsed document is done already."""

    doc_id: str
    reason: str


class AdapterRun:
    """What the book knows of one adapter run: one adapter with one set of params."""

    __slots__ = (
        "acknowledged",
        "custom_events_emitted",
        "custom_events_fetched",
        "done_before",
        "finished",
        "finished_at",
        "held_cursors",
        "metadata",
        "next_record",
        "open",
        "parameters",
        "parameters_key",
        "resumed_until",
        "source",
        "stable_order",
        "unacknowledged",
        "waiting_cursors",
    )

    def __init__(
        self,
        source: str,
        parameters: dict[str, Any],
        parameters_key: str,
        watermark: Watermark | None = None,
        *,
        first_record: int = 0,
        finished: bool = False,
        stable_order: bool = False,
    ) -> None:
        self.source = source
        self.parameters = parameters
        self.parameters_key = parameters_key
        self.metadata: Mapping[str, Any] = {"adapter": source, "parameters": parameters}
        self.acknowledged = watermark or Watermark()
        self.next_record = first_record
        # Records below this may have ended in an earlier run.
        ended = self.acknowledged.ended
        self.resumed_until = ended[-1][1] if ended else self.acknowledged.low
        # For the ETA: what was done before this run began is no part of its pace.
        self.done_before = self.acknowledged.low + size(ended)
        self.finished = finished
        self.stable_order = stable_order
        # How many events the consumer must have acknowledged before `finished` may be
        # claimed: an adapter's own events may come after its last record.
        self.finished_at = 0
        self.open: set[int] = set()
        self.unacknowledged: deque[tuple[int, int]] = deque()
        self.waiting_cursors: deque[tuple[int, int, Any]] = deque()
        # Cursors behind an event of the adapter's own that waits in the window: they cover
        # it, so they may not be noted before it has a sequence.
        self.custom_events_fetched = self.custom_events_emitted = 0
        self.held_cursors: deque[tuple[int, int, Any]] = deque()

    def not_open(self, record_number: int) -> EngineBug:
        """Return the error for an end or a retry of a record that is not open."""
        return EngineBug(
            f"Record {record_number} of {self.source!r} is not open, so it can neither "
            f"end nor be retried. Please report this with the stream's events."
        )

    def check_end(self) -> None:
        """Refuse an end that comes before what an earlier run had of it.

        Raises:
            CheckpointError: it is not the source that the checkpoint was made with.
        """
        if self.next_record < self.resumed_until:
            raise CheckpointError(
                f"The adapter {self.source!r} came to its end after {self.next_record:,} "
                f"records, and the checkpoint has had {self.resumed_until:,} of them, so this "
                f"is not the whole of what it was. Bring that back and resume again, or "
                f"start again without the checkpoint."
            )

    def cursor_yielded(self, sequence: int, value: Any) -> None:
        """Note a cursor that covers all events up to ``sequence``, and custom ones that wait.

        Raises:
            SetupError: when JSON has no form for the value.
        """
        try:
            value = snapshot_of(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise SetupError(
                f"The adapter {self.source!r} yielded a Cursor whose value has no JSON form "
                f"({error}): {shortened(value)}. Use numbers, strings, lists and mappings."
            ) from error
        if self.custom_events_fetched == self.custom_events_emitted:
            self.waiting_cursors.append((sequence, self.next_record, value))
        else:
            self.held_cursors.append((self.custom_events_fetched, self.next_record, value))

    def custom_event_emitted(self, sequence: int) -> None:
        """The oldest own event that waited was emitted with this sequence."""
        self.custom_events_emitted += 1
        held = self.held_cursors
        while held and held[0][0] <= self.custom_events_emitted:
            _, record_number, value = held.popleft()
            self.waiting_cursors.append((sequence, record_number, value))

    def position(self, watermark: Watermark) -> Position:
        """This adapter run as a checkpoint holds it, taken as far as ``watermark`` says."""
        return Position(
            source=self.source,
            parameters=self.parameters_key,
            watermark=watermark.low,
            ended=watermark.ended,
            cursor=watermark.cursor,
            cursor_record=watermark.cursor_record,
            finished=self.finished and not self.open,
            stable_order=self.stable_order,
        )


def acknowledge(adapter_runs: Sequence[AdapterRun], acknowledged: int) -> None:
    """Count as ended what events with a lower sequence than ``acknowledged`` said."""
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
    """Claims what has been settled, and nothing that still waits."""
    positions = []
    for adapter_run in adapter_runs:
        position = adapter_run.position(adapter_run.acknowledged)
        if adapter_run.unacknowledged or acknowledged < adapter_run.finished_at:
            position = attrs.evolve(position, finished=False)
        positions.append(position)
    return Checkpoint(tuple(positions))


def emitted_checkpoint(adapter_runs: Sequence[AdapterRun]) -> Checkpoint:
    """Claims every end that was emitted: for the progress event that follows them."""
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
