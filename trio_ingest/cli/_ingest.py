"""One run from a source into sinks: the delivery behind ``trio-ingest run``."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final, Literal, TypeAlias

import attrs
import trio

from trio_ingest import (
    BatchProgress,
    CheckpointError,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
    SetupError,
)
from trio_ingest.adapters import BadFileError, BadLineError, JsonLinesAdapter
from trio_ingest.delivery import (
    Delivered,
    DeliveryReport,
    Rejection,
    SinkError,
    deliver,
    resume_point,
)
from trio_ingest.sinks import SqliteSink

from ._ends import AnySink
from ._report import Report

Beginning: TypeAlias = Literal["resume", "restart"]

# As many as make a batch: more progress would have nothing to tell.
_PROGRESS_DOCUMENTS: Final = 500


class ExitStatus(enum.IntEnum):
    """What the shell is told of the end that a job came to."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    DOCUMENTS_FAILED = 3
    INTERRUPTED = 130


@attrs.frozen(kw_only=True)
class Job:
    """What ``trio-ingest run`` was asked for."""

    adapter: JsonLinesAdapter
    sinks: Sequence[AnySink]
    places: Sequence[str]
    beginning: Beginning | None
    workers: int
    buffer_size: int


def run_job(job: Job, report: Report) -> ExitStatus:
    """Run ``job`` to whatever end it comes to, and tell ``report`` which."""
    try:
        trio.run(_ingest, job, report)
    except (SetupError, CheckpointError) as error:
        report.failed_to_start(_explained(error))
        return ExitStatus.USAGE
    except (OSError, BadFileError, SinkError) as error:
        report.run_failed(_explained(error))
        return ExitStatus.RUN_FAILED
    except MemoryError:
        report.run_failed("the memory is used up; give fewer workers or a smaller buffer.")
        return ExitStatus.RUN_FAILED
    except RuntimeError as error:
        if "start new thread" not in str(error):
            raise
        report.run_failed("no thread can be started: the system has too many already.")
        return ExitStatus.RUN_FAILED
    except KeyboardInterrupt:
        report.interrupted()
        return ExitStatus.INTERRUPTED
    report.finished()
    return ExitStatus.DOCUMENTS_FAILED if report.failed else ExitStatus.DONE


async def _ingest(job: Job, report: Report) -> None:
    pipeline = IngestionPipeline(job.adapter, workers=job.workers)
    place_of = {sink.name: place for sink, place in zip(job.sinks, job.places, strict=True)}
    async with AsyncExitStack() as stack:
        for sink in job.sinks:
            await stack.enter_async_context(sink)
        restart = job.beginning == "restart"
        if restart:
            await _keep_others(job)
        else:
            await _look(job, report)
        try:
            stream = pipeline.stream_events(
                buffer_size=job.buffer_size,
                progress_interval=_PROGRESS_DOCUMENTS,
                resume_from=None if restart else await resume_point(*job.sinks),
            )
        except CheckpointError as error:
            error.add_note("To begin again, give --restart.")
            raise

        def on_event(event: PipelineEvent) -> None:
            if isinstance(event, DocumentFailed):
                report.document_failed(_place(event))
            elif isinstance(event, BatchProgress):
                report.progress()

        def on_rejection(name: str, rejection: Rejection) -> None:
            document = rejection.document
            where = f", in {place_of[name]}" if len(place_of) > 1 else ""
            report.document_failed(
                f"{document.source}, document {document.doc_id!r:.80}{where}: "
                f"{rejection.reason}"
            )

        def on_commit(committed: DeliveryReport) -> None:
            report.replaced = _count(job.sinks, "replaced")
            report.kept = _count(job.sinks, "kept")
            report.committed(committed)

        await deliver(
            stream,
            *job.sinks,
            restart=restart,
            on_event=on_event,
            on_rejection=on_rejection,
            on_commit=on_commit,
        )


async def _look(job: Job, report: Report) -> None:  # noqa: ASYNC910 -- there is a sink
    """Look at what the sinks have of the job, and refuse it unless it is to be resumed."""
    stored: dict[str, Delivered] = {}
    for sink, place in zip(job.sinks, job.places, strict=True):
        delivered = await sink.load()
        if delivered is None:
            continue
        stored[place] = delivered
        sources = [position.source for position in delivered.checkpoint.positions]
        if sources != [job.adapter.source]:
            raise SetupError(_other_job(sink, place, sources, job.adapter.source))
    if stored and job.beginning is None:
        place = next(iter(stored))
        raise SetupError(_refusal(place, stored[place], _emptied(job)))
    if job.beginning == "resume":
        report.resumed({place: one.totals for place, one in stored.items()})


async def _keep_others(job: Job) -> None:  # noqa: ASYNC910 -- there is a sink
    """Refuse to empty a file that has the documents of another job."""
    for sink, place in zip(job.sinks, job.places, strict=True):
        if isinstance(sink, SqliteSink):
            continue
        try:
            delivered = await sink.load()
        except CheckpointError:
            # Whether it may be dropped all the same, the sink will say.
            continue
        sources = [p.source for p in delivered.checkpoint.positions] if delivered else []
        if sources and sources != [job.adapter.source]:
            raise SetupError(_other_job(sink, place, sources, job.adapter.source))


def _other_job(sink: AnySink, place: str, found: Sequence[str], ours: str) -> str:
    what = f"{place} has the checkpoint of another job, whose source is {', '.join(found)}"
    if isinstance(sink, SqliteSink):
        return (
            f"{what}, and not {ours}. Spell the source as it was, or give this job a --job of "
            f"its own."
        )
    return (
        f"{what}, and not {ours}. Spell the source as it was; or give another path; or, to "
        f"have {ours} in its place, delete {place} and {place}.checkpoint."
    )


def _emptied(job: Job) -> str:
    """What a restart does to documents that are there, for the sentence about it."""
    emptied = [
        place
        for sink, place in zip(job.sinks, job.places, strict=True)
        if not isinstance(sink, SqliteSink)
    ]
    return f", which empties {' and '.join(emptied)}" if emptied else ""


def _refusal(place: str, delivered: Delivered, emptied: str) -> str:
    count = f"{delivered.totals.delivered:,} documents"
    if delivered.checkpoint.finished:
        return (
            f"{place} has the checkpoint of a job that came to its end, with {count}. To run "
            f"it again from the beginning, give --restart{emptied}; with --resume there would "
            f"be nothing left to do."
        )
    return (
        f"{place} has the checkpoint of a job that was stopped, with {count}. To go on from "
        f"there, give --resume; to begin again, give --restart{emptied}."
    )


def _count(sinks: Sequence[AnySink], what: Literal["replaced", "kept"]) -> int:
    return max(
        (getattr(sink, what) for sink in sinks if isinstance(sink, SqliteSink)), default=0
    )


def _place(failure: DocumentFailed) -> str:
    if isinstance(failure.error, BadLineError):
        return str(failure.error)
    return f"{failure.adapter}, record {failure.record_number}: {failure.error!r}"


def _explained(error: Exception) -> str:
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}."
    # The engine's own notes tell where in the adapter; the message does already.
    notes = [note for note in getattr(error, "__notes__", ()) if not note.startswith("In the")]
    return " ".join([text, *notes])
