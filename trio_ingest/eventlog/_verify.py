"""Verification: a log is held against the promises of the engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from trio_ingest import Checkpoint, PipelineEvent

from ._checkpoint_checker import EarlierRuns
from ._findings import Findings, RunReport, VerifyReport
from ._log import Log, default_codec, event_of
from ._run_checker import RunChecker
from .errors import EventLogError

if TYPE_CHECKING:
    from trio_ingest.serialization import EventCodec


def verify(
    path: str | os.PathLike[str],
    *,
    codec: EventCodec | None = None,
    resumed_from: Checkpoint | None = None,
    ordered: bool = False,
) -> VerifyReport:
    """Hold a log against promises 1, 2, 6 and 8, by the engine's own state machine.

    Args:
        path: of a file that a ``Recorder``, or ``trio-ingest run --events``, has written;
            compressed or not.
        codec: reads the lines; when None, events that it does not know are only numbered.
        resumed_from: the checkpoint that the first run in the log was resumed from, if it
            was. Without it, the claims of that run's first checkpoint on earlier runs are
            believed, as far as they can be.
        ordered: True if records must also end in the order of their source, as they do with
            one worker or ``ordered=True``; the log does not say which it was.

    Returns:
        the findings, and a report of each run. A log that was cut short, at any event or in
        the middle of a line, breaks no rule.

    Raises:
        EventLogError: the file cannot be read.

    Memory: O(in flight), and the longest line.
    """
    if codec is None:
        codec = default_codec()
    log, verification = Log(path), _Verification(resumed_from, ordered=ordered)
    for line in log.lines():
        try:
            event = event_of(codec, line)
        except EventLogError as error:
            verification.bad_line(line.number, str(error))
        else:
            verification.take(line.number, event)
    return verification.report(is_torn=log.is_torn)


class _Verification:
    """Gives each event to the checker of its run."""

    def __init__(self, resumed_from: Checkpoint | None, *, ordered: bool) -> None:
        self._findings = Findings()
        self._earlier = EarlierRuns(resumed_from)
        self._ordered = ordered
        self._checker: RunChecker | None = None
        self._runs: list[RunReport] = []
        self._foreign: str | None = None

    def bad_line(self, line: int, reason: str) -> None:
        """Report a line that is no event."""
        # Its number stands before every finding.
        self._findings.add(line, "line", reason.removeprefix(f"line {line}: "))
        if self._checker is not None:
            self._checker.skip_line()

    def take(self, line: int, event: PipelineEvent) -> None:
        """Check an event."""
        checker = self._checker
        if checker is None or self._begins(event, checker):
            self._finish_run()
            checker = self._checker = RunChecker(
                event.pipeline_id, line, self._findings, self._earlier, ordered=self._ordered
            )
            self._foreign = None
        elif event.pipeline_id not in {checker.pipeline_id, self._foreign}:
            self._foreign = event.pipeline_id
            self._findings.add(
                line,
                "sequence",
                f"The pipeline_id is {event.pipeline_id!r:.80} in the middle of the run "
                f"{checker.pipeline_id!r:.80}.",
            )
        checker.take(line, event)

    def report(self, *, is_torn: bool) -> VerifyReport:
        """Return the report, when there are no more lines."""
        self._finish_run()
        if not (self._runs or self._findings.count or is_torn):
            self._findings.add(
                1, "line", "There is no event in this file: nothing was recorded."
            )
        return VerifyReport(
            runs=tuple(self._runs),
            findings=tuple(self._findings.sorted()),
            found=self._findings.count,
            is_torn=is_torn,
        )

    def _begins(self, event: PipelineEvent, checker: RunChecker) -> bool:
        """Return True if the event is the first of another run."""
        if event.pipeline_id == checker.pipeline_id:
            return event.sequence == 0 and checker.is_finished
        if event.pipeline_id == self._foreign:
            return False
        return event.sequence != checker.next_sequence

    def _finish_run(self) -> None:
        if self._checker is not None:
            self._runs.append(self._checker.finish())
            self._checker = None
