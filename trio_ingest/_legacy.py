"""The old eager loop, kept so that callers can move at their own pace."""

from __future__ import annotations

import inspect
import traceback
import warnings
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import attrs

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.documents import Document
from trio_ingest._core.errors import message_of
from trio_ingest._core.events import DocumentFailed, PipelineEvent
from trio_ingest._core.options import Policy, RunOptions
from trio_ingest._core.positions import Cursor
from trio_ingest._core.reprs import class_name
from trio_ingest._core.run import BURST_DOCUMENTS
from trio_ingest._engine.closing import close_fetch, close_within_grace
from trio_ingest._engine.records import exact_str
from trio_ingest._engine.runtime import Runtime

from ._results import PipelineResult

REMOVED_IN = "1.0"

_warned = False


def warn_once() -> None:
    """Warn, once per process, and name what to use instead."""
    global _warned  # noqa: PLW0603
    if not _warned:
        _warned = True
        warnings.warn(
            f"run_async_legacy is deprecated and will be removed in trio_ingest "
            f"{REMOVED_IN}: use stream_events, or run_async for the same result.",
            DeprecationWarning,
            stacklevel=3,
        )


async def run_eagerly(
    plans: Sequence[AdapterPlan], policy: Policy, options: RunOptions, runtime: Runtime
) -> PipelineResult:
    """Fetch and parse everything into two lists, one record after another."""
    started_at = policy.clock()
    documents: list[Document] = []
    errors: list[DocumentFailed] = []
    for plan in plans:
        async with AsyncExitStack() as stack:
            grace = runtime, policy.cleanup_grace_seconds
            if plan.aclose is not None:
                what = f"aclose of {plan.source!r}"
                stack.push_async_callback(close_within_grace, plan.aclose, *grace, what)
            for params in options.params:
                async with AsyncExitStack() as fetching:
                    records: Any = plan.fetch(**params)
                    if hasattr(records, "__aenter__"):
                        records = await fetching.enter_async_context(records)
                    else:
                        fetching.push_async_callback(close_fetch, records, plan, *grace)
                    await _take_all(records, plan, options, runtime, documents, errors)
    return PipelineResult(
        documents, errors, len(documents), len(errors), started_at, policy.clock()
    )


async def _take_all(
    records: Any,
    plan: AdapterPlan,
    options: RunOptions,
    runtime: Runtime,
    documents: list[Document],
    errors: list[DocumentFailed],
) -> None:
    number = 0
    async for record in records:
        if isinstance(record, Cursor | PipelineEvent):
            continue
        try:
            document = await _parsed(plan, record)
            if options.completed_ids is None or (document.doc_id not in options.completed_ids):
                documents.append(document)
        except Exception as error:
            errors.append(_failed(plan, number, record, error))
        number += 1
        if number % BURST_DOCUMENTS == 0:  # an adapter that awaits nothing has none of its own
            await runtime.cancellation_point()


async def _parsed(plan: AdapterPlan, record: Any) -> Document:
    document = plan.parse(record)
    if inspect.isawaitable(document):
        document = await document
    if not isinstance(document, Document):
        raise TypeError("parse must return a Document whose doc_id is a string")
    if document.doc_id.__class__ is str:
        return document
    doc_id = exact_str(document.doc_id, "Document.doc_id must be a string; it is")
    return attrs.evolve(document, doc_id=doc_id)


def _failed(plan: AdapterPlan, number: int, record: Any, error: Exception) -> DocumentFailed:
    return DocumentFailed(
        doc_id=None,
        error=message_of(error),
        error_type=class_name(type(error)),
        retry_count=0,
        is_retryable=False,
        traceback=_text_of(error),
        adapter=plan.source,
        record_number=number,
        raw=record,
    )


def _text_of(error: Exception) -> str | None:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # an exception may be made so as to defy formatting
        return None
