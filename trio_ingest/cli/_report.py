"""What a run has come to, counted while it goes and said at its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from ._display import Display

_FAILURES_SHOWN: Final = 20


class Report:
    """Counts documents and failures, and says how the run stands and how it ended.

    Args:
        place: where the documents go, for the sentences.
        display: who shows the lines.
        clock: seconds, from anywhere.

    Memory: the first twenty failures, however many there are.
    """

    def __init__(
        self,
        place: str,
        display: Display | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._place = place
        self._display = Display(clock=clock) if display is None else display
        self._clock = clock
        self._started_at = clock()
        self._failures: list[str] = []
        self.documents = 0
        self.replaced = 0
        self.failed = 0

    def stored(self, count: int, replaced: int = 0) -> None:
        """So many more documents are committed, some in the place of an earlier one."""
        self.documents += count
        self.replaced += replaced

    def document_failed(self, where_and_why: str) -> None:
        """One more document failed."""
        self.failed += 1
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
        return f" They are in {self._place}." if self.documents else ""

    def _counts(self) -> str:
        seconds = max(self._clock() - self._started_at, 1e-9)
        noun = "document" if self.documents == 1 else "documents"
        replaced = (
            f" ({self.replaced:,} of them replaced an earlier one with the same id)"
            if self.replaced
            else ""
        )
        return (
            f"{self.documents:,} {noun}{replaced}, {self.failed:,} failed, "
            f"{seconds:,.1f} seconds, {self.documents / seconds:,.0f} documents/s"
        )

    def _say_failures(self) -> None:
        if not self._failures:
            return
        self._display.say("Failed documents:")
        for failure in self._failures:
            self._display.say(f"  {failure}")
        if self.failed > len(self._failures):
            self._display.say(f"  … and {self.failed - len(self._failures):,} more.")
