"""cancel_everywhere cancels at each point, says what came of it, and refuses the rest."""

from __future__ import annotations

import warnings

import pytest
import trio
import trio.testing

from trio_ingest import IngestionPipeline, SetupError
from trio_ingest._engine import channel as _channel
from trio_ingest.testing import ScriptedAdapter, cancel_everywhere


async def three_points() -> None:
    for _ in range(3):
        await trio.lowlevel.checkpoint()


# -- what it does ----------------------------------------------------------------------


def test_function_is_cancelled_at_each_of_its_points_in_turn() -> None:
    reached: list[int] = []

    async def count() -> None:
        passed = 0
        try:
            for _ in range(5):
                await trio.lowlevel.checkpoint()
                passed += 1
        finally:
            reached.append(passed)

    report = cancel_everywhere(count)
    # Twice the same: uncancelled, then cancelled at each point, for both ways of the channel.
    half = reached[: len(reached) // 2]
    assert reached == half * 2
    assert half[0] == 5
    assert set(half) == {0, 1, 2, 3, 4, 5}
    assert half[1:] == sorted(half[1:])
    assert report.points == report.points_slow


def test_cancellation_reaches_tasks_that_wait() -> None:
    waiting: list[bool] = []

    async def wait() -> None:
        cancelled = False
        try:
            await trio.sleep_forever()
        except trio.Cancelled:
            cancelled = True
            raise
        finally:
            waiting.append(cancelled)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            await trio.sleep(1)
            await trio.sleep(1)
            nursery.cancel_scope.cancel()

    cancel_everywhere(main)
    assert len(waiting) > 6
    assert all(waiting)


def test_report_says_how_many_points_and_runs_there_were() -> None:
    runs = 0

    async def count() -> None:
        nonlocal runs
        runs += 1
        await three_points()

    report = cancel_everywhere(count)
    assert report.points >= 3
    assert report.points_slow >= 3
    assert report.runs == runs
    assert report.runs >= report.points + report.points_slow + 2


def test_slow_way_of_the_channel_has_a_point_for_every_event() -> None:
    async def consume() -> None:
        async with IngestionPipeline(ScriptedAdapter(range(10))).stream_events() as stream:
            async for _ in stream:
                pass

    report = cancel_everywhere(consume)
    assert report.points_slow > report.points + 10


def test_time_is_virtual() -> None:
    async def sleep_long() -> None:
        began = trio.current_time()
        await trio.sleep(10_000)
        assert trio.current_time() - began == 10_000

    cancel_everywhere(sleep_long)


def test_channel_is_as_fast_as_before_when_it_is_done() -> None:
    before = _channel.BURST
    cancel_everywhere(three_points)
    assert before == _channel.BURST

    async def fail() -> None:
        raise ValueError

    with pytest.raises(AssertionError):
        cancel_everywhere(fail)
    assert before == _channel.BURST


# -- what it reports -------------------------------------------------------------------


def test_failure_without_any_cancellation_is_reported_first() -> None:
    async def fail() -> None:
        raise ValueError("mine")

    with pytest.raises(
        AssertionError, match=r"^not cancelled, fast path on: ValueError: mine"
    ) as caught:
        cancel_everywhere(fail)
    assert isinstance(caught.value.__cause__, ValueError)


def test_failure_of_a_cancelled_run_says_at_which_point() -> None:
    async def fragile() -> None:
        try:
            await three_points()
        except trio.Cancelled:
            raise ValueError("not ready for this") from None  # noqa: ASYNC104

    with pytest.raises(
        AssertionError, match=r"^cancelled at point \d+ of \d+, fast path on: ValueError: not"
    ) as caught:
        cancel_everywhere(fragile)
    assert isinstance(caught.value.__cause__, ValueError)


def test_failure_at_a_single_point_is_found() -> None:
    async def main() -> None:
        await trio.lowlevel.checkpoint()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled:
            raise ValueError("only here") from None  # noqa: ASYNC104
        await trio.lowlevel.checkpoint()

    with pytest.raises(AssertionError, match="only here"):
        cancel_everywhere(main)


def test_assertion_of_the_function_itself_is_reported() -> None:
    opened = 0

    async def leaky() -> None:
        nonlocal opened
        opened += 1
        try:
            await three_points()
        except trio.Cancelled:
            opened += 1
            raise
        finally:
            opened -= 1
            assert opened == 0, "left open"

    with pytest.raises(AssertionError, match=r"cancelled at point.*AssertionError: left open"):
        cancel_everywhere(leaky)


def test_warning_of_a_cancelled_run_is_reported() -> None:
    async def warning() -> None:
        try:
            await three_points()
        except trio.Cancelled:
            warnings.warn("cut short", RuntimeWarning, stacklevel=1)
            raise

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever the caller does with warnings
        with pytest.raises(AssertionError, match="RuntimeWarning: cut short"):
            cancel_everywhere(warning)


def test_cancelled_run_that_hangs_is_reported() -> None:
    async def stubborn() -> None:
        try:
            await three_points()
        except trio.Cancelled:  # noqa: ASYNC103 -- swallowed
            with trio.CancelScope(shield=True):
                await trio.sleep(2e6)  # noqa: ASYNC116 -- past what counts as a hang

    with pytest.raises(AssertionError, match="the run hangs"):
        cancel_everywhere(stubborn)


def test_run_that_hangs_without_any_cancellation_is_reported() -> None:
    with pytest.raises(AssertionError, match="fast path on: TimeoutError: the run hangs"):
        cancel_everywhere(trio.sleep_forever)


# -- what it refuses -------------------------------------------------------------------


async def test_call_from_inside_a_loop_is_refused() -> None:
    with pytest.raises(SetupError, match="cannot be called from inside"):
        cancel_everywhere(three_points)


def test_more_points_than_the_limit_are_refused_and_never_left_out() -> None:
    async def long() -> None:
        for _ in range(30):
            await trio.lowlevel.checkpoint()

    with pytest.raises(SetupError, match=r"more than 20 cancellation points.*raise limit"):
        cancel_everywhere(long, limit=20)
    cancel_everywhere(long, limit=60)
