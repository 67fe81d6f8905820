"""Which records of one adapter run have ended, in memory that follows what is in flight."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from typing import Any

# Cursors that wait for the records before them. When one record never ends, every
# later cursor waits; past this many, every second one is forgotten, which makes a
# resume coarser and never wrong.
MOST_WAITING_CURSORS = 64


class Watermark:
    """Below which record everything has ended, and what has ended beyond it.

    And the newest cursor before which everything has ended.

    Memory: one pair for each gap among the ended records (at most as many as are
    in flight), and at most 64 waiting cursors.
    """

    __slots__ = ("_cursors", "_starts", "_stops", "cursor", "cursor_record", "low")

    def __init__(self, low: int = 0) -> None:
        self.low = low
        self._starts: list[int] = []
        self._stops: list[int] = []
        self._cursors: deque[tuple[int, Any]] = deque()
        self.cursor: Any = None
        self.cursor_record: int | None = None

    @property
    def ended(self) -> tuple[tuple[int, int], ...]:
        """The half-open ranges that ended beyond the watermark."""
        return tuple(zip(self._starts, self._stops, strict=True))

    def copy(self) -> Watermark:
        """An independent copy."""
        twin = Watermark(self.low)
        twin._starts = self._starts.copy()
        twin._stops = self._stops.copy()
        twin._cursors = self._cursors.copy()
        twin.cursor = self.cursor
        twin.cursor_record = self.cursor_record
        return twin

    def has_ended(self, number: int) -> bool:
        """Whether this record has ended."""
        if number < self.low:
            return True
        place = bisect_left(self._stops, number + 1)
        return place < len(self._starts) and self._starts[place] <= number

    def end(self, number: int) -> None:
        """Note that this record has ended; a record that ended before changes nothing."""
        if number == self.low and not self._starts:
            self.low = number + 1
            if self._cursors:
                self._pass_cursors()
            return
        if not self.has_ended(number):
            self._insert(number, number + 1)

    def end_range(self, start: int, stop: int) -> None:
        """Note a whole range, as a checkpoint holds it; it must lie beyond all others."""
        self._starts.append(start)
        self._stops.append(stop)

    def place_cursor(self, number: int, value: Any) -> None:
        """Note that ``value`` covers every record below ``number``."""
        self._cursors.append((number, value))
        if len(self._cursors) > MOST_WAITING_CURSORS:
            # The newest stays: it is the one that a run without gaps will need.
            kept = list(self._cursors)[1::2]
            newest = self._cursors[-1]
            if kept[-1] is not newest:
                kept.append(newest)
            self._cursors = deque(kept)
        self._pass_cursors()

    def _insert(self, start: int, stop: int) -> None:
        starts, stops = self._starts, self._stops
        place = bisect_left(starts, start)
        if place < len(starts) and starts[place] == stop:
            starts[place] = start
        else:
            starts.insert(place, start)
            stops.insert(place, stop)
        if place and stops[place - 1] == start:
            stops[place - 1] = stops[place]
            del starts[place], stops[place]
        if starts[0] == self.low:
            self.low = stops[0]
            del starts[0], stops[0]
            self._pass_cursors()

    def _pass_cursors(self) -> None:
        cursors = self._cursors
        while cursors and cursors[0][0] <= self.low:
            self.cursor_record, self.cursor = cursors.popleft()
