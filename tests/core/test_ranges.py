"""Arithmetic of ranges says what that of sets of numbers says, in fewer words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trio_ingest._core.ranges import (
    Ranges,
    difference,
    from_watermark,
    insert,
    intersection,
    size,
    split_at_watermark,
    union,
)

NUMBERS = st.sets(st.integers(0, 30))


def ranges_of(numbers: set[int]) -> Ranges:
    """The ranges of some numbers, found one number at a time."""
    ranges: Ranges = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number:
            ranges[-1] = (ranges[-1][0], number + 1)
        else:
            ranges.append((number, number + 1))
    return ranges


@given(NUMBERS, NUMBERS)
def test_operations_are_those_of_sets(ours: set[int], theirs: set[int]) -> None:
    mine, other = ranges_of(ours), ranges_of(theirs)
    assert union(mine, other) == ranges_of(ours | theirs)
    assert intersection(mine, other) == ranges_of(ours & theirs)
    assert difference(mine, other) == ranges_of(ours - theirs)
    assert size(mine) == len(ours)


@given(NUMBERS)
def test_watermark_and_the_rest_are_the_whole(numbers: set[int]) -> None:
    low, beyond = split_at_watermark(ranges_of(numbers))
    assert low not in numbers
    assert set(range(low)) <= numbers
    assert from_watermark(low, beyond) == ranges_of(numbers)


@given(st.lists(st.integers(0, 30), unique=True))
def test_numbers_that_are_inserted_in_any_order_are_merged(numbers: list[int]) -> None:
    starts: list[int] = []
    stops: list[int] = []
    for number in numbers:
        insert(starts, stops, number)
    assert list(zip(starts, stops, strict=True)) == ranges_of(set(numbers))
