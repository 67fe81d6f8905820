"""What type checkers make of the asyncio face; this file is never run."""

from __future__ import annotations

from typing import assert_type

from trio_ingest import (
    Document,
    DocumentStream,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    PipelineResult,
    aio,
)
from trio_ingest.threads import run_in_thread, uninterrupted


async def the_calls_give_what_a_pipeline_gives(pipeline: IngestionPipeline) -> None:
    assert_type(aio.stream_events(pipeline), EventStream[PipelineEvent])
    assert_type(
        aio.stream_events(pipeline, runtime="trio", buffer_size=5), EventStream[PipelineEvent]
    )
    assert_type(aio.iter_results(pipeline, params=[{"a": 1}]), DocumentStream)
    assert_type(await aio.run_async(pipeline, runtime="trio"), PipelineResult)


async def a_transformer_decides_what_is_seen(pipeline: IngestionPipeline) -> None:
    shaped = aio.stream_events(pipeline, event_transformer=lambda event: event.sequence)
    assert_type(shaped, EventStream[int])
    async with shaped as numbers:
        async for number in numbers:
            assert_type(number, int)
    async for document in aio.iter_results(pipeline):
        assert_type(document, Document)


def a_wrong_runtime_is_seen(pipeline: IngestionPipeline) -> None:
    aio.iter_results(pipeline, runtime="curio")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


def an_unknown_option_is_seen(pipeline: IngestionPipeline) -> None:
    aio.iter_results(pipeline, buffersize=5)  # type: ignore[call-arg] # pyright: ignore[reportCallIssue]


async def what_a_thread_returns_is_known() -> None:
    assert_type(await run_in_thread(lambda: 5), int)

    async def text() -> str:
        return "text"

    assert_type(await uninterrupted(text), str)
