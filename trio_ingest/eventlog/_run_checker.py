"""One run of a log, held against the engine's own state machine.

A line states facts. ``Run`` is given them, as the engine does it, and makes the event that
the engine would have emitted. If that differs from the line, or ``Run`` refuses the fact, the
log is wrong. Then ``Run`` is brought to where the line says it is, so that one mistake is
found once.
"""

from __future__ import annotations

import math
from typing import Any, Final

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    EngineBug,
    PipelineEvent,
)
from trio_ingest._core.adapter_run import AdapterRun, Failure, Skip
from trio_ingest._core.run import NEXT_STATES, Run

from ._adapter_runs import Key, KeyCache
from ._checkpoint_checker import CheckpointChecker, EarlierRuns, adapter_run_of, ended_in
from ._figures_checker import FiguresChecker
from ._findings import Findings, Kind, RunReport

_OVER: Final = frozenset(state for state, following in NEXT_STATES.items() if not following)

# ``Run`` makes a checkpoint when the line has one, never because one is due.
_NEVER: Final = 1 << 62

_GAP: Final = (
    "Either a filter was at work when this was recorded, or the log has lost them. Of the "
    "rest of this run only what does not depend on them is checked."
)


class RunChecker:
    """Checks the events of one run in a log.

    Args:
        pipeline_id: of the run.
        line: the number of its first line.
        findings: get what is wrong.
        earlier: the records that ended in earlier runs of the log; this run adds its own.
        ordered: True if records must end in the order of their source.

    Memory: O(in flight).
    """

    def __init__(
        self,
        pipeline_id: str,
        line: int,
        findings: Findings,
        earlier: EarlierRuns,
        *,
        ordered: bool,
    ) -> None:
        self.pipeline_id = pipeline_id
        self._first_line = self._line = line
        self._findings = findings
        self._earlier = earlier
        self._checkpoints = CheckpointChecker(earlier, findings)
        self._figures = FiguresChecker(findings)
        self._ordered = ordered
        self._adapter_runs: list[AdapterRun] = []
        self._by_key: dict[Key, AdapterRun] = {}
        self._newest: dict[str, AdapterRun] = {}
        self._run = Run(
            pipeline_id,
            self._adapter_runs,
            0.0,
            buffer_size=0,
            progress_interval=_NEVER,
            checkpoint_interval=_NEVER,
            estimated_total=None,
        )
        # Of each open record: the line of its start, and the retries so far.
        self._open: dict[tuple[Key, int], tuple[int, int]] = {}
        self._last_end: dict[Key, int] = {}
        self._keys = KeyCache()
        self._events = self._completed = self._failed = self._skipped = 0
        self._missing = 0
        self._newest_event: PipelineEvent | None = None
        # After some mistakes the next counts cannot add up.
        self._counts_are_off = False

    @property
    def next_sequence(self) -> int:
        """The ``sequence`` that the next event of the run must have."""
        return self._run.sequence

    @property
    def is_finished(self) -> bool:
        """True if it came to its end: no adapter goes on, and the last event says so."""
        event = self._newest_event
        if not isinstance(event, BatchProgress) or event.checkpoint is None:
            return False
        sources = {position.source for position in event.checkpoint.positions}
        return all(self._run.state_of(source) in _OVER for source in sources)

    # -- events in general -------------------------------------------------------------------

    def take(self, line: int, event: PipelineEvent) -> None:
        """Check the next event."""
        self._line = line
        self._events += 1
        try:
            if self._is_next(event.sequence):
                self._newest_event = event
                if not math.isfinite(event.timestamp):
                    self._report("telemetry", f"The timestamp is {event.timestamp}, no time.")
                self._apply(event)
                self._run.sequence = event.sequence + 1
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            message = f"A field of it is none that the engine writes: {error}."
            self._spoil_counts("line", message)
            self._run.sequence += 1
        # A recorded event was acknowledged; so ``Run`` need not keep any end.
        self._run.acknowledge(self._run.sequence)

    def skip_line(self) -> None:
        """Take note that a line cannot be read; it may have held any event."""
        self._missing += 1
        self._run.sequence += 1

    def finish(self) -> RunReport:
        """Check the end of the log, or of this run in it, and return the report."""
        is_finished, skipped = self.is_finished, self._run.skipped_count
        if is_finished and not self._missing:
            for key, number in list(self._open):
                self._never_ended(key, number)
            self._checkpoints.finish(skipped - self._skipped)
        self._earlier.is_certain = is_finished and not self._missing
        for key, run in self._by_key.items():
            self._earlier.add(key, ended_in(run))
        return RunReport(
            pipeline_id=self.pipeline_id,
            first_line=self._first_line,
            events=self._events,
            completed=self._completed,
            failed=self._failed,
            is_finished=is_finished,
            in_flight=len(self._open),
            missing=self._missing,
        )

    def _is_next(self, sequence: int) -> bool:
        expected = self._run.sequence
        if sequence < expected:
            self._report(
                "sequence",
                f"The sequence is {sequence}, and {expected} should come next: the event is "
                f"there twice, or out of its place.",
            )
            return False
        if sequence > expected:
            if not self._missing:
                one = sequence == expected + 1
                what = (
                    f"Event {expected} is"
                    if one
                    else f"Events {expected} to {sequence - 1} are"
                )
                self._report("sequence", f"{what} missing before it. {_GAP}")
            self._missing += sequence - expected
            self._run.sequence = sequence
        return True

    def _apply(self, event: PipelineEvent) -> None:
        """Give ``Run`` the facts that an event states."""
        try:
            match event:
                case DocumentStarted():
                    self._started(event)
                case DocumentCompleted():
                    metadata = event.adapter_metadata
                    key = self._keys.key_of(metadata["adapter"], metadata["parameters"])
                    self._ended(event, self._by_key.get(key))
                case DocumentFailed() | DocumentSkipped():
                    self._ended(event, self._newest.get(event.adapter))
                case DocumentRetrying():
                    self._retrying(event)
                case BatchProgress():
                    self._progressed(event)
                case AdapterStateChange():
                    self._changed(event)
        except EngineBug:
            self._report_refusal(event)

    def _report_refusal(self, event: Any) -> None:
        what = {
            DocumentStarted: "begins a second time before it has ended",
            DocumentRetrying: "is retried, and is not in flight",
        }.get(type(event), "ends, and is not in flight: it never began, or has ended before")
        if not self._missing or type(event) is DocumentStarted:
            self._spoil_counts("shape", f"Record {event.record_number} {what}.")

    # -- records -----------------------------------------------------------------------------

    def _started(self, event: DocumentStarted) -> None:
        adapter, number = event.adapter, event.record_number
        key = self._keys.key_of(adapter, event.parameters)
        run = self._adapter_run(key, event.parameters)
        self._newest[adapter] = run
        state = self._run.state_of(adapter)
        if state in _OVER or (state == "pending" and not self._missing):
            self._report("state", f"Record {number} begins, and {adapter!r:.80} is {state}.")
        if self._checkpoints.started(self._line, key, number):
            self._counts_are_off = True
        elif run.acknowledged.has_ended(number):
            self._spoil_counts("shape", f"Record {number} begins again, and has ended before.")
        elif number not in run.open and number < run.next_record:
            self._report(
                "order",
                f"Record {number} begins after {run.next_record - 1}, which comes later.",
            )
        run.next_record = max(run.next_record, number + 1)
        self._open[key, number] = self._line, 0
        self._run.started(run, number, event.doc_id, event.timestamp)

    def _ended(
        self,
        event: DocumentCompleted | DocumentFailed | DocumentSkipped,
        run: AdapterRun | None,
    ) -> None:
        number = event.record_number
        if run is None:
            self._count(event)
            raise EngineBug("It has an end and no start. Please report this.")
        key = run.source, run.parameters_key
        was_ended = run.acknowledged.has_ended(number)
        _, retried = self._open.pop((key, number), (0, None))
        self._count(event)
        # Also if ``Run`` refuses it, or each checkpoint that follows would be reported.
        run.acknowledged.end(number)
        if self._missing and retried is None:
            if was_ended:
                self._report("shape", f"Record {number} ends, and has ended before.")
            return
        if isinstance(event, DocumentCompleted):
            self._figures.seconds(self._line, "duration", event.duration)
            self._run.completed(
                run, number, event.document, event.duration, event.retry_count, event.timestamp
            )
        elif isinstance(event, DocumentFailed):
            failure = _failure(event)
            self._run.failed(
                run, number, failure, event.doc_id, None, event.retry_count, event.timestamp
            )
        else:
            self._run.skipped(run, number, Skip(event.doc_id, event.reason), event.timestamp)
        self._check_end(key, event, retried)

    def _check_end(self, key: Key, event: Any, retried: int | None) -> None:
        number = event.record_number
        said = getattr(event, "retry_count", retried)
        if retried is not None and said != retried and not self._missing:
            self._report(
                "counts", f"Its retry_count is {said}, and {retried} retries were announced."
            )
        if self._ordered and number < self._last_end.get(key, -1):
            self._report(
                "order",
                f"Record {number} ends after {self._last_end[key]}, which comes later.",
            )
        self._last_end[key] = max(number, self._last_end.get(key, -1))

    def _count(self, event: PipelineEvent) -> None:
        self._completed += isinstance(event, DocumentCompleted)
        self._failed += isinstance(event, DocumentFailed)
        self._skipped += isinstance(event, DocumentSkipped)

    def _retrying(self, event: DocumentRetrying) -> None:
        run = self._newest.get(event.adapter)
        if run is None:
            raise EngineBug("It is retried and has no start. Please report this.")
        number = event.record_number
        self._figures.seconds(self._line, "delay_seconds", event.delay_seconds)
        self._run.retrying(
            run,
            number,
            _failure(event),
            event.doc_id,
            event.retry_count,
            event.delay_seconds,
            event.timestamp,
        )
        key = run.source, run.parameters_key
        line, retried = self._open[key, number]
        if event.retry_count != retried + 1 and not self._missing:
            self._report(
                "counts", f"Its retry_count is {event.retry_count}, and {retried + 1} is next."
            )
        self._open[key, number] = line, retried + 1

    def _never_ended(self, key: Key, number: int) -> None:
        line, _ = self._open.pop((key, number))
        self._by_key[key].open.discard(number)
        self._counts_are_off = True
        self._findings.add(
            line,
            "shape",
            f"Record {number} of {key[0]!r:.80} begins here and never ends, and its adapter "
            f"has finished.",
        )

    # -- adapters and progress ---------------------------------------------------------------

    def _changed(self, event: AdapterStateChange) -> None:
        before = self._run.state_of(event.adapter)
        # The adapter is from now on where the line says.
        self._run.states[event.adapter] = event.new_state
        if self._missing:
            return
        if before != event.old_state:
            self._report(
                "state",
                f"{event.adapter!r:.80} is said to have been {event.old_state}, and was "
                f"{before}.",
            )
        elif event.new_state not in NEXT_STATES.get(before, (event.new_state,)):
            self._report(
                "state", f"{event.adapter!r:.80} was {before} and cannot be {event.new_state}."
            )
        if event.new_state == "finished":
            for key, number in list(self._open):
                if key[0] == event.adapter:
                    self._never_ended(key, number)

    def _progressed(self, event: BatchProgress) -> None:
        run, checkpoint = self._run, event.checkpoint
        self._figures.times(self._line, event)
        run.estimated_total, run.buffer_size = event.estimated_total, event.buffer_size
        # Some are skipped without an event: only this line shows them.
        run.skipped_count = max(run.skipped_count, event.skipped)
        if checkpoint is not None:
            for position in checkpoint.positions:
                key = position.source, position.parameters
                if key not in self._by_key:
                    self._add(key, adapter_run_of(position))
            if not self._missing:
                skips = event.skipped - self._skipped
                self._checkpoints.check(self._line, checkpoint, self._by_key, skips)
        expected = run.progress(
            0.0, event.timestamp, event.queue_depth, checkpoint=checkpoint is not None
        )
        self._figures.counts(
            self._line,
            expected,
            event,
            is_whole=not self._missing,
            is_explained=self._counts_are_off,
        )
        self._counts_are_off = False

    # -- adapter runs and findings -----------------------------------------------------------

    def _adapter_run(self, key: Key, parameters: Any) -> AdapterRun:
        if key not in self._by_key:
            self._add(key, AdapterRun(key[0], parameters, key[1]))
        return self._by_key[key]

    def _add(self, key: Key, run: AdapterRun) -> None:
        self._by_key[key] = run
        self._adapter_runs.append(run)

    def _report(self, kind: Kind, message: str) -> None:
        self._findings.add(self._line, kind, message)

    def _spoil_counts(self, kind: Kind, message: str) -> None:
        """Report a mistake after which the counts cannot add up."""
        self._counts_are_off = True
        self._report(kind, message)


def _failure(event: DocumentFailed | DocumentRetrying) -> Failure:
    return Failure(event.error, event.error_type, None, is_retryable=False)
