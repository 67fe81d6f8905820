"""One run from a source into a sink: the consumer behind ``trio-ingest run``."""

from __future__ import annotations

import enum
from typing import Final

import attrs
import trio

from trio_ingest import (
    BatchProgress,
    Document,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
    SetupError,
)
from trio_ingest.adapters import BadFileError, BadLineError, JsonLinesAdapter
from trio_ingest.sinks import SinkError, SqliteSink

from ._report import Report

# A transaction for each thousand rows: with fewer, its fixed cost shows in the
# total; with more, an interruption loses more and nothing gets faster.
_BATCH_DOCUMENTS: Final = 1000

# Long documents fill the memory before a thousand of them have come together.
_BATCH_CHARACTERS: Final = 8 * 1024 * 1024


class ExitStatus(enum.IntEnum):
    """What the shell is told of the end that a job came to."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    DOCUMENTS_FAILED = 3
    INTERRUPTED = 130


@attrs.frozen
class Job:
    """What ``trio-ingest run`` was asked for."""

    adapter: JsonLinesAdapter
    sink_path: str
    workers: int
    buffer_size: int


def run_job(job: Job, report: Report) -> ExitStatus:
    """Run ``job`` to whatever end it comes to, and tell ``report`` which."""
    try:
        trio.run(_ingest, job, report)
    except SetupError as error:
        report.failed_to_start(str(error))
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
    async with (
        SqliteSink(job.sink_path) as sink,
        pipeline.stream_events(
            buffer_size=job.buffer_size, progress_interval=_BATCH_DOCUMENTS
        ) as events,
    ):
        batch = _Batch(sink, report)
        death: Exception | None = None
        try:
            async for event in events:
                if _is_time_to_store(event, batch, report):
                    await batch.store()
        except (OSError, BadFileError) as error:
            # The adapter died; the documents it gave before are good.
            death = error
        if batch:
            await batch.store()
        if death is not None:
            raise death


def _is_time_to_store(event: PipelineEvent, batch: _Batch, report: Report) -> bool:
    match event:
        case DocumentCompleted(document=document):
            return batch.add(document)
        case DocumentFailed() as failure:
            report.document_failed(_place(failure))
        case BatchProgress():
            report.progress()
            # At least one a second, so a slow source does not keep its
            # documents waiting for a thousand to come together.
            return bool(batch)
    return False


class _Batch:
    """Documents on their way to the sink."""

    def __init__(self, sink: SqliteSink, report: Report) -> None:
        self._sink = sink
        self._report = report
        self._documents: list[Document] = []
        self._characters = 0

    def add(self, document: Document) -> bool:
        """Take a document, and say whether it is time to store the batch."""
        self._documents.append(document)
        self._characters += len(document.content) + len(document.raw or "")
        return (
            len(self._documents) >= _BATCH_DOCUMENTS or self._characters >= _BATCH_CHARACTERS
        )

    def __bool__(self) -> bool:
        return bool(self._documents)

    async def store(self) -> None:
        """Put what has come together into the sink."""
        documents, self._documents, self._characters = self._documents, [], 0
        before = self._sink.replaced
        rejections = await self._sink.write(documents)
        self._report.stored(len(documents) - len(rejections), self._sink.replaced - before)
        for rejection in rejections:
            document = rejection.document
            self._report.document_failed(
                f"{document.source}, document {document.doc_id!r:.80}: {rejection.reason}"
            )
        self._report.progress()


def _place(failure: DocumentFailed) -> str:
    if isinstance(failure.error, BadLineError):
        return str(failure.error)
    return f"{failure.adapter}, record {failure.record_number}: {failure.error!r}"


def _explained(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}."
    return str(error)
