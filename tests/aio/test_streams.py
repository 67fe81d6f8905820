"""The calls of trio_ingest.aio: from asyncio, uvloop and Trio, many at once, abandoned."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio
import trio.lowlevel

from tests.promises.adapters import Plain
from tests.promises.checks import documents_of
from tests.promises.closing_adapter import ClosingAdapter
from tests.worlds import WORLDS, call_of, in_world, living_tasks, run, run_on, stream_of, until
from trio_ingest import Checkpoint, DocumentCompleted, IngestionPipeline, SetupError, aio
from trio_ingest.testing import Hang, Pause

EVERYWHERE = pytest.mark.parametrize("name", WORLDS)
ON_ASYNCIO = pytest.mark.parametrize("name", ["asyncio", "uvloop", "bridge"])
RUNTIMES = pytest.mark.parametrize("runtime", ["asyncio", "trio"])


@EVERYWHERE
def test_documents_alone_and_the_eager_list_are_the_same_everywhere(name: str) -> None:
    async def main() -> None:
        pipeline = IngestionPipeline(Plain())
        async with call_of(pipeline, "iter_results")() as documents:
            assert [document.doc_id async for document in documents] == ["0", "1", "2"]
        result = await call_of(pipeline, "run_async")(params=[{}])
        assert (result.success_count, result.failure_count) == (3, 0)

    with in_world(name):
        run(main)


@EVERYWHERE
def test_the_size_of_the_buffer_is_given_by_position(name: str) -> None:
    async def main() -> None:
        pipeline = IngestionPipeline(Plain())
        async with call_of(pipeline, "stream_events")(7) as events:
            assert events.statistics().buffer_size == 7

    with in_world(name):
        run(main)


@pytest.mark.filterwarnings("ignore:run_async_legacy is deprecated")
@pytest.mark.parametrize("name", ["trio", "asyncio", "uvloop"])
def test_the_old_loop_runs_wherever_its_adapters_do(name: str) -> None:
    class Waiting(Plain):
        async def parse(self, record: Any) -> Any:
            await anyio.lowlevel.checkpoint()
            if record == 1:
                raise ValueError("no")
            return super().parse(record)

    async def main() -> None:
        result = await aio.run_async_legacy(IngestionPipeline(Waiting()), completed_ids={"0"})
        assert [document.doc_id for document in result.documents] == ["2"]
        assert [failed.error for failed in result.errors] == ["no"]
        with pytest.raises(SetupError, match="completed_ids"):
            await aio.run_async_legacy(IngestionPipeline(Waiting()), completed_ids="0")

    with in_world(name):
        run(main)


@RUNTIMES
def test_on_trio_both_runtimes_are_the_plain_engine(runtime: Any) -> None:
    threads: list[int] = []

    class Here(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            threads.append(threading.get_ident())
            await trio.lowlevel.checkpoint()
            yield 0

    async def main() -> None:
        pipeline = IngestionPipeline(Here())
        assert (await aio.run_async(pipeline, runtime=runtime)).success_count == 1
        async for _ in aio.stream_events(pipeline, runtime=runtime):
            pass

    trio.run(main)
    assert set(threads) == {threading.get_ident()}


@RUNTIMES
def test_stream_made_outside_runs_where_it_is_entered(runtime: Any) -> None:
    async def main(stream: Any) -> int:
        async with stream as events:
            return len([event async for event in events])

    pipeline = IngestionPipeline(Plain())
    lengths = {
        asyncio.run(main(aio.stream_events(pipeline, runtime=runtime))),
        trio.run(main, aio.stream_events(pipeline, runtime=runtime)),
    }
    assert lengths == {9}


def test_stream_entered_where_nothing_runs_is_refused() -> None:
    stream = aio.stream_events(IngestionPipeline(Plain()))
    with pytest.raises(SetupError, match=r"start that with asyncio\.run"):
        stream.__aenter__().send(None)  # type: ignore[attr-defined]


def test_unknown_runtime_is_refused_and_told_the_two() -> None:
    with pytest.raises(SetupError, match=r'"asyncio" or "trio", .*got \'curio\''):
        aio.stream_events(IngestionPipeline(Plain()), runtime="curio")  # type: ignore[call-overload]


def test_bare_form_across_the_bridge_is_refused_and_told_the_right_spelling() -> None:
    async def main() -> None:
        stream = aio.stream_events(IngestionPipeline(Plain()), runtime="trio")
        with pytest.raises(SetupError, match=r"thread of its own\. Write `async with"):
            async for _ in stream:
                pass

    run_on(WORLDS["asyncio"].new_loop, main)


@pytest.mark.parametrize("name", ["asyncio", "bridge"])
def test_setup_mistake_found_on_entering_leaves_no_thread(name: str) -> None:
    class Wrong(Plain):
        def fetch(self) -> Any:
            return [1, 2]

    async def main() -> None:
        with pytest.raises(SetupError, match="it gave a list"):
            async with stream_of(IngestionPipeline(Wrong())):
                pass

    with in_world(name):
        run(main)


@pytest.mark.one_in(3)
@ON_ASYNCIO
@pytest.mark.parametrize("count", [10, pytest.param(50, marks=pytest.mark.slow)])
def test_many_streams_run_at_once(count: int, name: str) -> None:
    pipeline = IngestionPipeline(Plain(count=count), workers=2)

    async def one() -> list[str]:
        async with stream_of(pipeline, buffer_size=3) as events:
            return documents_of([event async for event in events])

    async def main() -> None:
        results = await asyncio.gather(*[one() for _ in range(12)])
        assert results == [[str(n) for n in range(count)]] * 12

    with in_world(name):
        run(main)


@ON_ASYNCIO
def test_abandoned_generator_around_a_stream_is_closed_by_asyncio(name: str) -> None:
    adapter = ClosingAdapter([*"abc", Hang()])

    async def numbers() -> AsyncIterator[int]:
        async with stream_of(IngestionPipeline(adapter)) as events:
            async for event in events:
                yield event.sequence

    async def main() -> None:
        async for number in numbers():
            if number == 3:
                break
        gc.collect()
        await until(lambda: living_tasks() == 1)

    with in_world(name):
        run(main)
    assert (adapter.opened, adapter.closed, adapter.closings) == (1, 1, 1)


@ON_ASYNCIO
def test_stream_may_be_left_in_another_task_than_it_was_entered_in(name: str) -> None:
    adapter = ClosingAdapter([*"abc", Hang()])

    async def main() -> None:
        stream = stream_of(IngestionPipeline(adapter))
        for step in (stream.__aenter__(), anext(stream), stream.__aexit__(None, None, None)):
            task = asyncio.ensure_future(step)
            await task

    with in_world(name):
        run(main)
    assert adapter.closings == 1


def test_abandoned_bare_stream_closes_its_adapter() -> None:
    adapter = Plain(count=10)

    async def main() -> None:
        async for _ in aio.stream_events(IngestionPipeline(adapter)):
            break
        gc.collect()
        await asyncio.sleep(0.01)

    run_on(WORLDS["asyncio"].new_loop, main)
    assert adapter.closed


@ON_ASYNCIO
def test_drain_pause_and_statistics_work_from_asyncio(name: str) -> None:
    async def main() -> None:
        adapter = ClosingAdapter([*"abcdef", Pause(3), *"ghi", Hang()])
        async with stream_of(IngestionPipeline(adapter), buffer_size=4) as events:
            received = [await anext(events) for _ in range(4)]
            statistics = events.statistics()
            assert statistics.completed >= 1
            assert statistics.queue_depth <= 4
            events.pause()
            events.resume()
            events.drain()
            received += [event async for event in events]
            assert events.statistics().queue_depth == 0
        assert events.statistics().completed == len(documents_of(received))

    with in_world(name):
        run(main)


@pytest.mark.parametrize("buffer_size", [1, 3, 100])
def test_checkpoint_across_the_bridge_is_what_was_acknowledged_at_each_moment(
    buffer_size: int,
) -> None:
    def watermark(checkpoint: Checkpoint) -> int:
        return checkpoint.positions[0].watermark

    async def main() -> None:
        ended = 0
        async with stream_of(
            IngestionPipeline(Plain(count=30)), buffer_size=buffer_size
        ) as events:
            async for event in events:
                assert watermark(events.checkpoint()) == ended
                ended += isinstance(event, DocumentCompleted)
                if ended == 20:
                    break
        assert watermark(events.checkpoint()) == 19

    with in_world("bridge"):
        run(main)


def test_checkpoint_across_the_bridge_does_not_wait_for_the_other_thread() -> None:
    class Asking(Plain):
        """Its parse holds the thread until the consumer's loop has answered."""

        def parse(self, record: Any) -> Any:
            async def look() -> Any:
                return record

            asked = asyncio.run_coroutine_threadsafe(look(), loop)
            return super().parse(asked.result(timeout=20))

    loop: Any = None

    async def main() -> None:
        nonlocal loop
        loop = asyncio.get_running_loop()
        async with stream_of(IngestionPipeline(Asking(count=20)), buffer_size=3) as events:
            async for _ in events:
                events.checkpoint()
                assert events.statistics().queue_depth <= 3

    with in_world("bridge"):
        run(main)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("buffer_size", [1, 2, 5])
