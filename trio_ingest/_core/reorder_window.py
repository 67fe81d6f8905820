"""The bounded set of records that several workers have in work or finished.

A slot is taken before a record is fetched and freed when its result is emitted, in the order
of the source or as results come.
"""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")

# This many times `workers` items may be fetched and not yet emitted: `workers` of them
# parsed and as many waiting, for a worker or, with ordered=True, for their turn. At 1 a
# worker that ends must wait for the fetch, and in order a slow record idles all others;
# each unit more is `workers` more records or results that wait in memory.
WINDOW_PER_WORKER = 2


class ReorderWindow(Generic[T]):
    """A window of ``size`` slots, between the fetch of an item and its emission.

    Args:
        workers: how many tasks parse.
        ordered: whether results leave in the order in which slots were taken; otherwise
            they leave as they finish.

    Memory: at most ``workers * WINDOW_PER_WORKER`` results.
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
        """True when no further item may be fetched now."""
        return self._next - self._first >= self.size

    @property
    def is_empty(self) -> bool:
        """True when everything fetched has been emitted."""
        return self._next == self._first

    def take(self) -> int:
        """Take the next slot and return its number."""
        slot = self._next
        self._next = slot + 1
        return slot

    def finish(self, slot: int, result: T) -> None:
        """Note the result for a slot."""
        if self._ordered:
            self._finished[slot] = result
        else:
            self._done.append(result)

    def has_ready(self) -> bool:
        """Return whether a result may be emitted now."""
        return bool(self._done) or self._first in self._finished

    def pop(self) -> T:
        """Return the next result to emit, and free its slot."""
        result = self._done.popleft() if self._done else self._finished.pop(self._first)
        self._first += 1
        return result
