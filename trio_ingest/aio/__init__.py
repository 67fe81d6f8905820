"""Streams of a pipeline from asyncio, uvloop and Trio.

By default the engine runs natively in the caller's loop, so adapters that await asyncio just
work. With ``runtime="trio"`` the engine runs on Trio in a thread of its own, for adapters that
await Trio. Where Trio runs already, both are what the pipeline's own calls give.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, Literal, TypeVar, Unpack, overload

import trio

from trio_ingest import (
    DocumentStream,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    PipelineResult,
    RunArguments,
    SetupError,
    StreamArguments,
)
from trio_ingest._core.options import DEFAULT_BUFFER_SIZE, Shaping
from trio_ingest._engine.engine import AnyEngine, Engine
from trio_ingest._engine.runtime import Runtime
from trio_ingest._engine.setup import RunSetup
from trio_ingest._legacy import warn_once
from trio_ingest._pipeline import collected, collected_eagerly, shaping_of, stream_of
from trio_ingest._results import document_of, is_document

from ._runtime import AsyncioRuntime

__all__ = ["iter_results", "run_async", "run_async_legacy", "stream_events"]

Shown = TypeVar("Shown")


@overload
def stream_events(
    pipeline: IngestionPipeline,
    buffer_size: int = DEFAULT_BUFFER_SIZE,
    *,
    runtime: Literal["asyncio", "trio"] = "asyncio",
    event_filter: Callable[[PipelineEvent], bool] | None = None,
    event_transformer: None = None,
    **options: Unpack[StreamArguments],
) -> EventStream[PipelineEvent]: ...


@overload
def stream_events(
    pipeline: IngestionPipeline,
    buffer_size: int = DEFAULT_BUFFER_SIZE,
    *,
    runtime: Literal["asyncio", "trio"] = "asyncio",
    event_filter: Callable[[PipelineEvent], bool] | None = None,
    event_transformer: Callable[[PipelineEvent], Shown],
    **options: Unpack[StreamArguments],
) -> EventStream[Shown]: ...


def stream_events(
    pipeline: IngestionPipeline,
    buffer_size: int = DEFAULT_BUFFER_SIZE,
    *,
    runtime: Literal["asyncio", "trio"] = "asyncio",
    event_filter: Callable[[PipelineEvent], bool] | None = None,
    event_transformer: Callable[[PipelineEvent], Any] | None = None,
    **options: Unpack[StreamArguments],
) -> EventStream[Any]:
    """Return a stream of the events of one run, like ``IngestionPipeline.stream_events``.

    Args:
        pipeline: adapters plus policies; the same object serves every library.
        buffer_size: events that may wait for the consumer.
        runtime: what the adapters await when the caller is on asyncio. "trio" takes a
            thread, and has the ``async with`` form alone.
        event_filter: a function of an event that says whether the caller sees it; None: all
            of them.
        event_transformer: a function of an event that gives what the caller sees instead;
            None: the event itself.
        options: see ``StreamArguments``.

    Returns:
        the stream, as ``IngestionPipeline.stream_events`` does.

    Raises:
        SetupError: an option is wrong.
        CheckpointError: ``resume_from`` does not fit this pipeline and these params.

    On asyncio, one cancellation of the task that iterates ends the run with the pipeline's
    grace for cleanup; a second cuts the cleanup short.

    Memory: as ``EventStream``; with ``runtime="trio"`` a thread besides.
    """
    shaping = shaping_of(event_filter, event_transformer)
    return _stream(pipeline, runtime, shaping, {"buffer_size": buffer_size, **options})


def iter_results(
    pipeline: IngestionPipeline,
    *,
    runtime: Literal["asyncio", "trio"] = "asyncio",
    **options: Unpack[RunArguments],
) -> DocumentStream:
    """Return a stream of the documents alone, like ``IngestionPipeline.iter_results``.

    Args:
        pipeline: as for ``stream_events``.
        runtime: as for ``stream_events``.
        options: see ``RunArguments``.

    Returns:
        the stream, as ``IngestionPipeline.iter_results`` does.

    Raises: as ``stream_events``.

    Memory: as ``stream_events``.
    """
    return DocumentStream(
        _stream(pipeline, runtime, Shaping(is_document, document_of), options)
    )


async def run_async(
    pipeline: IngestionPipeline,
    *,
    runtime: Literal["asyncio", "trio"] = "asyncio",
    **options: Unpack[RunArguments],
) -> PipelineResult:
    """Run to the end and return everything, like ``IngestionPipeline.run_async``.

    Args:
        pipeline: as for ``stream_events``.
        runtime: as for ``stream_events``.
        options: see ``RunArguments``.

    Returns:
        the documents and the failures, in the order of the adapters.

    Raises:
        SetupError: an option is wrong.
        CheckpointError: ``resume_from`` does not fit this pipeline and these params.
        Exception: a dead adapter's failure, with a note of what was discarded.

    Cancelled, every adapter is closed, and the documents are discarded.

    Memory: every document and every failure.
    """
    return await collected(pipeline, _stream(pipeline, runtime, None, options))


async def run_async_legacy(
    pipeline: IngestionPipeline,
    *,
    params: Iterable[Mapping[str, Any]] = ({},),
    completed_ids: Container[str] | None = None,
) -> PipelineResult:
    """Run the old eager loop, like ``IngestionPipeline.run_async_legacy``. Deprecated.

    Args:
        pipeline: as for ``stream_events``; its adapters await what runs here.
        params: a list of keyword mappings; each adapter runs once for each; ``[{}]``.
        completed_ids: anything with ``in``; documents whose id is in it are left out.

    Returns:
        the documents, and for each record that became none an event in ``errors``.

    Raises:
        SetupError: an argument is wrong.
        Exception: what ``fetch`` or ``aclose`` of an adapter raised, at once.

    Memory: every document and every failure.
    """
    warn_once()
    runtime = AsyncioRuntime().here()
    return await collected_eagerly(pipeline, runtime, params, completed_ids)


def _stream(
    pipeline: IngestionPipeline,
    runtime: str,
    shaping: Shaping | None,
    options: RunArguments,
) -> EventStream[Any]:
    if runtime not in ("asyncio", "trio"):
        raise SetupError(
            f'runtime must be "asyncio" or "trio", whichever the adapters await; '
            f"got {runtime!r}."
        )
    needs_thread = runtime == "trio" and not trio.lowlevel.in_trio_task()
    new_engine = _engine_in_thread if needs_thread else Engine
    return stream_of(pipeline, AsyncioRuntime(), shaping, options, new_engine)


def _engine_in_thread(setup: RunSetup, runtime: Runtime) -> AnyEngine:
    if not isinstance(runtime, AsyncioRuntime):  # it was entered where Trio runs
        return Engine(setup, runtime)
    from ._thread_engine import ThreadEngine  # noqa: PLC0415 -- most runs never need the portal

    return ThreadEngine(setup, runtime)
