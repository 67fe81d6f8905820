"""Promise 7 on asyncio, where a cancellation comes once: from the host, at any step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import anyio
import anyio.from_thread
import pytest

from tests import worlds
from tests.promises.adapters import Plain
from tests.promises.checks import check_numbering, check_shape
from tests.promises.closing_adapter import (
    ClosingAdapter,
    consume,
    nothing_left,
    run_cancelled_at,
)
from tests.worlds import living_tasks, run, stream_of
from trio_ingest import DocumentCompleted, IngestionPipeline, PipelineEvent, RetryPolicy
from trio_ingest.testing import Crash, Fail, FailTimes, Pause, ScriptedAdapter, SlowParse

ASYNCIO = pytest.mark.worlds("asyncio", "uvloop")
pytestmark = pytest.mark.worlds("asyncio", "uvloop", "bridge")

WORKERS = pytest.mark.parametrize("workers", [1, 3])
SCRIPT = ["a", Fail(), Pause(1), SlowParse(2), FailTimes(1), "b", "c", Crash()]


# The script's own crash, when it falls into the cancellation.
@pytest.mark.filterwarnings("ignore:An adapter failed while:RuntimeWarning")
@pytest.mark.one_in(5)
@pytest.mark.parametrize(("workers", "ordered"), [(1, True), (3, True), (3, False)])
@pytest.mark.parametrize("buffer_size", [1, 3])
def test_host_cancelled_at_any_step_leaves_nothing_behind(
    buffer_size: int, workers: int, ordered: bool
) -> None:
    async def attempt() -> None:
        adapters = [ClosingAdapter(SCRIPT, source="one"), ClosingAdapter("xy", source="two")]
        pipeline = IngestionPipeline(
            *adapters, workers=workers, ordered=ordered, retry=RetryPolicy(attempts=2, seed=1)
        )
        with nothing_left(adapters), suppress(RuntimeError):  # the script's own
            await consume(stream_of(pipeline, buffer_size=buffer_size))

    step = 0
    while run_cancelled_at(step, attempt):
        step += 1
    assert step > 15


@pytest.mark.one_in(3)
@WORKERS
@pytest.mark.parametrize("buffer_size", [1, 3])
def test_asking_that_is_cancelled_at_any_step_of_the_loop_loses_nothing(
    buffer_size: int, workers: int
) -> None:
    caught = 0

    async def main(step: int) -> list[PipelineEvent]:
        nonlocal caught
        received = []
        loop: Any = asyncio.get_running_loop()
        pipeline = IngestionPipeline(ScriptedAdapter(SCRIPT[:-1]), workers=workers)
        async with stream_of(pipeline, buffer_size=buffer_size) as events:
            loop.steps_left = step
            while True:
                with anyio.CancelScope() as scope:
                    loop.at_step = scope.cancel
                    try:
                        received.append(await anext(events))
                    except StopAsyncIteration:
                        loop.steps_left = -1
                        return received
                caught += scope.cancelled_caught

    for step in range(60):
        received = run(main, step)
        check_numbering(received)
        check_shape(received)
    # Across the bridge, an event is there before its task can be cancelled.
    assert caught > 5 or worlds.current.name == "bridge"


@WORKERS
def test_timeout_of_asyncio_around_the_block_leaves_as_itself(workers: int) -> None:
    adapters = [ClosingAdapter([*"abc", Pause(1000), *"def"])]

    async def main() -> None:
        with nothing_left(adapters):
            async with asyncio.timeout(5):
                await consume(stream_of(IngestionPipeline(*adapters, workers=workers)))

    with pytest.raises(TimeoutError):
        run(main)


@WORKERS
def test_timeout_of_asyncio_inside_the_block_ends_the_asking_alone(workers: int) -> None:
    adapter = ScriptedAdapter([*"ab", Pause(7), "c"])

    async def main() -> list[PipelineEvent]:
        received: list[PipelineEvent] = []
        async with stream_of(IngestionPipeline(adapter, workers=workers)) as events:
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        received.append(await anext(events))
                except TimeoutError:
                    continue
                except StopAsyncIteration:
                    return received

    received = run(main)
    check_numbering(received)
    check_shape(received)


class Closing(Plain):
    """Written for asyncio: awaits its cleanup where a cancellation finds it, unshielded."""

    def __init__(self, seconds: float) -> None:
        super().__init__("closing")
        self.seconds = seconds
        self.done: list[str] = []

    async def fetch(self) -> AsyncIterator[Any]:
        yield 0
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(self.seconds)  # noqa: ASYNC102 -- what asyncio code does
            self.done.append("fetch")

    async def aclose(self) -> None:
        await super().aclose()
        self.done.append("aclose")


async def left_while_fetching(adapter: Closing, workers: int) -> float:
    pipeline = IngestionPipeline(adapter, workers=workers, cleanup_grace_seconds=5)
    async with stream_of(pipeline) as events:
        async for event in events:
            if isinstance(event, DocumentCompleted):
                await asyncio.sleep(1)
                began = anyio.current_time()
                break
    return anyio.current_time() - began


@ASYNCIO
@WORKERS
def test_cleanup_that_asyncio_code_awaits_has_the_grace(workers: int) -> None:
    adapter = Closing(4)
    assert run(left_while_fetching, adapter, workers) == pytest.approx(4)
    assert adapter.done == ["fetch", "aclose"]


@ASYNCIO
@WORKERS
def test_cleanup_that_asyncio_code_awaits_past_the_grace_is_cancelled_again(
    workers: int,
) -> None:
    adapter = Closing(1000)
    assert run(left_while_fetching, adapter, workers) == pytest.approx(5)
    assert adapter.done == ["aclose"]


@ASYNCIO
@WORKERS
def test_adapter_that_swallows_the_cancellation_is_cancelled_again(workers: int) -> None:
    class Stubborn(Closing):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 0
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)
            while True:
                await asyncio.sleep(1)
                yield 1

    adapter = Stubborn(0)
    assert run(left_while_fetching, adapter, workers) <= 5
    assert adapter.done == ["aclose"]


class Slow(Plain):
    """Takes ten seconds to close, within the grace."""

    ended = False

    async def fetch(self) -> AsyncIterator[Any]:
        yield 0
        await anyio.sleep_forever()

    async def aclose(self) -> None:
        await anyio.sleep(10)
        self.ended = True


async def cancelled_at(seconds: list[float], adapter: Slow, *, body: bool) -> float:
    """Cancel the task that holds a block, at each of these times; how long it took."""

    async def host() -> None:
        pipeline = IngestionPipeline(adapter, cleanup_grace_seconds=60)
        async with stream_of(pipeline) as events:
            await anext(events)
            if body:
                await asyncio.sleep(1000)
            else:
                await asyncio.sleep(1)

    before = living_tasks()
    began = anyio.current_time()
    task = asyncio.create_task(host())
    for at in seconds:
        asyncio.get_running_loop().call_later(at, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert living_tasks() == before
    return anyio.current_time() - began


@ASYNCIO
@pytest.mark.parametrize("body", [True, False], ids=["in the body", "on the way out"])
def test_one_cancellation_of_the_host_is_honoured_with_grace(body: bool) -> None:
    adapter = Slow()
    took = run(lambda: cancelled_at([2], adapter, body=body))
    assert took == pytest.approx(12 if body else 11)
    assert adapter.ended


@ASYNCIO
@pytest.mark.parametrize("body", [True, False], ids=["in the body", "on the way out"])
def test_second_cancellation_of_the_host_cuts_cleanup_short_and_says_so(body: bool) -> None:
    adapter = Slow()
    with pytest.warns(RuntimeWarning, match="aclose of 'plain' .* second cancellation"):
        took = run(lambda: cancelled_at([2, 4], adapter, body=body))
    assert took == pytest.approx(4)
    assert not adapter.ended


@pytest.mark.worlds("bridge")
def test_second_cancellation_reaches_across_the_bridge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The far side has real time here, and closes only when it is told to hurry."""
    real = anyio.from_thread.start_blocking_portal
    monkeypatch.setattr("trio_ingest.aio._thread_engine.start_blocking_portal", real)
    told = []

    class Endless(Plain):
        async def aclose(self) -> None:
            task.get_loop().call_soon_threadsafe(told.append, "closing")
            task.get_loop().call_soon_threadsafe(task.cancel)
            await anyio.sleep_forever()

    async def host() -> None:
        pipeline = IngestionPipeline(Endless(), cleanup_grace_seconds=1e6)
        async with stream_of(pipeline) as events:
            await anext(events)
            await asyncio.sleep(1e6)

    async def main() -> None:
        nonlocal task
        task = asyncio.create_task(host())
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    task: asyncio.Task[None]
    with pytest.warns(RuntimeWarning, match="second cancellation"):
        run(main)
    assert told == ["closing"]


