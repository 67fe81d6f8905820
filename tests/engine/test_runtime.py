"""The primitives under the engine do what it counts on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest
import trio
import trio.testing

from trio_ingest import SetupError
from trio_ingest._engine.runtime import TRIO


async def test_parked_task_waits_until_it_is_woken() -> None:
    waiter, log = TRIO.waiter(), []
    assert not waiter.occupied

    async def park() -> None:
        await waiter.wait()
        log.append("woken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(park)
        await trio.testing.wait_all_tasks_blocked()
        assert waiter.occupied
        assert log == []
        waiter.wake()
        # Whoever is woken is no longer waiting, even before it runs.
        assert not waiter.occupied
        assert log == []
    assert log == ["woken"]


async def test_waking_where_nobody_waits_is_forgotten() -> None:
    waiter = TRIO.waiter()
    waiter.wake()
    with trio.move_on_after(0) as scope:
        await waiter.wait()
    assert scope.cancelled_caught


async def test_parked_task_that_is_cancelled_leaves_its_place_empty() -> None:
    waiter = TRIO.waiter()
    for _ in range(2):
        with trio.move_on_after(0):
            await waiter.wait()
        assert not waiter.occupied
        waiter.wake()


async def test_task_that_was_woken_is_not_cancelled_any_more() -> None:
    waiter, log = TRIO.waiter(), []

    async def park() -> None:
        await waiter.wait()
        log.append("woken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(park)
        await trio.testing.wait_all_tasks_blocked()
        waiter.wake()
        nursery.cancel_scope.cancel()
    assert log == ["woken"]


async def test_cleanup_within_the_grace_is_not_cancelled(
    autojump_clock: trio.abc.Clock,
) -> None:
    log = []
    with trio.CancelScope() as outer:
        outer.cancel()
        with TRIO.grace(5) as scope:
            await trio.sleep(4)
            log.append("done")
        assert not scope.cancelled_caught
        with TRIO.grace(5) as scope:
            await trio.sleep(6)
            log.append("too late")
        assert scope.cancelled_caught
        await trio.lowlevel.checkpoint()
        log.append("not reached")
    assert log == ["done"]


async def test_value_can_be_waited_for() -> None:
    value, log = TRIO.value("running"), []

    async def wait() -> None:
        log.append(await value.wait_value(lambda mode: mode != "paused"))

    value.value = "paused"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        assert log == []
        # Even when it is paused again before the waiting task has had its turn.
        value.value = "running"
        value.value = "paused"
    assert log == ["running"]


async def test_ticks_come_at_their_times(autojump_clock: trio.abc.Clock) -> None:
    began, times = trio.current_time(), []
    async with aclosing(TRIO.every(0.25)) as ticks:
        async for _ in ticks:
            times.append(trio.current_time() - began)
            if len(times) == 5:
                break
    assert times == pytest.approx([0, 0.25, 0.5, 0.75, 1])


async def test_clock_is_that_of_the_run(autojump_clock: trio.abc.Clock) -> None:
    clock = TRIO.clock()
    before = clock()
    await TRIO.sleep(100)
    assert clock() - before == pytest.approx(100)


async def test_scope_is_seen_that_was_left_open_in_a_checked_one(
    autojump_clock: trio.abc.Clock,
) -> None:
    with trio.move_on_after(5):
        scope = TRIO.checked_scope()
        with scope:
            assert not scope.holds_another()
            with trio.move_on_after(9):  # noqa: ASYNC100 -- it is there to be seen
                assert scope.holds_another()
            async with trio.open_nursery():
                assert scope.holds_another()
            assert not scope.holds_another()
            await trio.lowlevel.checkpoint()


async def test_cancelled_task_knows_that_it_is() -> None:
    assert not TRIO.is_cancelled()
    with trio.CancelScope() as cancelled:
        cancelled.cancel()
        assert TRIO.is_cancelled()
        with TRIO.grace(5):
            assert not TRIO.is_cancelled()
        await trio.lowlevel.checkpoint()


async def test_trio_is_at_home_here() -> None:
    TRIO.check_host()
    assert TRIO.is_running()


def test_nobody_is_at_home_outside() -> None:
    TRIO.check_host()
    assert not TRIO.is_running()


def test_asyncio_is_refused() -> None:
    async def main() -> None:
        with pytest.raises(SetupError, match=r"trio_ingest\.aio\.stream_events"):
            TRIO.check_host()

    asyncio.run(main())


class Strange:
    def __await__(self) -> Any:
        yield "what Trio does not know"


@pytest.mark.parametrize("wait", [lambda: asyncio.sleep(1), Strange])
async def test_advice_is_given_on_awaiting_asyncio(wait: Callable[[], Any]) -> None:
    with pytest.raises((RuntimeError, TypeError)) as caught:
        await wait()
    assert "trio_ingest.aio" in (TRIO.advice_on(caught.value) or "")
    assert TRIO.advice_on(RuntimeError("another")) is None
    assert TRIO.advice_on(ValueError("no running event loop")) is None