def test_no_more_than_the_buffer_waits_on_both_sides_of_the_bridge(buffer_size: int) -> None:
    adapter = Plain(count=200)

    async def main() -> None:
        ended = 0
        stream = stream_of(IngestionPipeline(adapter), buffer_size=buffer_size)
        async with stream as events:
            async for event in events:
                time.sleep(0.001)  # noqa: ASYNC251 -- the far side has its turn
                ended += isinstance(event, DocumentCompleted)
                assert events.statistics().queue_depth <= buffer_size
                assert adapter.fetched <= ended + buffer_size + 1

    with in_world("bridge"):
        run(main)


def test_eager_task_factory_changes_nothing() -> None:
    eager = getattr(asyncio, "eager_task_factory", None)
    if eager is None:
        pytest.skip("Python 3.12 has brought eager tasks")

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(eager)
        adapter = ClosingAdapter([*"ab", Pause(1), "c"])
        async with aio.stream_events(IngestionPipeline(adapter, workers=3)) as events:
            assert documents_of([event async for event in events]) == ["0", "1", "3"]
        assert adapter.closings == 1

    run_on(WORLDS["asyncio"].new_loop, main)


def test_cancelled_by_a_scope_of_anyio_as_frameworks_do_it() -> None:
    adapter = ClosingAdapter([*"abc", Hang()])

    async def main() -> None:
        with anyio.move_on_after(5) as scope:
            async with aio.stream_events(IngestionPipeline(adapter)) as events:
                async for _ in events:
                    pass
        assert scope.cancelled_caught
        assert asyncio.current_task().cancelling() == 0  # type: ignore[union-attr]

    run_on(WORLDS["asyncio"].new_loop, main)
    assert adapter.closings == 1
