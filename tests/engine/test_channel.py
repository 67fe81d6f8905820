"""The channel is a bounded deque: nothing in it is lost or passed, whoever is cancelled."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from unittest.mock import patch

import attrs
import hypothesis.strategies as st
import pytest
import trio
import trio.testing
from hypothesis import given

from tests.worlds import run
from trio_ingest import PipelineEvent, StreamBusyError
from trio_ingest._engine import channel as _channel
from trio_ingest._engine.channel import BURST, Channel
from trio_ingest._engine.runtime import TRIO


def event(sequence: int) -> PipelineEvent:
    return PipelineEvent(sequence=sequence)


def filled(size: int, count: int) -> Channel:
    channel = Channel(size, TRIO)
    for sequence in range(count):
        channel.put(event(sequence))
    return channel


# -- any traffic, against a list -------------------------------------------------------


@attrs.frozen
class Step:
    """What one task does once: sleeps, then asks for at most ``patience`` seconds."""

    delay: float
    patience: float
    forgoes: bool = False


STEPS = st.lists(
    st.builds(
        Step,
        delay=st.sampled_from([0, 0, 0, 1, 2]),
        patience=st.sampled_from([0, 1, 1000, 1000, 1000]),
        forgoes=st.sampled_from([False, False, False, True]),
    ),
    max_size=25,
)


class Traffic:
    """Several producers and a consumer at one channel, and a list of what was put."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.channel = Channel(size, TRIO)
        self.put: list[PipelineEvent] = []
        self.received: list[PipelineEvent] = []

    async def produce(self, steps: Sequence[Step]) -> None:
        channel = self.channel
        for step in steps:
            if step.delay:
                await trio.sleep(step.delay)
            with trio.move_on_after(step.patience):
                # As the engine does it: fast when the limit allows, else in line.
                if len(channel.queue) >= channel.limit:
                    await channel.wait_for_slot()
                    if step.forgoes:
                        channel.release_slot()
                        continue
                self.put.append(event(len(self.put)))
                channel.put(self.put[-1])
                assert len(channel.queue) <= self.size

    async def consume(self, steps: Sequence[Step]) -> None:
        channel = self.channel
        for step in steps:
            if step.delay:
                await trio.sleep(step.delay)
            with trio.move_on_after(step.patience) as scope:
                try:
                    self.received.append(await channel.get())
                except StopAsyncIteration:
                    return
                # The one in hand is not acknowledged, and everything before it is.
                assert channel.acknowledged(len(self.put)) == len(self.received) - 1
            if scope.cancelled_caught:
                assert channel.acknowledged(len(self.put)) == len(self.received)

    async def consume_rest(self) -> None:
        with suppress(StopAsyncIteration):
            while True:
                self.received.append(await self.channel.get())


@given(
    size=st.integers(1, 4),
    producers=st.lists(STEPS, min_size=1, max_size=4),
    consumer=STEPS,
    burst=st.sampled_from([1, 2, 100]),
)
def test_channel_does_what_a_list_does_whatever_the_traffic(
    size: int, producers: list[list[Step]], consumer: list[Step], burst: int
) -> None:
    async def main() -> None:
        with patch.object(_channel, "BURST", burst):
            traffic = Traffic(size)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(traffic.consume, consumer)
            # A consumer that has had enough must not hold the producers for ever.
            with trio.move_on_after(500):
                async with trio.open_nursery() as producing:
                    for steps in producers:
                        producing.start_soon(traffic.produce, steps)
            traffic.channel.close(None)
        await traffic.consume_rest()
        assert traffic.received == traffic.put
        assert traffic.channel.acknowledged(len(traffic.put)) == len(traffic.put)

    run(main)


@given(
    size=st.integers(1, 4),
    producers=st.lists(STEPS, min_size=1, max_size=4),
    burst=st.sampled_from([1, 2, 100]),
)
def test_no_room_is_lost_by_those_who_give_up(
    size: int, producers: list[list[Step]], burst: int
) -> None:
    # When all have come and gone, the channel holds as much as on its first day.
    async def main() -> None:
        with patch.object(_channel, "BURST", burst):
            traffic = Traffic(size)
        channel = traffic.channel
        async with trio.open_nursery() as nursery:
            for steps in producers:
                nursery.start_soon(traffic.produce, steps)
            for _ in range(sum(len(steps) for steps in producers)):
                with trio.move_on_after(1):
                    traffic.received.append(await channel.get())
                await trio.sleep(0.5)
        while channel.queue:
            traffic.received.append(await channel.get())
        assert traffic.received == traffic.put
        for sequence in range(size):
            with trio.fail_after(1):
                await channel.wait_for_slot()
            channel.put(event(sequence))
        with trio.move_on_after(1) as scope:
            await channel.wait_for_slot()
        assert scope.cancelled_caught

    run(main)


# -- who waits, and for what -----------------------------------------------------------


async def test_consumer_waits_until_there_is_something(autojump_clock: trio.abc.Clock) -> None:
    channel = Channel(3, TRIO)
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def produce() -> None:
            await trio.sleep(5)
            channel.put(event(0))

        assert await channel.get() == event(0)
        assert trio.current_time() == 5


@pytest.mark.parametrize("size", [1, 3])
async def test_producer_waits_when_the_channel_is_full(
    autojump_clock: trio.abc.Clock, size: int
) -> None:
    channel = filled(size, size)
    with trio.move_on_after(5) as scope:
        await channel.wait_for_slot()
    assert scope.cancelled_caught
    await channel.get()
    with trio.fail_after(0):
        await channel.wait_for_slot()


