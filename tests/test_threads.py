"""A call in a thread is waited for, whoever cancels."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable

import anyio
import pytest
import trio

from tests.worlds import until
from trio_ingest.threads import run_in_thread


class Call:
    """A call that can be held up."""

    def __init__(self) -> None:
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.ended = False

    def __call__(self) -> str:
        self.begun.set()
        assert self.may_end.wait(20)
        self.ended = True
        return "answer"


async def cancelled_natively(call: Call, how_often: int) -> None:
    task = asyncio.create_task(run_in_thread(call))
    await until(call.begun.is_set)
    for _ in range(how_often):
        task.cancel()
        await asyncio.sleep(0.001)
    assert not task.done()
    call.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert call.ended


@pytest.mark.parametrize("how_often", [1, 3])
def test_native_cancellation_waits_for_the_thread(how_often: int) -> None:
    asyncio.run(cancelled_natively(Call(), how_often))


async def cancelled_by_a_scope(call: Call) -> None:
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(run_in_thread, call)
            await until(call.begun.is_set)
            scope.cancel()
            call.may_end.set()
    assert call.ended


ON_BOTH = pytest.mark.parametrize("run", [asyncio.run, lambda main: trio.run(lambda: main)])


@ON_BOTH
def test_scope_that_is_cancelled_waits_for_the_thread(
    run: Callable[[Awaitable[None]], None],
) -> None:
    run(cancelled_by_a_scope(Call()))


@ON_BOTH
def test_answer_and_error_come_back(run: Callable[[Awaitable[None]], None]) -> None:
    def fail() -> None:
        raise KeyError("from the thread")

    async def main() -> None:
        assert await run_in_thread(lambda: 5) == 5
        with pytest.raises(KeyError, match="from the thread"):
            await run_in_thread(fail)

    run(main())


def test_call_that_is_cancelled_before_it_began_does_not_begin() -> None:
    second = Call()

    async def main() -> None:
        limiter = anyio.CapacityLimiter(1)
        first = Call()
        busy = asyncio.create_task(run_in_thread(first, limiter=limiter))
        await until(first.begun.is_set)
        waiting = asyncio.create_task(run_in_thread(second, limiter=limiter))
        await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        first.may_end.set()
        assert await busy == "answer"

    asyncio.run(main())
    assert not second.begun.is_set()


def test_error_of_a_call_that_was_cancelled_is_not_reported_as_never_seen() -> None:
    said: list[object] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: said.append(context)
        )
        call = Call()

        def fail() -> None:
            call()
            raise KeyError

        task = asyncio.create_task(run_in_thread(fail))
        await until(call.begun.is_set)
        task.cancel()
        await asyncio.sleep(0)
        call.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert said == []
