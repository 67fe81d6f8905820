"""The figures of a run that people want to see."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

import attrs

from trio_ingest import BatchProgress, DocumentRetrying, PipelineEvent

Part: TypeAlias = Literal["fetch", "parse", "consumer", "throttle"]

# Long enough that one slow batch does not turn everything round, short enough to tell of
# what is happening now.
_WINDOW_SECONDS: Final = 5.0

# Marks closer together than this replace each other, so that memory is bounded.
_SPACING_SECONDS: Final = _WINDOW_SECONDS / 20


@attrs.frozen(kw_only=True)
class RunStats:
    """A run at one moment.

    Args:
        done: records of the whole job that have ended, in earlier runs too.
        total: how many there are, as far as that is known.
        failed: of the whole job.
        retried: retries of this run.
        in_flight: documents that are being worked on.
        queue_depth: events that wait for the sinks.
        buffer_size: how many may wait.
        elapsed_seconds: since this run began.
        documents_per_second: over the last five seconds.
        eta_seconds: until the end, or None.
        bottleneck: the part that took most of the last five seconds, or None.
    """

    done: int
    total: int | None
    failed: int
    retried: int
    in_flight: int
    queue_depth: int
    buffer_size: int
    elapsed_seconds: float
    documents_per_second: float
    eta_seconds: float | None
    bottleneck: Part | None


class _Mark(NamedTuple):
    """The counts at one moment of the window."""

    at_seconds: float
    ended: int
    fetch: float
    parse: float
    consumer: float
    throttle: float


_PARTS: Final[tuple[Part, ...]] = ("fetch", "parse", "consumer", "throttle")


class RunMeter:
    """Makes figures of the events of a run.

    Args:
        clock: seconds, from anywhere.

    Memory: some twenty marks.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began_at = clock()
        self._done_before = 0
        self._failed_before = 0
        self._retried = 0
        self._newest: BatchProgress | None = None
        self._marks = deque([_Mark(self._began_at, 0, 0.0, 0.0, 0.0, 0.0)])

    def resumed(self, *, done: int, failed: int) -> None:
        """Count what earlier runs of the job did.

        Args:
            done: records that had ended.
            failed: those of them that are in no sink.
        """
        self._done_before = done
        self._failed_before = failed

    def take(self, event: PipelineEvent) -> None:
        """Hear of an event; of most there is nothing to count."""
        kind = type(event)
        if kind is BatchProgress:
            self._progress(event)  # type: ignore[arg-type]
        elif kind is DocumentRetrying:
            self._retried += 1

    def figures(self) -> RunStats:
        """The figures of this moment."""
        now, newest, first = self._clock(), self._newest, self._marks[0]
        ended = 0 if newest is None else _ended(newest)
        seconds = now - first.at_seconds
        return RunStats(
            done=self._done_before + ended,
            total=None if newest is None else newest.estimated_total,
            failed=self._failed_before + (0 if newest is None else newest.failed),
            retried=self._retried,
            in_flight=0 if newest is None else newest.in_flight,
            queue_depth=0 if newest is None else newest.queue_depth,
            buffer_size=0 if newest is None else newest.buffer_size,
            elapsed_seconds=now - self._began_at,
            documents_per_second=(ended - first.ended) / seconds if seconds > 0 else 0.0,
            eta_seconds=None if newest is None else newest.eta_seconds,
            bottleneck=self._bottleneck(),
        )

    def _progress(self, event: BatchProgress) -> None:
        self._newest = event
        now, marks = self._clock(), self._marks
        mark = _Mark(
            now,
            _ended(event),
            event.fetch_seconds,
            event.parse_seconds,
            event.consumer_seconds,
            event.throttle_seconds,
        )
        if len(marks) > 2 and now - marks[-2].at_seconds < _SPACING_SECONDS:
            marks[-1] = mark
        else:
            marks.append(mark)
        while len(marks) > 2 and now - marks[1].at_seconds >= _WINDOW_SECONDS:
            marks.popleft()

    def _bottleneck(self) -> Part | None:
        first, last = self._marks[0], self._marks[-1]
        spent = {part: getattr(last, part) - getattr(first, part) for part in _PARTS}
        most = max(_PARTS, key=lambda part: spent[part])
        return most if spent[most] > 0 else None


def _ended(event: BatchProgress) -> int:
    return event.completed + event.failed + event.skipped
