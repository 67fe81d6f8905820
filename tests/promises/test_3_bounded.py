"""Promise 3: what waits anywhere is bounded, whatever the number of documents is."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.promises.adapters import Plain
from tests.promises.checks import ENDS
from tests.promises.object_counts import Counted, living_events, weight
from tests.worlds import ONE_CLOCK, ONE_THREAD, run, stream_of
from trio_ingest import (
    BatchProgress,
    Cursor,
    Document,
    DocumentCompleted,
    EventStream,
    IngestionPipeline,
)
from trio_ingest.testing import Fail, FailTimes, Pause, ScriptedAdapter, SlowParse

CREWS = pytest.mark.parametrize(
    ("workers", "ordered"),
    [(1, True), (2, True), (2, False), (4, True), (4, False)],
    ids=lambda value: value if isinstance(value, int) else None,
)


def held(workers: int) -> int:
    """How many records an adapter may hold that no event in the buffer tells of."""
    return 1 if workers == 1 else 2 * workers


# -- a slow consumer stops the fetch ---------------------------------------------------


@ONE_CLOCK
@pytest.mark.parametrize(
    ("buffer_size", "fetched"), [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (100, 50)]
)
def test_consumer_that_never_asks_stops_the_fetch_at_the_buffer(
    buffer_size: int, fetched: int
) -> None:
    adapter = Plain(count=1000)

    async def main() -> None:
        stream = stream_of(IngestionPipeline(adapter), buffer_size=buffer_size)
        async with stream as events:
            for seconds in (0.1, 1000):
                await anyio.sleep(seconds)
                # The state change, and two events for each document.
                assert adapter.fetched == fetched
                assert events.statistics().queue_depth == buffer_size

    run(main)


@CREWS
@pytest.mark.parametrize("buffer_size", [1, 2, 5, 20])
def test_consumer_that_stops_asking_stops_the_fetch(
    buffer_size: int, workers: int, ordered: bool
) -> None:
    adapter = Plain(count=1000)

    async def main() -> None:
        pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
        ended = 0
        async with stream_of(pipeline, buffer_size=buffer_size) as events:
            for _ in range(31):
                ended += isinstance(await anext(events), ENDS)
            await anyio.sleep(1)
            fetched = adapter.fetched
            assert fetched <= ended + buffer_size + held(workers)
            await anyio.sleep(1000)
            assert adapter.fetched == fetched

    run(main)


_STEPS = st.lists(
    st.sampled_from(["r", "r", Fail(), FailTimes(1), SlowParse(0.5), SlowParse(5), Pause(1)]),
    max_size=25,
)


@given(
    st.lists(_STEPS, min_size=1, max_size=2),
    st.integers(1, 4),
    st.booleans(),
    st.sampled_from([1, 2, 3, 7]),
    st.sampled_from([(0,), (1,), (0, 0, 4)]),
)
def test_what_is_fetched_and_not_received_is_bounded(
    scripts: list[list[Any]],
    workers: int,
    ordered: bool,
    buffer_size: int,
    delays: tuple[float, ...],
) -> None:
    adapters = [ScriptedAdapter(script, source=f"s{i}") for i, script in enumerate(scripts)]
    most = buffer_size + held(workers) * len(adapters)

    async def main() -> None:
        pipeline = IngestionPipeline(*adapters, workers=workers, ordered=ordered)
        stream = stream_of(pipeline, buffer_size=buffer_size, progress_interval=3)
        received = ended = 0
        async with stream as events:
            async for event in events:
                received += 1
                ended += isinstance(event, ENDS)
                await anyio.sleep(delays[received % len(delays)])
                statistics = events.statistics()
                assert statistics.queue_depth <= buffer_size
                assert statistics.in_flight <= held(workers) * len(adapters)
                assert sum(adapter.fetched for adapter in adapters) - ended <= most

    run(main)


@ONE_THREAD
def test_bare_form_holds_one_record() -> None:
    adapter = Counted(200)

    async def main() -> None:
        ended = 0
        async for event in stream_of(IngestionPipeline(adapter), buffer_size=50):
            ended += isinstance(event, ENDS)
            assert adapter.fetched <= ended + 1

    run(main)
    assert adapter.documents.most <= 2
    assert adapter.records.most <= 2


# -- how much is alive, whatever their number -------------------------------------------


async def most_alive(
    adapter: Counted, consume: Callable[[EventStream[Any]], Any], **options: Any
) -> tuple[int, int]:
    policy = {name: options.pop(name) for name in ("workers", "ordered")}
    pipeline = IngestionPipeline(adapter, new_pipeline_id=lambda: "alive", **policy)
    async with stream_of(pipeline, **options) as events:
        await consume(events)
    return adapter.records.most, adapter.documents.most


async def slowly(events: EventStream[Any]) -> None:
    async for _ in events:
        await anyio.sleep(1)


async def quickly(events: EventStream[Any]) -> None:
    async for _ in events:
        pass


@pytest.mark.one_in(3)
@CREWS
@pytest.mark.parametrize("consume", [slowly, quickly])
@pytest.mark.parametrize("buffer_size", [1, 10])
def test_no_more_is_alive_than_the_buffer_and_what_is_in_work(
    buffer_size: int, consume: Callable[..., Any], workers: int, ordered: bool
) -> None:
    options = {"buffer_size": buffer_size, "workers": workers, "ordered": ordered}
    for count in (100, 2000):
        adapter = Counted(count)
        records, documents = run(lambda a=adapter: most_alive(a, consume, **options))
        # Each task may still name what it had last, and so may the consumer.
        named = workers + 1
        assert records <= held(workers) + named
        assert documents <= buffer_size + held(workers) + named


@ONE_CLOCK
@pytest.mark.one_in(3)
@CREWS
@pytest.mark.parametrize("adapters", [1, 3])
def test_buffer_is_filled_and_not_overfilled_while_the_consumer_is_slow(
    adapters: int, workers: int, ordered: bool
) -> None:
    pipeline = IngestionPipeline(
        *[Plain(f"source{i}", 500) for i in range(adapters)],
        workers=workers,
        ordered=ordered,
        new_pipeline_id=lambda: "alive",
    )
    counts = set()

    async def main() -> None:
        async with stream_of(pipeline, buffer_size=10) as events:
            async for event in events:
                if event.sequence % 50 == 7 and event.sequence < 900:
                    await anyio.sleep(1)
                    counts.add((events.statistics().queue_depth, living_events("alive")))

    run(main)
    assert counts == {(10, 11)}  # and the one in the consumer's hands


# -- one record that never ends -----------------------------------------------------------


class Stuck(Plain):
    """Its first record does not end until it is told to; then come ``count`` others."""

    def __init__(self, count: int, *, cursors: bool = False) -> None:
        super().__init__(count=count)
        self.cursors = cursors
        self.released = anyio.Event()

    async def fetch(self, *, cursor: int | None = None) -> AsyncIterator[Any]:
        for number in range(self.count + 1):
            self.fetched += 1
            yield number
            if self.cursors:
                yield Cursor(number + 1)

    def parse(self, record: Any) -> Any:
        return self.stuck() if record == 0 else Document(str(record), self.source, "")

    async def stuck(self) -> Document:
        await self.released.wait()
        return Document("0", self.source, "")


async def sizes_while_stuck(adapter: Stuck) -> tuple[list[int], BatchProgress]:
    """What the checkpoints and the run state machine weigh while the first record is stuck."""
    sizes = []
    ended = 0
    pipeline = IngestionPipeline(adapter, workers=2, ordered=False)
    async with stream_of(pipeline, checkpoint_interval=1000) as events:
        assert events._engine is not None
        (adapter_run,) = events._engine.run.adapter_runs
        async for event in events:
            if isinstance(event, DocumentCompleted):
                ended += 1
                if ended == adapter.count:
                    adapter.released.set()
            elif isinstance(event, BatchProgress):
                last = event
                if event.checkpoint is not None and ended < adapter.count:
                    (position,) = event.checkpoint.positions
                    assert (position.watermark, position.ended) == (0, ((1, ended + 1),))
                    assert position.cursor_record is None
                    sizes.append(len(json.dumps(event.checkpoint.to_dict())))
                    sizes.append(weight(adapter_run))
    assert ended == adapter.count + 1
    return sizes, last


def check_stuck(count: int, *, cursors: bool = False) -> None:
    sizes, last = run(lambda: sizes_while_stuck(Stuck(count, cursors=cursors)))
    assert len(sizes) >= 2 * (count // 1000 - 1)
    assert max(sizes) < 600
    assert last.checkpoint is not None
    (position,) = last.checkpoint.positions
    assert (position.watermark, position.ended) == (count + 1, ())
    assert position.cursor_record == (count + 1 if cursors else None)


@ONE_THREAD
@pytest.mark.parametrize("count", [20_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
def test_checkpoint_stays_small_while_one_record_never_ends(count: int) -> None:
    check_stuck(count)


@ONE_THREAD
def test_cursors_behind_a_record_that_never_ends_are_bounded() -> None:
    check_stuck(20_000, cursors=True)


@ONE_CLOCK
def test_record_that_never_ends_stops_the_fetch_when_order_is_kept() -> None:
    adapter = Stuck(1000)

    async def main() -> None:
        async with stream_of(IngestionPipeline(adapter, workers=3)) as events:
            with anyio.move_on_after(10):
                async for _ in events:
                    pass
            assert adapter.fetched == 2 * 3
            assert not any(events.checkpoint().positions[0].ended)
            adapter.released.set()
            async for _ in events:
                pass

    run(main)
    assert adapter.fetched == 1001


# -- records that are done already ----------------------------------------------------------


class Named(Counted):
    """Knows the ids of its records beforehand."""

    def identify(self, record: Any) -> str:
        return str(record.number)


class All:
    """Everything but a few is done."""

    def __contains__(self, doc_id: object) -> bool:
        return doc_id not in {"0", "77777"}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("workers", [1, 2])
def test_passing_over_very_many_records_holds_no_memory(workers: int) -> None:
    adapter = Named(150_000)
    weights = []

    async def main() -> None:
        pipeline = IngestionPipeline(adapter, workers=workers)
        async with stream_of(pipeline, completed_ids=All()) as events:
            assert events._engine is not None
            (adapter_run,) = events._engine.run.adapter_runs
            async for event in events:
                if isinstance(event, BatchProgress):
                    weights.append(weight(adapter_run))
                    last = event
        assert last.skipped == 149_998
        assert last.completed == 2

    run(main)
    assert adapter.records.most <= held(workers) + workers + 1
    assert len(weights) > 1000
    assert max(weights) < 100


@ONE_CLOCK
@pytest.mark.parametrize("workers", [1, 2])
def test_slow_consumer_stops_the_passing_over_too(workers: int) -> None:
    adapter = Named(100_000)

    async def main() -> None:
        stream = stream_of(
            IngestionPipeline(adapter, workers=workers),
            completed_ids=All(),
            buffer_size=5,
            progress_interval=100,
        )
        async with stream as events:
            await anext(events)
            await anyio.sleep(1000)
            assert 0 < adapter.fetched <= 100 * (5 + 2)
            assert events.statistics().queue_depth == 5

    run(main)
