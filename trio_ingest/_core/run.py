"""The state machine of one run: facts in, events out.

Everything that a stream says is decided here, and nothing else is: no I/O, no ``await``, no
clock. The engine reports each fact with one call and gets the event to emit, already
numbered; so it must emit the event before it reports the next fact. The consumer receives
events in the order of their ``sequence``, so all that is acknowledged is one number, and
nothing is noted when an event is delivered.

Three rules live only here. Each record is started once and ended once. A checkpoint covers
only ends whose sequence the consumer has acknowledged, or, inside a progress event, only
ends with a lower sequence than that event. The states of an adapter follow ``NEXT_STATES``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

from .adapter_run import (
    AdapterRun,
    Failure,
    Skip,
    acknowledge,
    acknowledged_checkpoint,
    emitted_checkpoint,
)
from .checkpoints import Checkpoint
from .documents import Document
from .errors import EngineBug
from .events import (
    AdapterState,
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
    build_completed,
    build_failed,
    build_progress,
    build_retrying,
    build_skipped,
    build_started,
    build_state_change,
)
from .progress import RateEstimator

# After this many documents (two events each) a task must let others run, so that none
# emits more than 100 events without a cancellation point.
BURST_DOCUMENTS = 50

# The states that may follow each; an adapter begins as pending.
NEXT_STATES: Final[Mapping[AdapterState, tuple[AdapterState, ...]]] = {
    "pending": ("running", "cancelled"),
    "running": ("paused", "draining", "finished", "failed", "cancelled"),
    "paused": ("running", "draining", "failed", "cancelled"),
    "draining": ("finished", "failed", "cancelled"),
    "finished": (),
    "failed": (),
    "cancelled": (),
}


@attrs.define(eq=False, repr=False)
class Run:
    """The state of one run.

    Args:
        pipeline_id: goes into every event.
        adapter_runs: in the order of the pipeline's adapters and the run's params.
        now: the runtime's clock at the start, in seconds.
    """

    pipeline_id: str
    adapter_runs: Sequence[AdapterRun]
    progress_at: float = attrs.field(alias="now")
    buffer_size: int = attrs.field(kw_only=True)
    progress_interval: int = attrs.field(kw_only=True)
    checkpoint_interval: int = attrs.field(kw_only=True)
    estimated_total: int | None = attrs.field(kw_only=True)
    sequence: int = attrs.field(default=0, init=False)
    completed_count: int = attrs.field(default=0, init=False)
    failed_count: int = attrs.field(default=0, init=False)
    skipped_count: int = attrs.field(default=0, init=False)
    retried_count: int = attrs.field(default=0, init=False)
    fetch_seconds: float = attrs.field(default=0.0, init=False)
    parse_seconds: float = attrs.field(default=0.0, init=False)
    consumer_seconds: float = attrs.field(default=0.0, init=False)
    throttle_seconds: float = attrs.field(default=0.0, init=False)
    states: dict[str, AdapterState] = attrs.field(factory=dict, init=False)
    ends_until_upkeep: int = attrs.field(default=0, init=False)
    _resumed_count: int = attrs.field(default=0, init=False)
    _ended_at_progress: int = attrs.field(default=0, init=False)
    _ended_at_checkpoint: int = attrs.field(default=0, init=False)
    _rate: RateEstimator = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rate = RateEstimator(self.progress_at)
        self.schedule_upkeep()

    # -- facts about one record ------------------------------------------------

    def started(
        self, adapter_run: AdapterRun, record_number: int, doc_id: str, timestamp: float
    ) -> DocumentStarted:
        """Start a record: work on it is about to begin."""
        if record_number in adapter_run.open:
            raise EngineBug(f"Record {record_number} was started twice. Please report this.")
        sequence = self.sequence
        self.sequence = sequence + 1
        adapter_run.open.add(record_number)
        return build_started(
            timestamp,
            self.pipeline_id,
            sequence,
            doc_id,
            adapter_run.source,
            adapter_run.metadata["parameters"],
            record_number,
        )

    def completed(
        self,
        adapter_run: AdapterRun,
        record_number: int,
        document: Document,
        duration: float,
        retry_count: int,
        timestamp: float,
    ) -> DocumentCompleted:
        """End a record that became a document."""
        sequence = self.sequence
        self.sequence = sequence + 1
        self.completed_count += 1
        self.ends_until_upkeep -= 1
        try:
            adapter_run.open.remove(record_number)
        except KeyError:
            raise adapter_run.not_open(record_number) from None
        adapter_run.unacknowledged.append((sequence, record_number))
        return build_completed(
            timestamp,
            self.pipeline_id,
            sequence,
            document,
            duration,
            adapter_run.metadata,
            record_number,
            retry_count,
        )

    def failed(
        self,
        adapter_run: AdapterRun,
        record_number: int,
        failure: Failure,
        doc_id: str | None,
        record: Any,
        retry_count: int,
        timestamp: float,
    ) -> DocumentFailed:
        """End a record that could not become a document."""
        sequence = self._end(adapter_run, record_number)
        self.failed_count += 1
        return build_failed(
            timestamp,
            self.pipeline_id,
            sequence,
            doc_id,
            failure.error,
            failure.error_type,
            retry_count,
            failure.is_retryable,
            failure.traceback,
            adapter_run.source,
            record_number,
            record,
        )

    def skipped(
        self, adapter_run: AdapterRun, record_number: int, skip: Skip, timestamp: float
    ) -> DocumentSkipped:
        """End a record whose document is done already, as parsing it has shown."""
        sequence = self._end(adapter_run, record_number)
        self.skipped_count += 1
        return build_skipped(
            timestamp,
            self.pipeline_id,
            sequence,
            skip.doc_id,
            adapter_run.source,
            record_number,
            skip.reason,
        )

    def retrying(
        self,
        adapter_run: AdapterRun,
        record_number: int,
        failure: Failure,
        doc_id: str,
        retry_count: int,
        delay_seconds: float,
        timestamp: float,
    ) -> DocumentRetrying:
        """Announce that an attempt has failed and another will follow."""
        if record_number not in adapter_run.open:
            raise adapter_run.not_open(record_number)
        self.retried_count += 1
        return build_retrying(
            timestamp,
            self.pipeline_id,
            self._next_sequence(),
            doc_id,
            adapter_run.source,
            failure.error,
            failure.error_type,
            retry_count,
            delay_seconds,
            record_number,
        )

    def already_done(
        self, adapter_run: AdapterRun, record_number: int, *, resumed: bool = False
    ) -> None:
        """Pass over a record that is known to be done before any work: no event."""
        self.skipped_count += 1
        self._resumed_count += resumed
        self.ends_until_upkeep -= 1
        # It was acknowledged in an earlier run, so it needs to wait for nothing.
        adapter_run.acknowledged.end(record_number)

    # -- facts about an adapter --------------------------------------------------

    def state_changed(
        self, source: str, new_state: AdapterState, timestamp: float, reason: str | None = None
    ) -> AdapterStateChange:
        """Move an adapter to its next state."""
        old_state = self.state_of(source)
        if new_state not in NEXT_STATES[old_state]:
            raise EngineBug(
                f"The adapter {source!r} is {old_state} and cannot be {new_state} next. "
                f"Please report this with the stream's events."
            )
        self.states[source] = new_state
        return build_state_change(
            timestamp,
            self.pipeline_id,
            self._next_sequence(),
            source,
            old_state,
            new_state,
            reason,
        )

    def state_of(self, source: str) -> AdapterState:
        """Return the state that an adapter is in."""
        return self.states.get(source, "pending")

    def cursor_yielded(self, adapter_run: AdapterRun, value: Any) -> None:
        """Note that ``value`` covers everything before the next record.

        Raises:
            SetupError: when JSON has no form for the value.
        """
        # It also covers the adapter's own events, so it waits until they are acknowledged.
        adapter_run.cursor_yielded(self.sequence - 1, value)
        self.ends_until_upkeep -= 1

    def custom_event(self, event: PipelineEvent, timestamp: float) -> PipelineEvent:
        """Give an adapter's own event its place in the stream, as a stamped copy."""
        stamped = copy.copy(event)
        object.__setattr__(stamped, "timestamp", timestamp)
        object.__setattr__(stamped, "pipeline_id", self.pipeline_id)
        object.__setattr__(stamped, "sequence", self._next_sequence())
        self.ends_until_upkeep -= 1
        return stamped

    # -- progress and checkpoints --------------------------------------------------

    @property
    def ended_count(self) -> int:
        """The records that have ended, in any way."""
        return self.completed_count + self.failed_count + self.skipped_count

    @property
    def in_flight(self) -> int:
        """The documents that were started and have not ended."""
        return sum(len(adapter_run.open) for adapter_run in self.adapter_runs)

    def schedule_upkeep(self) -> None:
        """Set how many documents may end before upkeep is due again."""
        ended = self.ended_count
        self.ends_until_upkeep = min(
            BURST_DOCUMENTS,
            self.progress_interval - (ended - self._ended_at_progress),
            self.checkpoint_interval - (ended - self._ended_at_checkpoint),
        )

    def progress_is_due(self) -> bool:
        """Return whether enough documents ended for a progress event or a checkpoint."""
        ended = self.ended_count
        return (
            ended - self._ended_at_progress >= self.progress_interval
            or ended - self._ended_at_checkpoint >= self.checkpoint_interval
        )

    def progress(
        self, now: float, timestamp: float, queue_depth: int, *, checkpoint: bool = False
    ) -> BatchProgress:
        """Report progress, with a checkpoint when asked or when one is due."""
        ended = self.ended_count
        if ended - self._ended_at_checkpoint >= self.checkpoint_interval:
            checkpoint = True
        if checkpoint:
            self._ended_at_checkpoint = ended
        self._ended_at_progress = ended
        self.progress_at = now
        self._rate.mark(now, ended - self._resumed_count)
        done_before = sum(adapter_run.done_before for adapter_run in self.adapter_runs)
        return build_progress(
            timestamp,
            self.pipeline_id,
            self._next_sequence(),
            self.completed_count,
            self.failed_count,
            self.in_flight,
            self.estimated_total,
            self._rate.eta_seconds(self.estimated_total, done_before),
            self.skipped_count,
            queue_depth,
            self.buffer_size,
            self.fetch_seconds,
            self.parse_seconds,
            self.consumer_seconds,
            self.throttle_seconds,
            emitted_checkpoint(self.adapter_runs) if checkpoint else None,
        )

    @property
    def has_new_ends(self) -> bool:
        """True when a record has ended since the last checkpoint was minted."""
        return self.ended_count != self._ended_at_checkpoint

    def acknowledge(self, acknowledged: int) -> None:
        """Note that the consumer has acknowledged every event with a lower sequence."""
        acknowledge(self.adapter_runs, acknowledged)

    def checkpoint(self, acknowledged: int) -> Checkpoint:
        """Return a checkpoint that covers exactly what has been acknowledged, now."""
        acknowledge(self.adapter_runs, acknowledged)
        return acknowledged_checkpoint(self.adapter_runs, acknowledged)

    def exhausted(self, adapter_run: AdapterRun) -> None:
        """Note that an adapter run is at its end, and everything of it was emitted."""
        adapter_run.finished, adapter_run.finished_at = True, self.sequence

    def _next_sequence(self) -> int:
        sequence = self.sequence
        self.sequence = sequence + 1
        return sequence

    def _end(self, adapter_run: AdapterRun, record_number: int) -> int:
        if record_number not in adapter_run.open:
            raise adapter_run.not_open(record_number)
        adapter_run.open.remove(record_number)
        self.ends_until_upkeep -= 1
        sequence = self._next_sequence()
        adapter_run.unacknowledged.append((sequence, record_number))
        return sequence
