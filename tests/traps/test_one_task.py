"""Trap: an async generator that changes its task, or is left unclosed, breaks its scopes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.promises.adapters import Plain
from tests.worlds import run
from trio_ingest import DocumentCompleted, IngestionPipeline

WORKERS = pytest.mark.parametrize("workers", [1, 3])


class Local(Plain):
    """Notes in which task each step of its ``fetch`` runs, the closing included."""

    def __init__(self, count: int) -> None:
        super().__init__(count=count)
        self.tasks: list[trio.lowlevel.Task] = []
        self.exits = 0

    async def fetch(self) -> AsyncIterator[Any]:
        self.note()
        try:
            for number in range(self.count):
                await trio.sleep(0.1)
                self.note()
                yield number
                self.note()
        finally:
            self.note()
            self.exits += 1

    def note(self) -> None:
        self.tasks.append(trio.lowlevel.current_task())


@WORKERS
@pytest.mark.parametrize("leave_after", [None, 0, 3], ids=["never", "at once", "early"])
def test_fetch_is_iterated_and_closed_in_one_task(
    leave_after: int | None, workers: int
) -> None:
    adapter = Local(10)

    async def main() -> None:
        pipeline = IngestionPipeline(adapter, workers=workers)
        async with pipeline.stream_events(buffer_size=1) as events:
            async for event in events:
                if leave_after is not None and event.sequence == 3 + leave_after:
                    break
        # By now, and not when the garbage collector comes to it.
        assert adapter.exits == 1

    run(main)
    assert len(set(adapter.tasks)) == 1


@WORKERS
def test_drain_interrupts_the_fetch_and_not_the_stream(workers: int) -> None:
    interrupted = []

    class Hanging(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 0
            yield 1
            try:
                await trio.sleep_forever()
            except trio.Cancelled:
                interrupted.append(True)
                raise

    documents = []

    async def main() -> None:
        async with IngestionPipeline(Hanging(), workers=workers).stream_events() as events:
            async for event in events:
                if isinstance(event, DocumentCompleted):
                    documents.append(event.document.doc_id)
                    if len(documents) == 2:
                        events.drain()
            await trio.lowlevel.checkpoint()  # the consumer itself is not cancelled

    run(main)
    assert documents == ["0", "1"]
    assert interrupted == [True]
