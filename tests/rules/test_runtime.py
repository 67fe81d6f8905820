"""The primitives under the engine do what it counts on."""

from __future__ import annotations

import asyncio
import math
from contextlib import aclosing

import pytest
import trio
import trio.testing

from trio_ingest._runtime import TRIO


async def test_parked_task_waits_until_it_is_woken() -> None:
    parking, log = TRIO.parking(), []
    assert not parking.occupied

    async def park() -> None:
        await parking.wait()
        log.append("woken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(park)
        await trio.testing.wait_all_tasks_blocked()
        assert parking.occupied
        assert log == []
        parking.wake()
        # Whoever is woken is no longer waiting, even before it runs.
        assert not parking.occupied
        assert log == []
    assert log == ["woken"]


async def test_waking_where_nobody_waits_is_forgotten() -> None:
    parking = TRIO.parking()
    parking.wake()
    with trio.move_on_after(0) as scope:
        await parking.wait()
    assert scope.cancelled_caught


async def test_parked_task_that_is_cancelled_leaves_its_place_empty() -> None:
    parking = TRIO.parking()
    for _ in range(2):
        with trio.move_on_after(0):
            await parking.wait()
        assert not parking.occupied
        parking.wake()


async def test_task_that_was_woken_is_not_cancelled_any_more() -> None:
    parking, log = TRIO.parking(), []

    async def park() -> None:
        await parking.wait()
        log.append("woken")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(park)
        await trio.testing.wait_all_tasks_blocked()
        parking.wake()
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


async def test_open_deadline_is_that_of_the_innermost_scopes_alone(
    autojump_clock: trio.abc.Clock,
) -> None:
    assert TRIO.open_deadline() == math.inf
    with trio.move_on_after(5):
        now = trio.current_time()
        assert TRIO.open_deadline() == pytest.approx(now + 5)
        with trio.CancelScope() as scope:
            assert TRIO.open_deadline(scope) == math.inf
            with trio.move_on_after(9):
                await trio.lowlevel.checkpoint()
                assert TRIO.open_deadline(scope) == pytest.approx(now + 9)
            assert not scope.shield
    with trio.CancelScope() as cancelled:
        cancelled.cancel()
        assert TRIO.open_deadline() == -math.inf
        await trio.lowlevel.checkpoint()


async def test_open_nurseries_are_counted() -> None:
    before = TRIO.open_nurseries()
    async with trio.open_nursery():
        assert TRIO.open_nurseries() == before + 1
    assert TRIO.open_nurseries() == before


async def test_trio_is_at_home_here() -> None:
    assert TRIO.check_host() is None
    assert TRIO.is_running()


def test_nobody_is_at_home_outside() -> None:
    assert TRIO.check_host() is None
    assert not TRIO.is_running()


def test_asyncio_is_recognised() -> None:
    async def main() -> str | None:
        return TRIO.check_host()

    assert asyncio.run(main()) == "asyncio"
