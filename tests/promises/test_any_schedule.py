"""Promises 1, 2 and 6 under many schedules, each of which can be run again by its seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.promises.checks import (
    check_checkpoints,
    check_counts,
    check_numbering,
    check_order,
    check_shape,
    check_states,
    ends_of,
)
from tests.promises.scripts import Case, play
from tests.worlds import ONLY_TRIO
from trio_ingest import Cursor
from trio_ingest.testing import Fail, FailTimes, SlowParse, explore

pytestmark = ONLY_TRIO
SCRIPTS: Sequence[Sequence[Any]] = [
    ["a", SlowParse(1), Fail(), Cursor(3), "b", FailTimes(1), SlowParse(1), "c", Cursor(8)],
    ["x", SlowParse(1), "y", SlowParse(1), "z"],
]
WAYS = pytest.mark.parametrize(
    ("workers", "ordered", "buffer_size"),
    [(1, True, 1), (3, True, 2), (3, False, 2), (4, False, 100)],
)


async def play_and_check(workers: int, ordered: bool, buffer_size: int) -> None:
    case = Case(
        scripts=SCRIPTS,
        workers=workers,
        ordered=ordered,
        attempts=2,
        buffer_size=buffer_size,
        progress_interval=2,
        checkpoint_interval=2,
        consumer_delays=(0, 0, 1),
    )
    events = (played := await play(case)).events
    assert played.failure is None
    for check in (check_numbering, check_shape, check_states, check_counts, check_checkpoints):
        check(events)
    if ordered:
        check_order(events)
    assert sum(map(len, ends_of(events).values())) == 12


@WAYS
def test_promises_hold_under_many_schedules(
    workers: int, ordered: bool, buffer_size: int
) -> None:
    report = explore(play_and_check, workers, ordered, buffer_size, seeds=25)
    assert report.seeds == 25
    assert report.schedules > 5


@pytest.mark.slow
@WAYS
def test_promises_hold_under_very_many_schedules(
    workers: int, ordered: bool, buffer_size: int
) -> None:
    report = explore(play_and_check, workers, ordered, buffer_size, seeds=3_000)
    assert report.schedules > 1_000
