"""Trap: closing the receiving side before the tasks are gone makes an innocent break raise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.promises.adapters import Plain
from tests.worlds import run
from trio_ingest import Document, IngestionPipeline


class Busy(Plain):
    """Never waits for anything but room, so that it is always about to put an event."""

    async def fetch(self) -> AsyncIterator[Any]:
        while True:
            yield 0


class Waiting(Busy):
    async def parse(self, record: Any) -> Document:
        await trio.lowlevel.checkpoint()
        return Document("0", self.source, "")


@pytest.mark.one_in(5)
@pytest.mark.parametrize("kind", [Busy, Waiting])
@pytest.mark.parametrize(("workers", "ordered"), [(1, True), (4, True), (4, False)])
@pytest.mark.parametrize("buffer_size", [1, 2, 100])
def test_break_raises_nothing_in_any_of_many_rounds(
    buffer_size: int, workers: int, ordered: bool, kind: type[Busy]
) -> None:
    async def main() -> None:
        # The scheduler throws dice, so one round proves nothing: it was 6 of 50.
        for leave_at in range(100):
            adapters = [kind("one"), kind("two")]
            pipeline = IngestionPipeline(*adapters, workers=workers, ordered=ordered)
            async with pipeline.stream_events(buffer_size=buffer_size) as events:
                async for event in events:
                    if event.sequence == leave_at:
                        break
            assert all(adapter.closed for adapter in adapters)

    run(main)
