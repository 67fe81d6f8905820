"""Several workers parse at the same time, and no record waits for one that it need not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
import trio.testing

from tests.promises.adapters import Plain, see
from tests.promises.checks import documents_of
from trio_ingest import (
    Document,
    DocumentCompleted,
    DocumentStarted,
    IngestionPipeline,
    RetryPolicy,
)
from trio_ingest.testing import FailTimes, ScriptedAdapter, SlowParse

ORDERED = pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])


class Slow(Plain):
    """Each parse awaits a second; counts how many do so at once."""

    working = most = 0

    async def parse(self, record: Any) -> Document:
        self.working += 1
        self.most = max(self.most, self.working)
        await trio.sleep(1)
        self.working -= 1
        return Document(str(record), self.source, "")


@ORDERED
@pytest.mark.parametrize("workers", [2, 4, 7])
@pytest.mark.parametrize("buffer_size", [1, 100])
async def test_as_many_records_are_parsed_at_once_as_there_are_workers(
    autojump_clock: trio.abc.Clock, ordered: bool, workers: int, buffer_size: int
) -> None:
    adapter, began = Slow(count=10 * workers), trio.current_time()
    pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
    await see(pipeline, buffer_size=buffer_size)
    assert adapter.most == workers
    assert trio.current_time() - began == pytest.approx(10)


@ORDERED
async def test_workers_belong_to_each_adapter(
    autojump_clock: trio.abc.Clock, ordered: bool
) -> None:
    adapters = [Slow(source, count=6) for source in "ab"]
    began = trio.current_time()
    await see(IngestionPipeline(*adapters, workers=3, ordered=ordered))
    assert [adapter.most for adapter in adapters] == [3, 3]
    assert trio.current_time() - began == pytest.approx(2)


@ORDERED
async def test_workers_that_were_idle_all_wake_when_a_page_arrives(
    autojump_clock: trio.abc.Clock, ordered: bool
) -> None:
    class Pages(Slow):
        async def fetch(self) -> AsyncIterator[Any]:
            for _ in range(3):
                await trio.sleep(10)
                for number in range(4):
                    yield number

    adapter, began = Pages(), trio.current_time()
    await see(IngestionPipeline(adapter, workers=4, ordered=ordered))
    assert adapter.most == 4
    assert trio.current_time() - began == pytest.approx(31)


async def test_out_of_order_a_slow_record_holds_back_no_other(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter = ScriptedAdapter([SlowParse(100), *range(50)])
    times = {}
    async with IngestionPipeline(adapter, workers=2, ordered=False).stream_events() as stream:
        async for event in stream:
            if isinstance(event, DocumentCompleted):
                times[event.record_number] = trio.current_time()
    assert list(times) == [*range(1, 51), 0]
    assert max(times[n] for n in range(1, 51)) < 1


async def test_in_order_a_slow_record_holds_back_a_window_and_no_more(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter = ScriptedAdapter([SlowParse(100), *range(50)])
    async with IngestionPipeline(adapter, workers=2).stream_events() as stream:
        async for event in stream:
            if 10 < trio.current_time() < 90:
                assert adapter.fetched == 4
            last = event
    assert adapter.fetched == 51
    assert last.sequence > 100


@ORDERED
async def test_retry_that_waits_holds_back_one_worker_and_no_more(
    autojump_clock: trio.abc.Clock, ordered: bool
) -> None:
    retry = RetryPolicy(attempts=2, base_seconds=60, max_seconds=60, seed=1)
    adapter = ScriptedAdapter([FailTimes(1), *[SlowParse(1)] * 3])
    pipeline = IngestionPipeline(adapter, workers=2, ordered=ordered, retry=retry)
    seen = await see(pipeline)
    started = [e.record_number for e in seen.events if isinstance(e, DocumentStarted)]
    names = [type(e).__name__ for e in seen.events]
    assert started == [0, 1, 2, 3]
    # All four had begun before the first was tried again.
    assert sorted(documents_of(seen.events)) == ["0", "1", "2", "3"]
    assert (documents_of(seen.events)[-1] == "0") is not ordered
    assert names.count("DocumentRetrying") == 1


@ORDERED
async def test_failure_of_a_fetch_lets_what_is_in_flight_end(
    autojump_clock: trio.abc.Clock, ordered: bool
) -> None:
    class Dying(Slow):
        async def fetch(self) -> AsyncIterator[Any]:
            for number in range(3):
                yield number
            raise OSError("gone")

    seen = await see(IngestionPipeline(Dying(), workers=3, ordered=ordered))
    assert sorted(documents_of(seen.events)) == ["0", "1", "2"]
    assert repr(seen.failure) == "OSError('gone')"


async def test_workers_without_anything_to_wait_for_keep_the_order_anyway() -> None:
    seen = await see(IngestionPipeline(Plain(count=500), workers=8, ordered=False))
    assert sorted(map(int, documents_of(seen.events))) == list(range(500))
    seen = await see(IngestionPipeline(Plain(count=500), workers=8))
    assert documents_of(seen.events) == [str(n) for n in range(500)]
