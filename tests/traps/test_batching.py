"""Trap: batching events into lists holds back DocumentStarted until the work is done."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.promises.adapters import FORMS, Plain, see
from tests.worlds import run
from trio_ingest import Document, DocumentStarted, IngestionPipeline, PipelineEvent


class Slow(Plain):
    """Notes what the consumer had received when the work on each record was half done."""

    def __init__(self, received: list[PipelineEvent]) -> None:
        super().__init__(count=5)
        self.received = received
        self.known: list[bool] = []

    async def parse(self, record: Any) -> Document:
        await trio.sleep(1)
        started = {e.record_number for e in self.received if isinstance(e, DocumentStarted)}
        self.known.append(record in started)
        await trio.sleep(1)
        return Document(str(record), self.source, "")


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("buffer_size", [1, 100, 10_000])
def test_start_of_a_document_does_not_wait_for_others(buffer_size: int, workers: int) -> None:
    received: list[PipelineEvent] = []
    adapter = Slow(received)

    async def main() -> None:
        pipeline = IngestionPipeline(adapter, workers=workers)
        async with pipeline.stream_events(buffer_size=buffer_size) as events:
            async for event in events:
                received.append(event)  # noqa: PERF401 -- each at once

    run(main)
    assert adapter.known == [True] * 5


@FORMS
def test_single_record_is_delivered_though_no_batch_is_full(bare: bool, workers: int) -> None:
    class Trickle(Plain):
        async def fetch(self) -> Any:
            yield 0
            await trio.sleep(3600)

    async def main() -> None:
        stream = IngestionPipeline(Trickle(), workers=workers).stream_events()
        with trio.move_on_after(5):
            if bare:
                async for event in stream:
                    names.append(type(event).__name__)  # noqa: PERF401 -- each at once
            else:
                async with stream as events:
                    async for event in events:
                        names.append(type(event).__name__)  # noqa: PERF401 -- each at once

    names: list[str] = []
    run(main)
    assert names[:3] == ["AdapterStateChange", "DocumentStarted", "DocumentCompleted"]


def test_events_come_one_by_one() -> None:
    seen = run(lambda: see(IngestionPipeline(Plain())))
    assert all(isinstance(event, PipelineEvent) for event in seen.events)
