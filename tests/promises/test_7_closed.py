"""Promise 7, for whoever holds the stream: one asks at a time, and nobody after the block."""

from __future__ import annotations

import anyio
import pytest

from tests.promises.adapters import Plain
from tests.promises.checks import check_numbering, documents_of
from tests.worlds import ONE_THREAD, run, stream_of
from trio_ingest import (
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    StreamBusyError,
    StreamClosedError,
)
from trio_ingest.testing import Pause, ScriptedAdapter

WORKERS = pytest.mark.parametrize("workers", [1, 3])


@WORKERS
def test_second_task_that_asks_is_refused_and_the_first_goes_on(workers: int) -> None:
    received: list[PipelineEvent] = []

    async def main() -> None:
        adapter = ScriptedAdapter([Pause(5), "a"])
        async with (
            stream_of(IngestionPipeline(adapter, workers=workers)) as events,
            anyio.create_task_group() as nursery,
        ):
            nursery.start_soon(first, events)
            await anyio.sleep(1)
            for _ in range(3):
                with pytest.raises(StreamBusyError, match="one consumer"):
                    await anext(events)

    async def first(events: EventStream[PipelineEvent]) -> None:
        received.extend([event async for event in events])

    run(main)
    check_numbering(received)
    assert documents_of(received) == ["1"]


@pytest.mark.parametrize("ended", [True, False], ids=["at its end", "early"])
def test_stream_is_closed_after_its_block(ended: bool) -> None:
    async def main() -> None:
        stream = stream_of(IngestionPipeline(Plain()))
        async with stream as events:
            async for _ in events:
                if not ended:
                    break
        with pytest.raises(StreamClosedError):
            await anext(stream)
        with pytest.raises(StreamClosedError):
            async for _ in stream:
                pass
        with pytest.raises(StreamClosedError, match="one run"):
            async with stream:
                pass
        for late in (stream.drain, stream.pause, stream.resume):
            with pytest.raises(StreamClosedError, match="too late"):
                late()

    run(main)


def test_stream_cannot_be_entered_twice() -> None:
    async def main() -> None:
        stream = stream_of(IngestionPipeline(Plain()))
        async with stream as events:
            await anext(events)
            with pytest.raises(StreamClosedError, match="one run"):
                async with stream:
                    pass
            await anext(events)

    run(main)


@ONE_THREAD
def test_stream_cannot_be_entered_after_it_was_iterated() -> None:
    async def main() -> None:
        bare = stream_of(IngestionPipeline(Plain()))
        async for _ in bare:
            pass
        with pytest.raises(StreamClosedError, match="one run"):
            async with bare:
                pass

    run(main)
