"""Batches for tests of sinks, made of documents without running a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from trio_ingest import Checkpoint, Document, DocumentCompleted, DocumentFailed, Position
from trio_ingest._core.errors import message_of
from trio_ingest.delivery import Batch, Totals

# Of every event here, so that what a sink keeps of it can be compared.
TIMESTAMP = 1_700_000_000.5


def document(doc_id: str, content: str = "text", **fields: Any) -> Document:
    return Document(doc_id, "feed", content, **fields)


def failure(
    record_number: int = 0,
    error: Exception | None = None,
    *,
    raw: Any = None,
    doc_id: str | None = None,
    traceback: str | None = None,
) -> DocumentFailed:
    """A record that became no document."""
    error = ValueError("no title") if error is None else error
    return DocumentFailed(
        timestamp=TIMESTAMP,
        doc_id=doc_id,
        error=message_of(error),
        error_type=type(error).__name__,
        retry_count=0,
        is_retryable=False,
        traceback=traceback,
        adapter="feed",
        record_number=record_number,
        raw=raw,
    )


def checkpoint_at(watermark: int, *, finished: bool = False) -> Checkpoint:
    """As a run over the one adapter ``feed`` leaves it after so many records."""
    position = Position("feed", "{}", watermark, finished=finished, stable_order=True)
    return Checkpoint((position,))


def batch_of(
    documents: Iterable[Document] = (),
    *,
    failed: Iterable[DocumentFailed] = (),
    checkpoint: Checkpoint | None = None,
    before: Totals | None = None,
) -> Batch:
    """The batch that follows ``before``, with record numbers that go on from there.

    Without a ``checkpoint`` it has the one that covers exactly this and what came before.
    """
    documents, failed = list(documents), tuple(failed)
    before = Totals() if before is None else before
    first = before.completed + before.failed + before.skipped
    completed = tuple(
        DocumentCompleted(
            timestamp=TIMESTAMP,
            document=document,
            duration=0.001,
            adapter_metadata={"adapter": "feed", "parameters": {}},
            record_number=number,
            retry_count=0,
        )
        for number, document in enumerate(documents, first)
    )
    if checkpoint is None:
        checkpoint = checkpoint_at(first + len(completed) + len(failed))
    return Batch(checkpoint=checkpoint, completed=completed, failed=failed, before=before)


async def in_database(sink: Any, work: Callable[[Any], Any]) -> Any:
    """What ``work`` returns when called with the connection of a sink, in its thread."""
    return await sink._run_in_thread(lambda: sink._database.run(work))
