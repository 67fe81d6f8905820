"""The figures of one run in a log: whether they add up, and only ever grow."""

from __future__ import annotations

import math
from typing import Final

from trio_ingest import BatchProgress

from ._findings import Findings

_COUNTS: Final = ("completed", "failed", "skipped", "in_flight")
_SECONDS: Final = ("fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds")


class FiguresChecker:
    """Follows the progress events of one run.

    Args:
        findings: where what is wrong is told.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._newest: BatchProgress | None = None
        self._buffer_size: int | None = None
        # By how much a count was wrong, so that it is not said of each line that follows.
        self._off: dict[str, int] = {}

    def seconds(self, line: int, name: str, value: float) -> None:
        """A time that has passed."""
        if not (math.isfinite(value) and value >= 0):
            self._tell(line, f"{name} is {value:g}, which is no time that has passed.")

    def times(self, line: int, event: BatchProgress) -> None:
        """What a progress event says of times, and of the buffer."""
        newest = self._newest
        for name in _SECONDS:
            value = getattr(event, name)
            self.seconds(line, name, value)
            if newest is not None and value < getattr(newest, name):
                self._tell(
                    line,
                    f"{name} runs backwards: it is {value:g}, and was "
                    f"{getattr(newest, name):g}.",
                )
        if event.eta_seconds is not None:
            self.seconds(line, "eta_seconds", event.eta_seconds)
        if event.queue_depth < 0:
            self._tell(line, f"queue_depth is {event.queue_depth}, less than nothing.")
        if event.queue_depth > event.buffer_size:
            self._tell(
                line,
                f"queue_depth is {event.queue_depth}, and the buffer has {event.buffer_size}.",
            )
        if self._buffer_size is None:
            self._buffer_size = event.buffer_size
        if event.buffer_size != self._buffer_size:
            self._tell(
                line,
                f"buffer_size is {event.buffer_size}, and was {self._buffer_size} before.",
            )

    def counts(
        self,
        line: int,
        told: BatchProgress,
        event: BatchProgress,
        *,
        is_whole: bool,
        is_disturbed: bool,
    ) -> None:
        """What a progress event counts.

        Args:
            line: where it is.
            told: what the book would have said.
            event: what the log says.
            is_whole: whether no event was missing until here.
            is_disturbed: whether it was said already why they cannot add up.
        """
        newest, self._newest = self._newest, event
        for name in _COUNTS:
            said, should = getattr(event, name), getattr(told, name)
            if not is_whole:
                # Whatever is missing, what has been counted cannot become less.
                if name != "in_flight" and newest and said < getattr(newest, name):
                    self._findings.add(
                        line, "counts", f"{name} is {said}, and was {getattr(newest, name)}."
                    )
                continue
            if said - should == self._off.get(name, 0):
                continue
            self._off[name] = said - should
            if said != should and not is_disturbed:
                self._findings.add(
                    line,
                    "counts",
                    f"{name} is {said}, and by what is in the log it should be {should}.",
                )

    def _tell(self, line: int, message: str) -> None:
        self._findings.add(line, "telemetry", message)
