"""Arithmetic of sets of record numbers.

A set is a sorted list of half-open ranges that neither overlap nor touch, so it takes as
much memory as it has gaps, however many numbers are in it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Range: TypeAlias = tuple[int, int]
Ranges: TypeAlias = list[Range]


def from_watermark(low: int, beyond: Iterable[Range]) -> Ranges:
    """Return every number below ``low``, and the ranges beyond it, as one set."""
    return [(0, low), *beyond] if low else [*beyond]


def split_at_watermark(ranges: Ranges) -> tuple[int, tuple[Range, ...]]:
    """Return the first number that is not in the set, and the ranges beyond it."""
    if ranges and ranges[0][0] == 0:
        return ranges[0][1], tuple(ranges[1:])
    return 0, tuple(ranges)


def size(ranges: Sequence[Range]) -> int:
    """Return how many numbers there are."""
    return sum(stop - start for start, stop in ranges)


def union(ours: Ranges, theirs: Ranges) -> Ranges:
    """Return the numbers that are in either set."""
    found: Ranges = []
    for start, stop in sorted([*ours, *theirs]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def intersection(ours: Ranges, theirs: Ranges) -> Ranges:
    """Return the numbers that are in both sets."""
    found = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        start, stop = max(ours[i][0], theirs[j][0]), min(ours[i][1], theirs[j][1])
        if start < stop:
            found.append((start, stop))
        if ours[i][1] < theirs[j][1]:
            i += 1
        else:
            j += 1
    return found


def difference(ours: Ranges, theirs: Ranges) -> Ranges:
    """Return the numbers that are in ``ours`` and not in ``theirs``."""
    found: Ranges = []
    place = 0
    for begin, stop in ours:
        start = begin
        while place < len(theirs) and theirs[place][1] <= start:
            place += 1
        at = place
        while at < len(theirs) and theirs[at][0] < stop:
            if theirs[at][0] > start:
                found.append((start, theirs[at][0]))
            start = max(start, theirs[at][1])
            at += 1
        if start < stop:
            found.append((start, stop))
    return found


def insert(starts: list[int], stops: list[int], number: int) -> None:
    """Add a number to a set that is kept as two lists, in place; it must be new."""
    place = bisect_left(starts, number)
    if place < len(starts) and starts[place] == number + 1:
        starts[place] = number
    else:
        starts.insert(place, number)
        stops.insert(place, number + 1)
    if place and stops[place - 1] == number:
        stops[place - 1] = stops[place]
        del starts[place], stops[place]
