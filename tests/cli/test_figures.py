"""Figures that are made of the events of a run."""

from typing import Any

import pytest

from trio_ingest import BatchProgress, DocumentRetrying
from trio_ingest.cli.jobs.run_stats import RunMeter


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def progress(completed: int, **fields: Any) -> BatchProgress:
    values: dict[str, Any] = {
        "completed": completed,
        "failed": 0,
        "in_flight": 0,
        "estimated_total": None,
        "eta_seconds": None,
        "skipped": 0,
        "queue_depth": 0,
        "buffer_size": 100,
        "fetch_seconds": 0.0,
        "parse_seconds": 0.0,
        "consumer_seconds": 0.0,
        "throttle_seconds": 0.0,
        "checkpoint": None,
        **fields,
    }
    return BatchProgress(**values)


def test_before_anything_has_come_there_is_nothing_to_tell(clock: Clock) -> None:
    figures = RunMeter(clock).figures()
    assert (figures.done, figures.total, figures.bottleneck) == (0, None, None)
    assert figures.documents_per_second == 0


def test_whatever_has_ended_counts_in_earlier_runs_too(clock: Clock) -> None:
    meter = RunMeter(clock)
    meter.resumed(done=1000, failed=7)
    meter.take(progress(10, failed=2, skipped=3, estimated_total=2000))
    figures = meter.figures()
    assert figures.done == 1015
    assert figures.failed == 9
    assert figures.total == 2000


def test_retries_are_counted(clock: Clock) -> None:
    meter = RunMeter(clock)
    for number in range(3):
        meter.take(
            DocumentRetrying(
                doc_id="a",
                adapter="feed",
                error=OSError(),
                error_type="OSError",
                retry_count=number,
                delay_seconds=1.0,
                record_number=0,
            )
        )
    assert meter.figures().retried == 3


def test_the_rate_is_that_of_the_last_seconds(clock: Clock) -> None:
    meter = RunMeter(clock)
    for second in range(1, 61):
        clock.seconds += 1
        meter.take(progress(min(second, 50) * 100))
    assert meter.figures().documents_per_second == pytest.approx(0, abs=1)
    meter = RunMeter(clock)
    for second in range(1, 61):
        clock.seconds += 1
        meter.take(progress(second * 100))
    assert meter.figures().documents_per_second == pytest.approx(100, rel=0.1)


def test_a_run_that_stands_still_slows_down_while_it_does(clock: Clock) -> None:
    meter = RunMeter(clock)
    clock.seconds += 1
    meter.take(progress(100))
    assert meter.figures().documents_per_second == pytest.approx(100)
    clock.seconds += 3
    assert meter.figures().documents_per_second == pytest.approx(25)


@pytest.mark.parametrize("part", ["fetch", "parse", "consumer", "throttle"])
def test_the_bottleneck_is_what_took_most_of_late(clock: Clock, part: str) -> None:
    meter = RunMeter(clock)
    # Long ago it was another one.
    other = "parse" if part == "fetch" else "fetch"
    clock.seconds += 100
    meter.take(progress(1, **{f"{other}_seconds": 100.0}))
    for second in range(1, 11):
        clock.seconds += 1
        spent = {f"{other}_seconds": 100.0, f"{part}_seconds": 1.0 * second}
        meter.take(progress(1 + second, **spent))
    assert meter.figures().bottleneck == part


def test_marks_do_not_pile_up(clock: Clock) -> None:
    meter = RunMeter(clock)
    for number in range(10_000):
        clock.seconds += 0.01
        meter.take(progress(number))
    assert len(meter._marks) < 30