async def test_room_is_given_in_the_order_in_which_it_was_asked_for() -> None:
    channel, served = filled(1, 1), []

    async def produce(number: int) -> None:
        await channel.wait_for_slot()
        served.append(number)
        channel.put(event(number))

    async with trio.open_nursery() as nursery:
        for number in range(1, 12):
            nursery.start_soon(produce, number)
            await trio.testing.wait_all_tasks_blocked()
        for number in range(12):
            assert await channel.get() == event(number)
    assert served == list(range(1, 12))


async def test_nobody_passes_a_producer_that_waits() -> None:
    channel, served = filled(1, 1), []

    async def produce(number: int) -> None:
        if len(channel.queue) >= channel.limit:
            await channel.wait_for_slot()
        served.append(number)
        channel.put(event(number))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce, 1)
        await trio.testing.wait_all_tasks_blocked()
        await channel.get()
        # The queue is empty now, and its one place is promised.
        await produce(2) if channel.limit > 0 else nursery.start_soon(produce, 2)
        assert [await channel.get(), await channel.get()] == [event(1), event(2)]
    assert served == [1, 2]


@pytest.mark.parametrize("promised", [False, True])
async def test_room_of_a_producer_that_is_cancelled_goes_to_the_next(promised: bool) -> None:
    channel, scopes, served = filled(1, 1), [], []

    async def produce(number: int) -> None:
        with trio.CancelScope() as scope:
            scopes.append(scope)
            await channel.wait_for_slot()
            served.append(number)
            channel.put(event(number))

    async with trio.open_nursery() as nursery:
        for number in (1, 2):
            nursery.start_soon(produce, number)
            await trio.testing.wait_all_tasks_blocked()
        if promised:
            # Woken and cancelled in the same moment: the first may have either.
            await channel.get()
        scopes[0].cancel()
        await trio.testing.wait_all_tasks_blocked()
        while 2 not in served:
            with trio.fail_after(1):
                await channel.get()
    assert served in ([2], [1, 2])


async def test_fast_way_is_open_again_when_nobody_waits_any_more() -> None:
    channel = filled(3, 3)
    assert channel.limit == 3
    with trio.move_on_after(0):
        await channel.wait_for_slot()
    assert channel.limit == 3


async def test_room_that_is_forgone_goes_to_the_next() -> None:
    channel, served = filled(1, 1), []

    async def decline() -> None:
        await channel.wait_for_slot()
        channel.release_slot()

    async def produce() -> None:
        await channel.wait_for_slot()
        served.append(1)
        channel.put(event(1))

    async with trio.open_nursery() as nursery:
        for task in (decline, decline, produce):
            nursery.start_soon(task)
            await trio.testing.wait_all_tasks_blocked()
        await channel.get()
        with trio.fail_after(1):
            assert await channel.get() == event(1)
    assert served == [1]


async def test_two_consumers_at_once_are_refused() -> None:
    channel = Channel(3, TRIO)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(channel.get)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(StreamBusyError, match="Another task is already waiting"):
            await channel.get()
        channel.put(event(0))
    channel.put(event(1))
    assert await channel.get() == event(1)


async def test_consumer_that_was_cancelled_is_no_longer_in_the_way() -> None:
    channel = Channel(3, TRIO)
    with trio.move_on_after(0):
        await channel.get()
    channel.put(event(0))
    assert await channel.get() == event(0)


# -- cancellation ----------------------------------------------------------------------


async def test_cancelled_get_takes_nothing_out() -> None:
    channel = filled(5, 5)
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.get()
    assert scope.cancelled_caught
    assert list(channel.queue) == [event(n) for n in range(5)]


async def test_cancelled_consumer_goes_on_for_one_burst_at_most() -> None:
    channel, received = filled(10 * BURST, 10 * BURST), 0
    received += bool(await channel.get())
    with trio.CancelScope() as scope:
        scope.cancel()
        while True:
            await channel.get()
            received += 1
    assert scope.cancelled_caught
    assert received <= BURST
    assert (await channel.get()).sequence == received


async def test_busy_consumer_lets_others_run_after_each_burst() -> None:
    channel, turns = filled(10 * BURST, 10 * BURST), 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        for _ in range(10 * BURST):
            await channel.get()
        nursery.cancel_scope.cancel()
    assert turns >= 9


# -- the end ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure", [OSError("gone"), KeyboardInterrupt(), ExceptionGroup("two", [OSError()])]
)
async def test_failure_comes_after_everything_else_and_comes_again(
    failure: BaseException,
) -> None:
    channel = filled(5, 3)
    channel.close(failure)
    assert [await channel.get() for _ in range(3)] == [event(n) for n in range(3)]
    for _ in range(3):
        with pytest.raises(type(failure)) as caught:
            await channel.get()
        assert caught.value is failure


async def test_end_comes_after_everything_else_and_comes_again() -> None:
    channel = filled(5, 3)
    channel.close(None)
    assert [await channel.get() for _ in range(3)] == [event(n) for n in range(3)]
    for _ in range(3):
        with pytest.raises(StopAsyncIteration):
            await channel.get()


async def test_failure_that_looks_like_a_clean_end_is_wrapped() -> None:
    channel, failure = Channel(1, TRIO), StopAsyncIteration("mine")
    channel.close(failure)
    with pytest.raises(RuntimeError, match="raised StopAsyncIteration") as caught:
        await channel.get()
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize("failure", [None, OSError("gone")])
async def test_end_wakes_a_consumer_that_waits(failure: BaseException | None) -> None:
    channel, ended = Channel(1, TRIO), []

    async def consume() -> None:
        try:
            await channel.get()
        except (OSError, StopAsyncIteration) as error:
            ended.append(type(error))

    with trio.fail_after(1):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(consume)
            await trio.testing.wait_all_tasks_blocked()
            channel.close(failure)
    assert ended == [type(failure) if failure else StopAsyncIteration]
