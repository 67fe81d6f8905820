"""The figures in a log: counts add up, and times only ever grow."""

from __future__ import annotations

import math
from typing import Final

from trio_ingest import BatchProgress

from ._findings import Findings

_COUNTS: Final = ("completed", "failed", "skipped", "in_flight")
SECONDS: Final = ("fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds")


class FiguresChecker:
    """Checks the durations and progress events of one run.

    Args:
        findings: get what is wrong.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._newest: BatchProgress | None = None
        self._buffer_size: int | None = None
        # The error of each count so far, so that it is not reported again at each line.
        self._errors: dict[str, int] = {}

    def seconds(self, line: int, name: str, value: float) -> None:
        """Check a duration."""
        if not (math.isfinite(value) and value >= 0):
            self._report(line, f"{name} is {value:g}, which is no time that has passed.")

    def times(self, line: int, event: BatchProgress) -> None:
        """Check the times of a progress event, and what it says of the buffer."""
        newest = self._newest
        for name in SECONDS:
            value = getattr(event, name)
            self.seconds(line, name, value)
            if newest is not None and value < getattr(newest, name):
                self._report(
                    line,
                    f"{name} runs backwards: it is {value:g}, and was "
                    f"{getattr(newest, name):g}.",
                )
        if event.eta_seconds is not None:
            self.seconds(line, "eta_seconds", event.eta_seconds)
        if event.queue_depth < 0:
            self._report(line, f"queue_depth is {event.queue_depth}, less than nothing.")
        if event.queue_depth > event.buffer_size:
            self._report(
                line,
                f"queue_depth is {event.queue_depth}, and the buffer has {event.buffer_size}.",
            )
        if self._buffer_size is None:
            self._buffer_size = event.buffer_size
        if event.buffer_size != self._buffer_size:
            self._report(
                line,
                f"buffer_size is {event.buffer_size}, and was {self._buffer_size} before.",
            )

    def counts(
        self,
        line: int,
        expected: BatchProgress,
        event: BatchProgress,
        *,
        is_whole: bool,
        is_explained: bool,
    ) -> None:
        """Check the counts of a progress event.

        Args:
            line: its number.
            expected: the event of the state machine.
            event: the event of the log.
            is_whole: no event was missing until here.
            is_explained: a finding says already why they cannot add up.
        """
        newest, self._newest = self._newest, event
        for name in _COUNTS:
            said, should = getattr(event, name), getattr(expected, name)
            if not is_whole:
                # Whatever is missing, what has been counted cannot become less.
                if name != "in_flight" and newest and said < getattr(newest, name):
                    self._findings.add(
                        line, "counts", f"{name} is {said}, and was {getattr(newest, name)}."
                    )
                continue
            if said - should == self._errors.get(name, 0):
                continue
            self._errors[name] = said - should
            if said != should and not is_explained:
                self._findings.add(
                    line,
                    "counts",
                    f"{name} is {said}, and by what is in the log it should be {should}.",
                )

    def _report(self, line: int, message: str) -> None:
        self._findings.add(line, "telemetry", message)
