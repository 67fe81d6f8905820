"""Beside a guest run of Trio in the same thread, asyncio's tasks are still asyncio's."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import trio

from trio_ingest import Document, IngestionPipeline, aio
from trio_ingest.threads import run_in_thread


class Feed:
    source = "feed"

    async def fetch(self) -> AsyncIterator[int]:
        for number in range(3):
            await asyncio.sleep(0)
            yield number

    def parse(self, record: int) -> Document:
        return Document(str(record), self.source, "")


def test_both_forms_and_threads_work_beside_a_guest_run() -> None:
    async def main() -> list[Any]:
        loop, done, stop = asyncio.get_running_loop(), asyncio.Event(), trio.Event()
        trio.lowlevel.start_guest_run(
            stop.wait,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda _: done.set(),
        )
        await asyncio.sleep(0.01)
        pipeline = IngestionPipeline(Feed())
        found: list[Any] = [(await aio.run_async(pipeline)).success_count]
        found.append(len([event async for event in aio.stream_events(pipeline)]) > 3)
        going_on, ended = threading.Event(), []

        def work() -> None:
            going_on.wait()
            ended.append(1)

        task = asyncio.create_task(run_in_thread(work))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
        found.append(task.done())
        going_on.set()
        await asyncio.wait([task])
        found.append(ended)
        stop.set()
        await done.wait()
        return found

    assert asyncio.run(main()) == [3, True, False, [1]]
