"""What a run has come to, counted while it goes and said at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from trio_ingest.delivery import DeliveryReport, Totals

from ._display import Display

_FAILURES_SHOWN: Final = 20


class Report:
    """Counts documents and failures, and says how the run stands and how it ended.

    Args:
        places: where the documents go, for the sentences.
        display: who shows the lines.
        clock: seconds, from anywhere.

    Memory: the first twenty failures, however many there are.
    """

    def __init__(
        self,
        places: Sequence[str],
        display: Display | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._places = places
        self._display = Display(clock=clock) if display is None else display
        self._clock = clock
        self._started_at = clock()
        self._failures: list[str] = []
        self._listed = 0
        self._before = Totals()
        self._totals = Totals()
        self.replaced = 0
        self.kept = 0

    @property
    def failed(self) -> int:
        """Records of the whole job that are in no sink: failed, or rejected by one."""
        return self._totals.bad

    def resumed(self, totals: Mapping[str, Totals]) -> None:
        """The run goes on from what an earlier one left."""
        if not totals:
            self._display.say("There is nothing to resume: the job begins.")
            return
        self._before = self._totals = _summed(totals)
        self._display.say(f"Going on after {_documents(self._before.delivered)}.")

    def committed(self, report: DeliveryReport) -> None:
        """So much is in every sink now."""
        self._totals = _summed(report.totals)

    def document_failed(self, where_and_why: str) -> None:
        """One more document failed, or was rejected by a sink."""
        self._listed += 1
        if len(self._failures) < _FAILURES_SHOWN:
            self._failures.append(where_and_why)

    def progress(self) -> None:
        """Show how the run stands, if it is time to."""
        self._display.progress(self._counts)

    def finished(self) -> None:
        """The source came to its end."""
        self._display.say(f"Done: {self._counts()}.")
        self._say_failures()

    def run_failed(self, why: str) -> None:
        """The run ended before its source did."""
        self._say_failures()
        self._display.say(f"Error: {why}")
        self._display.say(f"The run failed: {self._counts()}.{self._where()}")

    def failed_to_start(self, why: str) -> None:
        """The run could not begin."""
        self._display.say(f"Error: {why}")

    def interrupted(self) -> None:
        """Somebody pressed Ctrl-C."""
        self._display.say(f"Interrupted: {self._counts()}.{self._where()}")

    def _where(self) -> str:
        if not self._totals.delivered:
            return ""
        return f" They are in {' and '.join(self._places)}. Go on with --resume."

    def _counts(self) -> str:
        seconds = max(self._clock() - self._started_at, 1e-9)
        now = self._totals.delivered - self._before.delivered
        remarks = []
        if self._before.delivered or self._before.bad:
            remarks.append(f"{now:,} in this run")
        if self.replaced:
            remarks.append(
                f"{self.replaced:,} of them replaced an earlier one with the same id"
            )
        if self.kept:
            remarks.append(
                f"{self.kept:,} of them gave way to an earlier one with the same id"
            )
        remark = f" ({'; '.join(remarks)})" if remarks else ""
        return (
            f"{_documents(self._totals.delivered)}{remark}, {self.failed:,} failed, "
            f"{seconds:,.1f} seconds, {now / seconds:,.0f} documents/s"
        )

    def _say_failures(self) -> None:
        if self._failures:
            self._display.say("Failed documents:")
        for failure in self._failures:
            self._display.say(f"  {failure}")
        if self._listed > len(self._failures):
            self._display.say(f"  … and {self._listed - len(self._failures):,} more.")
        if self._before.bad:
            self._display.say(f"{self._before.bad:,} failed in earlier runs of this job.")


def _summed(totals: Mapping[str, Totals]) -> Totals:
    """What is in every sink, and what is missing in any."""
    return min(totals.values(), key=lambda one: one.delivered)


def _documents(count: int) -> str:
    return f"{count:,} document" if count == 1 else f"{count:,} documents"