@ASYNCIO
def test_cancellation_on_the_way_out_leaves_with_what_the_body_raised_behind_it() -> None:
    adapter = Slow()

    async def host() -> None:
        async with stream_of(IngestionPipeline(adapter, cleanup_grace_seconds=60)):
            raise KeyError("body")

    async def main() -> None:
        task = asyncio.create_task(host())
        asyncio.get_running_loop().call_later(3, task.cancel)
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert isinstance(caught.value.__context__, KeyError)

    run(main)
    assert adapter.ended


@ASYNCIO
@pytest.mark.parametrize("left", ["in the body", "by break"])
def test_failed_closing_does_not_take_the_place_of_a_cancellation(left: str) -> None:
    class Clumsy(Slow):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("still open")

    async def host() -> None:
        pipeline = IngestionPipeline(Clumsy(), cleanup_grace_seconds=60)
        async with stream_of(pipeline) as events:
            await anext(events)
            if left == "in the body":
                await asyncio.sleep(1000)

    async def main() -> None:
        task = asyncio.create_task(host())
        asyncio.get_running_loop().call_later(3, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    with pytest.warns(RuntimeWarning, match="OSError: still open"):
        run(main)


@ASYNCIO
def test_timeout_that_expires_on_the_way_out_leaves_nothing_behind_it() -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                async with stream_of(IngestionPipeline(Slow(), cleanup_grace_seconds=60)):
                    raise KeyError("body")
        await asyncio.sleep(1)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0

    run(main)


# -- what others cancel -----------------------------------------------------------------------


@ASYNCIO
@WORKERS
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 13])
def test_whoever_cancels_every_task_leaves_nothing_behind(turns: int, workers: int) -> None:
    """As asyncio.run does when it ends; at the worst, before a task's first step."""
    adapters = [ClosingAdapter([*"abc", Pause(1000)], source=s) for s in "xy"]

    async def host() -> None:
        await consume(stream_of(IngestionPipeline(*adapters, workers=workers)))

    async def main() -> None:
        task = asyncio.create_task(host())
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        me = asyncio.current_task()
        for other in asyncio.all_tasks() - {me}:
            other.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main)
    assert [a.opened - a.closed for a in adapters] == [0, 0]
    assert [a.closings for a in adapters] == [1, 1]


