"""Arithmetic of half-open ranges of record numbers: sorted, and apart from each other."""

from __future__ import annotations

from typing import TypeAlias

from trio_ingest import Position

Ranges: TypeAlias = list[tuple[int, int]]


def claimed_by(position: Position) -> Ranges:
    """Every record number that a position claims."""
    first = [(0, position.watermark)] if position.watermark else []
    return [*first, *position.ended]


def difference(ours: Ranges, theirs: Ranges) -> Ranges:
    """What is in ours and not in theirs."""
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


def union(ours: Ranges, theirs: Ranges) -> Ranges:
    """What is in either."""
    found: Ranges = []
    for start, stop in sorted([*ours, *theirs]):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], stop))
        else:
            found.append((start, stop))
    return found


def size(ranges: Ranges) -> int:
    """How many numbers there are."""
    return sum(stop - start for start, stop in ranges)
