"""The recent rate of a run, and the time left at that rate."""

from __future__ import annotations

from collections import deque

# The rate is taken over this window. Shorter, and one slow page makes the ETA
# jump; longer, and it lags behind a source whose rate has changed.
WINDOW_SECONDS = 30.0
# A rate taken over less than this is a guess.
MIN_SECONDS = 0.5
# Marks closer together than this replace each other, so that memory is bounded.
_SPACING_SECONDS = WINDOW_SECONDS / 60


class RateEstimator:
    """The recent rate of a run, from marks of (time, records ended).

    Memory: at most about 60 marks.
    """

    __slots__ = ("_marks",)

    def __init__(self, now: float) -> None:
        self._marks: deque[tuple[float, int]] = deque([(now, 0)])

    def mark(self, now: float, ended: int) -> None:
        """Note that ``ended`` records have ended by ``now`` (seconds, monotonic)."""
        marks = self._marks
        if len(marks) > 1 and now - marks[-2][0] < _SPACING_SECONDS:
            marks[-1] = (now, ended)
        else:
            marks.append((now, ended))
        while len(marks) > 2 and now - marks[1][0] >= WINDOW_SECONDS:
            marks.popleft()

    def eta_seconds(self, total: int | None, done_before: int = 0) -> float | None:
        """Return the seconds left at the rate of the last 30 seconds, or None.

        None rather than a guess: when the total is unknown or was exceeded, when less
        than half a second was observed, or when nothing ended in the window.

        Args:
            total: how many records are expected in all.
            done_before: how many had ended before this run began.
        """
        (first_time, first_ended), (last_time, last_ended) = self._marks[0], self._marks[-1]
        elapsed, ended = last_time - first_time, last_ended - first_ended
        if total is None or elapsed < MIN_SECONDS or ended <= 0:
            return None
        left = total - done_before - last_ended
        return left * elapsed / ended if left >= 0 else None