def test_program_that_ends_over_a_bridge_that_has_just_been_entered_can_end() -> None:
    async def host() -> None:
        await asyncio.sleep(0)
        await consume(stream_of(IngestionPipeline(ScriptedAdapter([Pause(1000)]))))

    async def main() -> None:
        task = asyncio.create_task(host())
        await asyncio.sleep(0)
        tasks.append(task)

    tasks: list[asyncio.Task[None]] = []
    loop = worlds.current.new_loop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(main())
    assert tasks[0].cancelled()


# -- the bare form, in the host's own task ------------------------------------------------


@ASYNCIO
@pytest.mark.parametrize("seconds", [0.5, 1.5, 4.5])
def test_cancelled_bare_form_is_cancelled_also_in_a_parse_that_awaits(seconds: float) -> None:
    adapters = [ClosingAdapter(["a", SlowParse(1), Pause(1), SlowParse(2)])]
    received: list[PipelineEvent] = []

    async def main() -> None:
        async with asyncio.timeout(seconds):
            stream = stream_of(IngestionPipeline(*adapters))
            async with aclosing(aiter(stream)) as events:  # type: ignore[type-var]
                async for event in events:
                    received.append(event)  # noqa: PERF401 -- each at once
            await asyncio.sleep(1000)

    with pytest.raises(TimeoutError):
        run(main)
    assert not [e for e in received if type(e).__name__ == "DocumentFailed"]
    assert [a.opened - a.closed for a in adapters] == [0]


@ASYNCIO
def test_drain_from_inside_the_adapter_ends_the_stream_normally() -> None:
    class Marked(ClosingAdapter):
        async def fetch(self, *, cursor: Any = None) -> AsyncIterator[Any]:
            self.opened += 1
            try:
                for number in range(10):
                    await asyncio.sleep(0)
                    if number == 3:
                        stream.drain()
                    yield number
            finally:
                await asyncio.sleep(0.01)  # noqa: ASYNC102 -- the grace shields it
                self.closed += 1

        def parse(self, record: Any) -> Any:
            return Plain().parse(record)

    adapter = Marked([])
    stream: Any = None

    async def main() -> list[PipelineEvent]:
        nonlocal stream
        stream = stream_of(IngestionPipeline(adapter))
        return await consume(stream)

    check_shape(run(main))
    assert (adapter.opened, adapter.closed, adapter.closings) == (1, 1, 1)


@ASYNCIO
def test_consumer_that_shields_itself_is_served_until_it_leaves() -> None:
    adapters = [ClosingAdapter([*"abc", Pause(10), *"def"])]

    async def main() -> int:
        received = 0
        with anyio.CancelScope() as outer, nothing_left(adapters):
            async with stream_of(IngestionPipeline(*adapters)) as events:
                with anyio.CancelScope(shield=True):
                    async for _ in events:
                        received += 1
                        outer.cancel()
        return received

    assert run(main) > 14
