"""A web endpoint that streams the events to a real HTTP client as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2 as httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from tests.promises.checks import check_numbering, check_shape
from tests.promises.closing_adapter import ClosingAdapter
from tests.worlds import until
from trio_ingest import IngestionPipeline, PipelineEvent, aio
from trio_ingest.serialization import EventCodec
from trio_ingest.testing import Fail, Hang, Pause

CODEC = EventCodec()


class Site:
    """An application whose one endpoint runs a pipeline for whoever asks."""

    def __init__(self, runtime: str) -> None:
        self.runtime = runtime
        self.adapters: list[ClosingAdapter] = []

    async def events(self, request: Request) -> StreamingResponse:
        script = ["a", Fail(), Pause(0.01), "b"]
        if request.query_params.get("forever"):
            script = ["a"] * 300 + [Hang()]
        adapter = Quick(script)
        self.adapters.append(adapter)

        async def body() -> AsyncIterator[bytes]:
            pipeline = IngestionPipeline(adapter)
            async with aio.stream_events(pipeline, runtime=self.runtime) as events:  # type: ignore[call-overload]
                async for event in events:
                    yield b"data: " + CODEC.encode(event) + b"\n\n"

        return StreamingResponse(body(), media_type="text/event-stream")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = Starlette(routes=[Route("/events", self.events)])
        config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        try:
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            await task


class Quick(ClosingAdapter):
    """Counts its closings, and is quick about them."""

    async def aclose(self) -> None:
        self.closings += 1


async def received_by(client: httpx.AsyncClient, url: str) -> list[PipelineEvent]:
    async with client.stream("GET", url) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        return [
            CODEC.decode(line.removeprefix("data: "))
            async for line in response.aiter_lines()
            if line
        ]


RUNTIMES = pytest.mark.parametrize("runtime", ["asyncio", "trio"])


@RUNTIMES
def test_events_reach_a_real_http_client_as_server_sent_events(runtime: str) -> None:
    site = Site(runtime)

    async def main() -> None:
        async with site.serving() as url, httpx.AsyncClient(timeout=20) as client:
            several = await asyncio.gather(
                *[received_by(client, f"{url}/events") for _ in range(3)]
            )
        for events in several:
            check_numbering(events)
            check_shape(events)
            assert len(events) == 9

    asyncio.run(main())
    assert [adapter.closings for adapter in site.adapters] == [1, 1, 1]


@RUNTIMES
def test_client_that_goes_away_cancels_the_run_and_closes_the_adapter(runtime: str) -> None:
    site = Site(runtime)

    async def main() -> None:
        before = len(asyncio.all_tasks())
        async with site.serving() as url, httpx.AsyncClient(timeout=20) as client:
            async with client.stream("GET", f"{url}/events?forever=1") as response:
                lines = response.aiter_lines()
                for _ in range(5):
                    await anext(lines)
                assert site.adapters[0].closings == 0
            await until(lambda: site.adapters[0].closings)
            assert [a.closings for a in site.adapters] == [1]
            assert [a.opened - a.closed for a in site.adapters] == [0]
        assert len(asyncio.all_tasks()) == before

    asyncio.run(main())
