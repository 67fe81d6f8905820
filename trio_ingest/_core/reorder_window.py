"""In which order finished work leaves when several workers finish it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# This many times `workers` items may be fetched and not yet emitted: `workers` of them
# in work and as many waiting, for a worker or, with ordered=True, for their turn. At 1 a
# worker that ends must wait for the fetch, and in order a slow record idles all others;
# each unit more is `workers` more records or results that wait in memory.
WINDOW_PER_WORKER = 2


class ReorderWindow(Generic[T]):
    """A bounded set of places; what is taken first leaves first, or as it finishes.

    A place is taken before an item is fetched and freed when its result is emitted,
    so at most ``size`` items are anywhere between the two.
    """

    __slots__ = ("_done", "_finished", "_first", "_next", "_ordered", "size")

    def __init__(self, workers: int, *, ordered: bool) -> None:
        self.size = workers * WINDOW_PER_WORKER
        self._ordered = ordered
        self._next = 0
        self._first = 0
        self._finished: dict[int, T] = {}
        self._done: deque[T] = deque()

    @property
    def is_full(self) -> bool:
        """Whether no further item may be fetched now."""
        return self._next - self._first >= self.size

    @property
    def is_empty(self) -> bool:
        """Whether everything taken has been emitted."""
        return self._next == self._first

    def take(self) -> int:
        """Take the next place."""
        place = self._next
        self._next = place + 1
        return place

    def finish(self, place: int, result: T) -> None:
        """Hand in the result for a place."""
        if self._ordered:
            self._finished[place] = result
        else:
            self._done.append(result)

    def has_ready(self) -> bool:
        """Whether ``pop`` has something to give."""
        return bool(self._done) or self._first in self._finished

    def pop(self) -> T:
        """The next result to emit; frees its place."""
        result = self._done.popleft() if self._done else self._finished.pop(self._first)
        self._first += 1
        return result
