"""Progress of one adapter run: the records that have ended, and the newest cursor they allow.

Records end in any order. The watermark is the record number below which all have ended;
what ended beyond it is kept as ranges, so memory follows what is in flight.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from typing import Any

from .positions import Position
from .ranges import Range, insert

# Cursors that wait for the records before them. When one record never ends, every
# later cursor waits; past this many, every second one is forgotten, which makes a
# resume coarser and never wrong.
MAX_WAITING_CURSORS = 64


class Watermark:
    """The records of one adapter run that have ended.

    Args:
        low: the record number below which everything has ended.
        ended: half-open ranges of what has ended beyond it, sorted and apart.
        cursor: the newest cursor before which everything has ended.
        cursor_record: the record number at which it continues; None without a cursor.

    Memory: one pair for each gap among the ended records (at most as many as are
    in flight), and at most 64 waiting cursors.
    """

    __slots__ = ("_cursors", "_starts", "_stops", "cursor", "cursor_record", "low")

    def __init__(
        self,
        low: int = 0,
        ended: Sequence[Range] = (),
        cursor: Any = None,
        cursor_record: int | None = None,
    ) -> None:
        self.low = low
        self._starts = [start for start, _ in ended]
        self._stops = [stop for _, stop in ended]
        self._cursors: deque[tuple[int, Any]] = deque()
        self.cursor = cursor
        self.cursor_record = cursor_record

    @classmethod
    def of(cls, position: Position) -> Watermark:
        """Return the watermark that a position was taken from."""
        return cls(position.watermark, position.ended, position.cursor, position.cursor_record)

    @property
    def ended(self) -> tuple[Range, ...]:
        """The half-open ranges that ended beyond the watermark."""
        return tuple(zip(self._starts, self._stops, strict=True))

    def copy(self) -> Watermark:
        """Return an independent copy."""
        twin = Watermark(self.low, self.ended, self.cursor, self.cursor_record)
        twin._cursors = self._cursors.copy()
        return twin

    def has_ended(self, number: int) -> bool:
        """Return whether this record has ended."""
        if number < self.low:
            return True
        place = bisect_left(self._stops, number + 1)
        return place < len(self._starts) and self._starts[place] <= number

    def end(self, number: int) -> None:
        """Note that this record has ended; a record that ended before changes nothing."""
        # In order and without a gap, which is nearly every end: no range is touched.
        if number == self.low and not self._starts:
            self.low = number + 1
            if self._cursors:
                self._pass_cursors()
            return
        if not self.has_ended(number):
            starts, stops = self._starts, self._stops
            insert(starts, stops, number)
            if starts[0] == self.low:
                self.low = stops[0]
                del starts[0], stops[0]
                self._pass_cursors()

    def place_cursor(self, number: int, value: Any) -> None:
        """Note that ``value`` covers every record below ``number``."""
        self._cursors.append((number, value))
        if len(self._cursors) > MAX_WAITING_CURSORS:
            # The newest stays: it is the one that a run without gaps will need.
            kept = list(self._cursors)[1::2]
            newest = self._cursors[-1]
            if kept[-1] is not newest:
                kept.append(newest)
            self._cursors = deque(kept)
        self._pass_cursors()

    def _pass_cursors(self) -> None:
        cursors = self._cursors
        while cursors and cursors[0][0] <= self.low:
            self.cursor_record, self.cursor = cursors.popleft()
