"""The runs of a log, one behind another, through the same hands as a run itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Literal, TypeAlias

import trio

from trio_ingest import (
    AdapterStateChange,
    Checkpoint,
    DocumentCompleted,
    DocumentFailed,
    DocumentSkipped,
    PipelineEvent,
    Position,
    SetupError,
)
from trio_ingest.cli.endpoints.endpoint import shortened
from trio_ingest.cli.signals import Signals
from trio_ingest.cli.terminal.error_messages import is_refusal
from trio_ingest.cli.terminal.report import Report
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.eventlog import ReplayStream, replay
from trio_ingest.serialization import EventCodec

from .job import ExitStatus, Job
from .outputs import Outputs
from .run_observer import RunObserver
from .shutdown import Shutdown

_Outcome: TypeAlias = Literal["finished", "failed", "cut", "stopped", "aborted"]


class RecordedClock:
    """The seconds that had passed when the newest event was recorded.

    Between two runs none pass. A clock that was set back in the middle of one stands still.
    """

    def __init__(self) -> None:
        self._seconds = 0.0
        self._newest: PipelineEvent | None = None

    def __call__(self) -> float:
        """The seconds."""
        return self._seconds

    def take(self, event: PipelineEvent) -> None:
        """Hear of an event."""
        newest, self._newest = self._newest, event
        if newest is not None and newest.pipeline_id == event.pipeline_id:
            self._seconds += max(0.0, event.timestamp - newest.timestamp)


class Replays:
    """The recorded runs to replay.

    Args:
        path: of the log.
        runs: the pipeline_id of each run, in the order of the log.
        codec: reads it.

    Raises:
        EventLogError: the log cannot be read, or has no such run.
    """

    def __init__(self, path: str, runs: Sequence[str], codec: EventCodec) -> None:
        self.path = path
        self.streams = [replay(path, codec=codec, run=run, torn="ignore") for run in runs]
        self.sources: tuple[str, ...] = self.streams[0].sources


class _Course:
    """The course of the recorded runs."""

    def __init__(self) -> None:
        self._newest: dict[str, AdapterStateChange] = {}
        self.ended = 0
        # Whether a run is in the sinks, so that a refusal is no longer one of everything.
        self.has_delivered = False

    def take(self, event: PipelineEvent) -> None:
        if isinstance(event, AdapterStateChange):
            self._newest[event.adapter] = event
        elif isinstance(event, DocumentCompleted | DocumentFailed | DocumentSkipped):
            self.ended += 1

    @property
    def failures(self) -> list[str]:
        """Of each source that has broken down, a clause."""
        return [
            f"{one.adapter} failed: {one.reason}"
            for one in self._newest.values()
            if one.new_state == "failed"
        ]

    @property
    def was_cut(self) -> bool:
        """True when a source had more to give, as far as the log tells."""
        return any(
            one.new_state != "finished" or one.reason is not None
            for one in self._newest.values()
        )


def replay_job(
    replays: Replays, job: Job, report: Report, signals: Signals, clock: RecordedClock
) -> int:
    """Replay to whatever end it comes to, tell ``report`` which, and give the status."""
    course = _Course()
    try:
        end = trio.run(_replay, replays, job, report, signals, clock, course)
    except KeyboardInterrupt:
        end = "aborted"
    except SystemExit as error:
        report.run_failed(f"the code of a SOURCE or a SINK ended the program ({error!r:.80}).")
        return ExitStatus.RUN_FAILED
    except Exception as error:
        why = job.sentence_of(error)
        if why is None:
            report.silent()
            raise
        if is_refusal(error) and not course.has_delivered:
            report.failed_to_start(why)
            return ExitStatus.USAGE
        report.run_failed(why)
        return ExitStatus.RUN_FAILED
    if any(stream.is_torn for stream in replays.streams):
        report.note(f"{shortened(replays.path)} ends in the middle of a line.")
    return _report_end(end, report, signals, course)


def _report_end(end: _Outcome, report: Report, signals: Signals, course: _Course) -> int:
    if end == "aborted":
        report.aborted()
        return signals.exit_status
    if end == "stopped":
        report.stopped(at_the_end=False)
        return signals.exit_status
    if end == "failed":
        report.run_failed(f"When this was recorded, {'; '.join(course.failures)}.")
        return ExitStatus.RUN_FAILED
    if end == "cut":
        report.note("The recorded run did not come to its end.")
    report.finished()
    return ExitStatus.DONE if report.is_well else ExitStatus.DOCUMENTS_FAILED


async def _replay(
    replays: Replays,
    job: Job,
    report: Report,
    signals: Signals,
    clock: RecordedClock,
    course: _Course,
) -> _Outcome:
    outputs = Outputs(None, None)
    with trio.CancelScope() as scope:
        stop = Shutdown(scope, report, outputs, signals)
        watch = RunObserver(job, report, outputs, stop)

        def heard(event: PipelineEvent) -> None:
            clock.take(event)
            course.take(event)
            watch.event(event)

        signals.listen(stop.ask)
        try:
            async with AsyncExitStack() as stack:
                for destination in job.destinations:
                    await stack.enter_async_context(destination.sink)
                for stream in replays.streams:
                    await _prepare(replays, stream, job)
                    async with stream:
                        stop.begun(stream)
                        await _deliver_recorded(job, watch, stream, heard)
                        course.has_delivered = not job.is_dry
                    if signals.first is not None:
                        break
                    report.meter.resumed(done=course.ended, failed=report.failed)
        finally:
            signals.listen_no_more()
            if job.is_dry:
                report.counted(watch.totals)
    if scope.cancelled_caught:
        return "aborted"
    if signals.first is not None:
        return "stopped"
    if course.failures:
        return "failed"
    return "cut" if course.was_cut else "finished"


def _check_one_job(replays: Replays) -> None:
    if any(s.has_checkpoint and s.resumed_from is None for s in replays.streams[1:]):
        raise SetupError(
            f"{shortened(replays.path)} holds several jobs: one of its runs begins again at "
            f"the beginning. Choose with --run, and give each a SINK of its own."
        )


async def _prepare(replays: Replays, stream: ReplayStream, job: Job) -> None:
    """See to it that a run goes on where the sinks are.

    Raises:
        SetupError: it does not, or it would begin a job again that a sink has.
    """
    first = stream is replays.streams[0]
    if job.is_dry or (first and job.beginning == "restart"):
        await trio.lowlevel.checkpoint()
        return
    name = shortened(replays.path)
    if first:
        _check_one_job(replays)
    stored = await resume_point(*[destination.sink for destination in job.destinations])
    if stored is None:
        if stream.resumed_from is not None:
            raise SetupError(
                f"{name} begins in the middle of a job: it was resumed, and what came before "
                f"is not in what is replayed. Leave out --run; or first replay the log that "
                f"has the beginning into the same SINK."
            )
        return
    if first and job.beginning is None:
        paths = " and ".join(destination.place for destination in job.destinations)
        raise SetupError(
            f"There is a checkpoint of this job in {paths} already. To add what is lacking "
            f"there of {name}, give --resume; to begin again, give --restart."
        )
    if stream.resumed_from is not None and not stored.covers(stream.resumed_from):
        raise SetupError(
            f"Between two runs of {name} events are missing: the program that recorded "
            f"the first one was killed. Each SINK has what is before that. To have the rest, "
            f"go on from the source: trio-ingest run SOURCE --to SINK --resume."
        )
    if stream.resumed_from is None:
        # From the beginning, as far as is known. What is there already is kept from the
        # sinks, where the numbers of the records tell which that is.
        stream.resumed_from = Checkpoint(
            tuple(
                Position(p.source, p.parameters, stable_order=p.stable_order)
                for p in stored.positions
            )
        )


async def _deliver_recorded(
    job: Job, watch: RunObserver, stream: ReplayStream, heard: Callable[[PipelineEvent], None]
) -> None:
    if job.is_dry:
        async for event in stream:
            heard(event)
        return
    await deliver(
        stream,
        *[destination.sink for destination in job.destinations],
        restart=job.beginning == "restart" and stream.resumed_from is None,
        on_event=heard,
        on_rejection=watch.rejection,
        on_commit=watch.commit,
    )
