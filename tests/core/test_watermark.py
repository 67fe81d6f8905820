"""A watermark is a set of ended records and a list of cursors, in a few numbers."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_ingest import Position
from trio_ingest._core.watermark import MAX_WAITING_CURSORS, Watermark

# What an engine reports: a record ends, one of those yielded so far; or a cursor is
# yielded, behind so many further records.
STEPS = st.lists(
    st.tuples(st.just("end"), st.integers(0, 30))
    | st.tuples(st.just("cursor"), st.integers(0, 4)),
    max_size=80,
)


def ranges_beyond(low: int, ended: set[int]) -> tuple[tuple[int, int], ...]:
    """The half-open ranges of what ended beyond ``low``, found one number at a time."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(n for n in ended if n > low):
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return tuple(ranges)


class Model:
    """The same as the watermark, by remembering everything."""

    def __init__(self) -> None:
        self.ended: set[int] = set()
        self.cursors: list[tuple[int, Any]] = []
        self.yielded = 0

    @property
    def low(self) -> int:
        low = 0
        while low in self.ended:
            low += 1
        return low

    @property
    def newest(self) -> tuple[int | None, Any]:
        passed = [cursor for cursor in self.cursors if cursor[0] <= self.low]
        return passed[-1] if passed else (None, None)


@given(STEPS)
def test_watermark_says_what_a_set_of_records_and_a_list_of_cursors_say(
    steps: list[tuple[str, int]],
) -> None:
    watermark, model = Watermark(), Model()
    for what, value in steps:
        if what == "end":
            watermark.end(value)
            model.ended.add(value)
            model.yielded = max(model.yielded, value + 1)
        else:
            model.yielded += value
            watermark.place_cursor(model.yielded, f"cursor {len(model.cursors)}")
            model.cursors.append((model.yielded, f"cursor {len(model.cursors)}"))
        assert watermark.low == model.low
        assert watermark.ended == ranges_beyond(model.low, model.ended)
        assert (watermark.cursor_record, watermark.cursor) == model.newest
        for number in range(35):
            assert watermark.has_ended(number) == (number in model.ended), number


@given(st.sets(st.integers(0, 40)), st.permutations(range(6)))
def test_order_of_the_ends_does_not_matter(ended: set[int], shuffle: list[int]) -> None:
    watermark, shuffled = Watermark(), Watermark()
    for number in sorted(ended):
        watermark.end(number)
    for number in sorted(ended, key=lambda n: (shuffle[n % 6], -n)):
        shuffled.end(number)
    assert (shuffled.low, shuffled.ended) == (watermark.low, watermark.ended)


@given(st.sets(st.integers(0, 40)), st.lists(st.integers(0, 45)))
def test_watermark_made_of_a_position_goes_on_like_the_one_it_was_taken_of(
    ended: set[int], further: list[int]
) -> None:
    watermark = Watermark()
    for number in ended:
        watermark.end(number)
    resumed = Watermark.of(Position("feed", "{}", watermark.low, watermark.ended))
    for number in further:
        watermark.end(number)
        resumed.end(number)
        assert (resumed.low, resumed.ended) == (watermark.low, watermark.ended)


def test_record_that_ended_before_changes_nothing() -> None:
    watermark = Watermark(5)
    watermark.end(8)
    for number in (0, 4, 8):
        watermark.end(number)
        assert (watermark.low, watermark.ended) == (5, ((8, 9),))


def test_copy_is_independent_both_ways() -> None:
    watermark = Watermark()
    watermark.end(3)
    watermark.place_cursor(2, "two")
    twin = watermark.copy()
    watermark.end(0)
    twin.end(1)
    twin.end(5)
    assert (watermark.low, watermark.ended, watermark.cursor) == (1, ((3, 4),), None)
    assert (twin.low, twin.ended, twin.cursor) == (0, ((1, 2), (3, 4), (5, 6)), None)
    watermark.end(1)
    assert (watermark.cursor, twin.cursor) == ("two", None)
    twin.end(0)
    assert (twin.cursor, twin.cursor_record) == ("two", 2)


def test_cursor_with_nothing_before_it_is_passed_at_once() -> None:
    watermark = Watermark()
    watermark.place_cursor(0, "start")
    assert (watermark.cursor, watermark.cursor_record) == ("start", 0)


def test_cursor_whose_value_is_none_is_a_cursor() -> None:
    watermark = Watermark()
    watermark.place_cursor(1, None)
    assert watermark.cursor_record is None
    watermark.end(0)
    assert watermark.cursor_record == 1


def test_of_cursors_at_one_record_the_last_one_holds() -> None:
    watermark = Watermark()
    for value in "abc":
        watermark.place_cursor(1, value)
    watermark.end(0)
    assert watermark.cursor == "c"


def test_one_record_that_never_ends_costs_one_range_however_many_follow() -> None:
    watermark = Watermark()
    for number in range(1, 100_000):
        watermark.end(number)
    assert (watermark.low, watermark.ended) == (0, ((1, 100_000),))
    watermark.end(0)
    assert (watermark.low, watermark.ended) == (100_000, ())


@pytest.mark.parametrize("seed", range(5))
def test_ranges_are_never_more_than_records_in_flight(seed: int) -> None:
    # Twenty workers take records in order and end them in any order.
    draw, watermark = random.Random(seed), Watermark()
    open_records: list[int] = []
    for number in range(2_000):
        open_records.append(number)
        if len(open_records) == 20:
            watermark.end(open_records.pop(draw.randrange(20)))
        assert len(watermark.ended) <= len(open_records)
    for number in open_records:
        watermark.end(number)
    assert (watermark.low, watermark.ended) == (2_000, ())


@given(
    st.integers(1, 400) | st.integers(MAX_WAITING_CURSORS, 200),
    st.integers(),
    st.integers(0, 600),
)
@example(count=MAX_WAITING_CURSORS + 1, seed=0, unblocked=0)
@example(count=3 * MAX_WAITING_CURSORS + 2, seed=1, unblocked=100)
def test_forgotten_cursors_make_a_resume_coarser_and_never_wrong(
    count: int, seed: int, unblocked: int
) -> None:
    # Record 0 never ends for a while, and a cursor follows every few records.
    draw, watermark, number = random.Random(seed), Watermark(), 1
    placed: dict[int, list[int]] = {}
    for value in range(count):
        number += draw.randrange(4)
        watermark.place_cursor(number, value)
        placed.setdefault(number, []).append(value)
        assert len(watermark._cursors) <= MAX_WAITING_CURSORS
    assert watermark.cursor_record is None
    for ended in range(min(unblocked, number)):
        watermark.end(ended)
        if watermark.cursor_record is not None:
            assert watermark.cursor_record <= watermark.low
            assert watermark.cursor in placed[watermark.cursor_record]
    for ended in range(number):
        watermark.end(ended)
    assert (watermark.cursor_record, watermark.cursor) == (number, count - 1)


@pytest.mark.parametrize("count", range(60, 300, 7))
@pytest.mark.parametrize("behind", [1, 5, 20])
def test_forgetting_cursors_keeps_them_dense_where_records_are_in_flight(
    count: int, behind: int
) -> None:
    # Record 0 was slow, and a cursor followed each record; one of the newest is open yet.
    watermark, still_open = Watermark(), count - behind
    for number in range(1, count):
        watermark.place_cursor(number, number)
        if number != still_open:
            watermark.end(number)
    watermark.end(0)
    assert watermark.low == still_open
    assert watermark.cursor_record is not None
    assert still_open - watermark.cursor_record <= 2 * behind + 2
