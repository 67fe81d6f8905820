"""The async libraries that a stream runs on, with virtual time in each of them.

``World.run`` plays an async function and sees to it that no task and no thread is left;
``stream_of`` gives a pipeline's stream in the world that is current. The code of a test is
written on anyio, so that it is the same everywhere.

==========  ======================================================================
trio        Trio, under the test kit's clock and schedule
asyncio     asyncio's own loop
uvloop      uvloop's
bridge      asyncio for the consumer, Trio in another thread for engine and adapters
==========  ======================================================================

On the bridge there are two virtual clocks that know nothing of each other.
"""

from __future__ import annotations

import asyncio
import heapq
import selectors
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.from_thread
import pytest
import trio
import trio.testing

from trio_ingest import EventStream, IngestionPipeline, aio
from trio_ingest.testing import run_deterministic

T = TypeVar("T")

# Real seconds. Nothing here waits for anything real, but for another thread of the bridge.
HUNG_SECONDS = 20.0


class Hung(TimeoutError):
    """What is waited for never comes."""

    def __init__(self) -> None:
        super().__init__("The run waits for something that never comes.")


class _JumpingSelector(selectors.DefaultSelector):
    """Waits for nothing: where the loop would sleep, its time jumps ahead."""

    def __init__(self, *, alone: bool) -> None:
        super().__init__()
        self.now = 0.0
        self._alone = alone

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            ready = super().select(0 if self._alone else HUNG_SECONDS)
            if not ready:
                raise Hung
            return ready
        ready = super().select(0)
        if not ready and timeout > 0:
            self.now += timeout
        return ready


def count_step(loop: Any) -> None:
    """Let something happen before a certain step of the loop."""
    if loop.steps_left >= 0:
        loop.steps_left -= 1
        if loop.steps_left < 0:
            loop.at_step()


class JumpingLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop in virtual time.

    Args:
        alone: whether no other thread can wake it.
    """

    steps_left = -1
    at_step: Callable[[], object] = staticmethod(lambda: None)

    def __init__(self, *, alone: bool = True) -> None:
        self._jumping = _JumpingSelector(alone=alone)
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def jump(self, seconds: float) -> None:
        self._jumping.now += seconds

    def call_soon(self, *args: Any, **kwargs: Any) -> asyncio.Handle:
        count_step(self)
        return super().call_soon(*args, **kwargs)


def jumping_uvloop() -> asyncio.AbstractEventLoop:
    """uvloop in virtual time: when it has had nothing to do for a moment, time jumps."""
    import uvloop

    class JumpingUvloop(uvloop.Loop):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.steps_left, self.at_step = -1, lambda: None
            self._now, self._calls, self._seen = 0.0, 0, -1
            self._idle_rounds = 0
            self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
            super().call_later(0.001, self._look)

        def time(self) -> float:
            return self._now

        def jump(self, seconds: float) -> None:
            self._now += seconds

        def call_soon(self, *args: Any, **kwargs: Any) -> Any:
            self._calls += 1
            count_step(self)
            return super().call_soon(*args, **kwargs)

        def call_later(
            self, delay: float, callback: Any, *args: Any, context: Any = None
        ) -> Any:
            return self.call_at(self._now + delay, callback, *args, context=context)

        def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
            self._calls += 1
            handle = asyncio.TimerHandle(when, callback, args, self, context)
            heapq.heappush(self._timers, (when, self._calls, handle))
            return handle

        def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
            """The heap forgets it when its time comes."""

        def _look(self) -> None:
            if self._calls == self._seen:
                self._jump()
            self._seen = self._calls
            super().call_later(0.0, self._look)

        def _jump(self) -> None:
            timers = self._timers
            while timers and timers[0][2].cancelled():
                heapq.heappop(timers)
            self._idle_rounds = 0 if timers else self._idle_rounds + 1
            if self._idle_rounds > HUNG_SECONDS * 1000:
                self.stop()
            if not timers:
                return
            self._now = max(self._now, timers[0][0])
            while timers and timers[0][0] <= self._now:
                handle = heapq.heappop(timers)[2]
                if not handle.cancelled():
                    handle._run()
            self._calls += 1

    loop: asyncio.AbstractEventLoop = JumpingUvloop()
    return loop


class World:
    """One library, and how to play in it."""

    def __init__(self, name: str) -> None:
        self.name = name

    def call(self, pipeline: IngestionPipeline, name: str) -> Callable[..., Any]:
        """One of the calls that start a run."""
        if self.name == "trio":
            fn: Callable[..., Any] = getattr(pipeline, name)
            return fn
        runtime = "trio" if self.name == "bridge" else "asyncio"
        return partial(getattr(aio, name), pipeline, runtime=runtime)

    def run(self, fn: Callable[..., Awaitable[T]], *args: Any) -> T:
        """Play an async function to its end, in virtual time.

        Raises:
            TimeoutError: it waits for something that never comes.
        """
        if self.name == "trio":
            return run_deterministic(fn, *args)
        return run_on(self.new_loop, fn, *args)

    def new_loop(self) -> asyncio.AbstractEventLoop:
        if self.name == "uvloop":
            return jumping_uvloop()
        return JumpingLoop(alone=self.name == "asyncio")


def run_on(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    fn: Callable[..., Awaitable[T]],
    *args: Any,
) -> T:
    """Play an async function in a loop of asyncio, and look at what it leaves behind."""
    left: set[str] = set()

    async def main() -> T:
        try:
            return await fn(*args)
        finally:
            me = asyncio.current_task()
            left.update(str(task) for task in asyncio.all_tasks() if task is not me)

    threads = _threads()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        result = runner.run(main())
    assert not left, left
    assert not _threads() - threads, _threads() - threads
    return result


def _threads() -> set[threading.Thread]:
    """Those that are alive, but for the idle ones that anyio and Trio keep for later."""
    kept = ("AnyIO worker thread", "Trio thread")
    return {one for one in threading.enumerate() if not one.name.startswith(kept)}


@contextmanager
def jumping_bridge() -> Iterator[None]:
    """The Trio at the far side of a bridge has a virtual clock too."""
    real = anyio.from_thread.start_blocking_portal

    @contextmanager
    def start(backend: str) -> Iterator[Any]:
        clock = trio.testing.MockClock(autojump_threshold=0)
        with ExitStack() as stack:
            with pytest.MonkeyPatch.context() as starting:
                # anyio passes it on only in its newer versions.
                starting.setattr(trio, "run", partial(trio.run, clock=clock))
                portal = stack.enter_context(real(backend))
            yield portal

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trio_ingest.aio._thread_engine.start_blocking_portal", start)
        yield


WORLDS = {name: World(name) for name in ("trio", "asyncio", "uvloop", "bridge")}
# In CI, one case of a test in so many: it is one engine, over other primitives.
ONE_IN = {"trio": 1, "asyncio": 3, "uvloop": 6, "bridge": 4}
current = WORLDS["trio"]


@contextmanager
def in_world(name: str) -> Iterator[World]:
    """For so long, this world is the current one."""
    global current  # noqa: PLW0603 -- what a fixture sets
    before, current = current, WORLDS[name]
    try:
        with jumping_bridge():
            yield current
    finally:
        current = before


def stream_of(pipeline: IngestionPipeline, **options: Any) -> EventStream[Any]:
    """A pipeline's stream in the current world."""
    stream: EventStream[Any] = current.call(pipeline, "stream_events")(**options)
    return stream


