"""One run from its sources into its sinks: the delivery behind ``trio-ingest run``."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final, Literal, TypeAlias

import trio

from trio_ingest import Checkpoint, CheckpointError, EventStream, PipelineEvent
from trio_ingest.cli.signals import Signals
from trio_ingest.cli.terminal.error_messages import is_refusal
from trio_ingest.cli.terminal.report import Report
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.eventlog import EventLogError
from trio_ingest.storage import OutputClosedError

from .job import ExitStatus, Job
from .outputs import Outputs
from .preflight import keep_others, look
from .run_observer import RunObserver
from .shutdown import LimitReached, Shutdown

# As many as make a batch: more progress would have nothing to tell.
_PROGRESS_DOCUMENTS: Final = 500

_Outcome: TypeAlias = Literal["finished", "limit", "stopped", "stopped at the end", "aborted"]


def run_job(job: Job, report: Report, signals: Signals) -> int:
    """Run ``job`` to whatever end it comes to, tell ``report`` which, and give the status."""
    outputs = Outputs(job.events, job.errors, has_sinks=not job.is_dry)
    try:
        end = trio.run(_ingest, job, report, outputs, signals)
    except KeyboardInterrupt:
        end = "aborted"
    except OutputClosedError:
        report.silent()
        return ExitStatus.OUTPUT_CLOSED
    except SystemExit as error:
        report.run_failed(f"the code of a SOURCE or a SINK ended the program ({error!r:.80}).")
        return ExitStatus.RUN_FAILED
    except Exception as error:
        why = job.sentence_of(error)
        if why is None:
            report.silent()
            raise
        is_late = report.has_begun
        if (is_refusal(error) and not is_late) or (
            isinstance(error, EventLogError) and not outputs.have_begun
        ):
            report.failed_to_start(why)
            return ExitStatus.USAGE
        report.run_failed(why)
        return ExitStatus.RUN_FAILED
    return _say_end(end, report, signals)


def _say_end(end: _Outcome, report: Report, signals: Signals) -> int:
    if end == "finished":
        report.finished()
    elif end == "limit":
        report.limit_reached()
    else:
        if end == "aborted":
            report.aborted()
        else:
            report.stopped(at_the_end=end == "stopped at the end")
        return signals.exit_status
    return ExitStatus.DONE if report.is_well else ExitStatus.DOCUMENTS_FAILED


async def _ingest(job: Job, report: Report, outputs: Outputs, signals: Signals) -> _Outcome:
    with trio.CancelScope() as scope:
        stop = Shutdown(scope, report, outputs, signals)
        watch = RunObserver(job, report, outputs, stop)
        signals.listen(stop.ask)
        try:
            checkpoint = await _move(job, report, watch, stop, outputs)
        except Exception:
            if not scope.cancel_called:
                raise
            # What could not be waited for has failed meanwhile, and is not wanted any more.
            await trio.lowlevel.checkpoint()  # noqa: ASYNC120 -- to discard it is what is meant
            raise
        finally:
            signals.listen_no_more()
            if job.is_dry:
                report.counted(watch.totals)
    if scope.cancelled_caught:
        return "aborted"
    if signals.first is None:
        return "limit" if checkpoint is None else "finished"
    is_done = checkpoint is not None and checkpoint.finished
    return "stopped at the end" if is_done else "stopped"


async def _move(
    job: Job, report: Report, watch: RunObserver, stop: Shutdown, outputs: Outputs
) -> Checkpoint | None:
    """Move the documents.

    Returns:
        what has been done, or None when that was as much as was asked for.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(outputs)
        outputs.open()
        for destination in job.destinations:
            await stack.enter_async_context(destination.sink)
        try:
            stream = job.pipeline().stream_events(
                params=[dict(job.params)],
                buffer_size=job.buffer_size,
                progress_interval=_PROGRESS_DOCUMENTS,
                resume_from=await _resume_point(job, report),
            )
        except CheckpointError as error:
            if "--restart" not in str(error):
                error.add_note("To begin again, give --restart.")
            raise
        outputs.begin(resumed=job.beginning == "resume")
        try:
            async with stream:
                stop.begun(stream)
                await _deliver(job, watch, stream, outputs)
        except LimitReached:
            return None
        return stream.checkpoint()


async def _resume_point(job: Job, report: Report) -> Checkpoint | None:
    if job.is_dry:
        await trio.lowlevel.checkpoint()
        return None
    if job.beginning == "restart":
        await keep_others(job)
        return None
    totals = await look(job)
    if job.beginning == "resume":
        report.resumed(totals)
    return await resume_point(*[destination.sink for destination in job.destinations])


async def _deliver(
    job: Job, watch: RunObserver, stream: EventStream[PipelineEvent], outputs: Outputs
) -> None:
    if not job.is_dry:
        await deliver(
            stream,
            *[destination.sink for destination in job.destinations],
            restart=job.beginning == "restart",
            on_event=watch.event,
            before_commit=outputs.flush,
            on_rejection=watch.rejection,
            on_commit=watch.commit,
        )
        return
    async for event in stream:
        watch.event(event)
