"""The time left is what the recent rate says, and None where that would be a guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest._core.progress import MIN_SECONDS, WINDOW_SECONDS, RateEstimator


def steady(
    rate: float, seconds: int, *, start: float = 0.0, every: float = 1.0
) -> RateEstimator:
    """A run that has ended ``rate`` records in each second, and was marked ``every``."""
    pace = RateEstimator(start)
    for step in range(1, int(seconds / every) + 1):
        pace.mark(start + step * every, int(step * every * rate))
    return pace


@pytest.mark.parametrize("start", [0.0, 1e9, -5.0])
@pytest.mark.parametrize("every", [0.25, 1.0, 7.0])
@pytest.mark.parametrize("seconds", [14, 140, 1400])
def test_steady_rate_gives_what_is_left_divided_by_the_rate(
    start: float, every: float, seconds: int
) -> None:
    pace = steady(20, seconds, start=start, every=every)
    ended = 20 * seconds
    assert pace.eta_seconds(ended + 600) == pytest.approx(30)
    assert pace.eta_seconds(ended) == 0


def test_what_had_ended_before_this_run_is_not_left() -> None:
    assert steady(10, 10).eta_seconds(1_000, done_before=700) == pytest.approx(20)


def test_without_a_total_there_is_no_eta() -> None:
    assert steady(10, 10).eta_seconds(None) is None


def test_exceeded_total_gives_none() -> None:
    assert steady(10, 10).eta_seconds(99) is None
    assert steady(10, 10).eta_seconds(150, done_before=51) is None


def test_less_than_half_a_second_of_observation_gives_none() -> None:
    pace = RateEstimator(100.0)
    pace.mark(100.0 + MIN_SECONDS * 0.9, 50)
    assert pace.eta_seconds(100) is None
    pace.mark(100.0 + MIN_SECONDS, 50)
    assert pace.eta_seconds(100) == pytest.approx(MIN_SECONDS)


def test_run_that_has_not_been_marked_gives_none() -> None:
    assert RateEstimator(0.0).eta_seconds(100) is None


def test_window_in_which_nothing_ended_gives_none() -> None:
    pace = steady(10, 60)
    for second in range(61, 61 + int(WINDOW_SECONDS) - 1):
        pace.mark(second, 600)
    assert pace.eta_seconds(1_000) is not None
    for second in range(90, 95):
        pace.mark(second, 600)
    assert pace.eta_seconds(1_000) is None


def test_old_pace_is_forgotten_after_the_window() -> None:
    pace = steady(1_000, 300)
    for second in range(301, 301 + int(WINDOW_SECONDS) + 1):
        pace.mark(second, 300_000 + (second - 300) * 10)
    ended = 300_000 + (int(WINDOW_SECONDS) + 1) * 10
    assert pace.eta_seconds(ended + 100) == pytest.approx(10, rel=0.05)


def test_burst_of_marks_does_not_shorten_the_window() -> None:
    # A fast run marks progress thousands of times a second; the rate must still be
    # that of the last half minute, and so ignore a pause of a few milliseconds.
    pace, now = RateEstimator(0.0), 0.0
    for step in range(1, 100_001):
        now += 0.001
        pace.mark(now, step)
    assert pace.eta_seconds(101_000) == pytest.approx(1.0, rel=0.01)
    pace.mark(now + 1.0, 100_000)
    assert pace.eta_seconds(101_000) == pytest.approx(1.0, rel=0.1)


@given(st.lists(st.floats(0, 5), max_size=300))
def test_marks_are_bounded_however_many_are_made(gaps: list[float]) -> None:
    pace, now = RateEstimator(0.0), 0.0
    for step, gap in enumerate(gaps):
        now += gap
        pace.mark(now, step)
        assert len(pace._marks) <= 64


def test_marks_of_a_fast_run_are_bounded() -> None:
    pace = RateEstimator(0.0)
    for step in range(100_000):
        pace.mark(step * 0.003, step)
    assert len(pace._marks) <= 64


@given(
    st.lists(st.tuples(st.floats(0.01, 20), st.integers(1, 500)), min_size=1, max_size=60),
    st.integers(0, 10_000),
)
def test_eta_lies_between_what_the_fastest_and_the_slowest_stretch_say(
    stretches: list[tuple[float, int]], left: int
) -> None:
    pace, now, ended = RateEstimator(0.0), 0.0, 0
    for seconds, count in stretches:
        now, ended = now + seconds, ended + count
        pace.mark(now, ended)
    eta = pace.eta_seconds(ended + left)
    if now < MIN_SECONDS:
        assert eta is None
        return
    assert eta is not None
    slowest = min(count / seconds for seconds, count in stretches)
    fastest = max(count / seconds for seconds, count in stretches)
    assert left / fastest * 0.999 - 1e-6 <= eta <= left / slowest * 1.001 + 1e-6
