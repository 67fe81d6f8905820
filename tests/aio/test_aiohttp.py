"""An adapter that uses aiohttp's client as its documentation does, against a real server."""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web

from tests.promises.checks import check_shape, documents_of
from tests.worlds import until
from trio_ingest import (
    Cursor,
    Document,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    RetryPolicy,
    aio,
)

PAGES = 5
PER_PAGE = 20


class Library:
    """A server of pages of articles; some are slow, some fail the first time."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.open_streams = 0
        self.unlucky = {"7", "31"}

    async def page(self, request: web.Request) -> web.StreamResponse:
        """One page, as lines of JSON, written as they are ready."""
        number = int(request.match_info["number"])
        response = web.StreamResponse()
        await response.prepare(request)
        self.open_streams += 1
        try:
            for place in range(PER_PAGE):
                line = json.dumps({"id": str(number * PER_PAGE + place)})
                await response.write(line.encode() + b"\n")
            if request.query.get("forever"):
                await asyncio.sleep(1000)
        finally:
            self.open_streams -= 1
        return response

    async def article(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        self.asked.append(number)
        if number in self.unlucky:
            self.unlucky.remove(number)
            return web.Response(status=503)
        return web.json_response({"text": f"article {number}"})

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        app.router.add_get("/page/{number}", self.page)
        app.router.add_get("/article/{number}", self.article)
        runner = web.AppRunner(app, handler_cancellation=True)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            yield "http://{}:{}".format(*runner.addresses[0])
        finally:
            await runner.cleanup()


class Articles:
    """Streams the pages, and asks for each article in ``parse``, all in one session."""

    source = "articles"
    stable_order = True

    def __init__(self, url: str, *, forever: bool = False) -> None:
        self.url = url
        self.query = {"forever": "1"} if forever else {}

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        self.session = ClientSession()
        for number in range(cursor, PAGES):
            page = f"{self.url}/page/{number}"
            async with self.session.get(page, params=self.query) as response:
                async for line in response.content:
                    yield json.loads(line)
            yield Cursor(number + 1)

    async def parse(self, record: Any) -> Document:
        async with self.session.get(f"{self.url}/article/{record['id']}") as response:
            response.raise_for_status()
            found = await response.json()
        return Document(record["id"], self.source, found["text"])

    async def aclose(self) -> None:
        # Here, not at the end of fetch: other workers may still be parsing then.
        await self.session.close()

    def is_retryable(self, error: Exception) -> bool:
        return getattr(error, "status", None) == 503


@pytest.fixture(autouse=True)
def nothing_unclosed() -> Any:
    """What aiohttp finds unclosed it says when it is collected."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
        gc.collect()


def play(main: Any) -> None:
    async def whole() -> None:
        before = asyncio.all_tasks()
        await main()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before

    asyncio.run(whole(), debug=True)


@pytest.mark.parametrize("workers", [1, 8])
def test_articles_of_a_real_server_are_fetched_and_parsed_with_aiohttp(workers: int) -> None:
    library = Library()

    async def main() -> None:
        async with library.serving() as url:
            retry = RetryPolicy(attempts=2, base_seconds=0.001)
            pipeline = IngestionPipeline(Articles(url), workers=workers, retry=retry)
            async with aio.stream_events(pipeline) as events:
                received = [event async for event in events]
        check_shape(received)
        assert documents_of(received) == [str(n) for n in range(PAGES * PER_PAGE)]
        assert not [e for e in received if isinstance(e, DocumentFailed)]
        assert events.checkpoint().positions[0].cursor == PAGES

    play(main)
    assert len(library.asked) == PAGES * PER_PAGE + 2


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("road", ["break", "timeout", "cancelled"])
def test_leaving_in_the_middle_closes_session_and_connections(road: str, workers: int) -> None:
    library = Library()

    async def consume(url: str, adapter: Articles) -> None:
        pipeline = IngestionPipeline(adapter, workers=workers)
        async with aio.stream_events(pipeline) as events:
            ended = 0
            async for event in events:
                ended += isinstance(event, DocumentCompleted)
                if road == "break" and ended == PER_PAGE - 1:
                    break

    async def main() -> None:
        async with library.serving() as url:
            adapter = Articles(url, forever=True)
            if road == "break":
                await consume(url, adapter)
            elif road == "timeout":
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.2):
                        await consume(url, adapter)
            else:
                task = asyncio.create_task(consume(url, adapter))
                await asyncio.sleep(0.2)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert adapter.session.closed
            await until(lambda: not library.open_streams)

    play(main)


def test_run_goes_on_from_its_cursor() -> None:
    library = Library()

    async def main() -> None:
        async with library.serving() as url:
            pipeline = IngestionPipeline(Articles(url), workers=4)
            async with aio.stream_events(pipeline, checkpoint_interval=10) as events:
                async for event in events:
                    if isinstance(event, DocumentCompleted) and event.record_number == 50:
                        break
            stored = events.checkpoint()
            asked = len(library.asked)
            rest = await aio.run_async(pipeline, resume_from=stored)
        assert rest.documents[0].doc_id == "50"
        assert [document.doc_id for document in rest.documents][-1] == "99"
        assert len(library.asked) - asked == 50

    library.unlucky.clear()
    play(main)