def call_of(pipeline: IngestionPipeline, name: str) -> Callable[..., Any]:
    """``stream_events``, ``iter_results`` or ``run_async`` in the current world."""
    return current.call(pipeline, name)


def run(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Play an async function in the current world."""
    return current.run(fn, *args)


def living_tasks() -> int:
    """How many tasks are alive in the loop that is running here."""
    if trio.lowlevel.in_trio_run():
        return trio.lowlevel.current_statistics().tasks_living
    return len(asyncio.all_tasks())


def run_cancelled_at(step: int, fn: Callable[[], Awaitable[object]]) -> bool:
    """Play an async function on asyncio, and cancel its task at one step of the loop.

    Returns whether it came so far.
    """
    reached = False

    async def main() -> None:
        nonlocal reached
        loop: Any = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        loop.at_step, loop.steps_left = task.cancel, step
        try:
            await fn()
        finally:
            reached = loop.steps_left < 0
            loop.steps_left = -1

    with suppress(asyncio.CancelledError):
        run(main)
    return reached


def hold_thread(seconds: float) -> None:
    """What a call that blocks the thread for so long does to virtual time."""
    if trio.lowlevel.in_trio_run():
        clock = trio.lowlevel.current_clock()
        assert isinstance(clock, trio.testing.MockClock)
        clock.jump(seconds)
    else:
        loop: Any = asyncio.get_running_loop()
        loop.jump(seconds)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread or task does, in real time or in virtual time."""
    # Whoever does it knows of no event.
    while not condition():  # noqa: ASYNC110
        await anyio.sleep(0.001)


def cancelled() -> type[BaseException]:
    """What a cancelled task sees."""
    return anyio.get_cancelled_exc_class()


# What is only about Trio, its scheduler or its instruments; or about no loop at all.
ONLY_TRIO = pytest.mark.worlds("trio")
# The bridge has two, so what is said of time is not to be told from outside.
ONE_CLOCK = pytest.mark.worlds("trio", "asyncio", "uvloop")
# The bare form runs in the task that asks.
ONE_THREAD = ONE_CLOCK
