"""Progress in plain lines: one now and then, or one that moves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from ._figures import Figures
from ._words import counted, details, fitting, printable

# A log that a person looks through later.
_LOG_SECONDS: Final = 10.0

# Faster than this nobody reads, and each line costs a write to the terminal.
TERMINAL_SECONDS: Final = 0.1


class Lines:
    """A line every ten seconds.

    Args:
        stream: where to; nowhere when None.
        clock: seconds, from anywhere.
        progress: whether there are any lines but those that are said.
        interval_seconds: between two lines of progress.
    """

    def __init__(
        self,
        stream: TextIO | None,
        clock: Callable[[], float],
        *,
        progress: bool = True,
        interval_seconds: float = _LOG_SECONDS,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._progress = progress
        self._interval_seconds = interval_seconds
        self._shown_at = clock()

    def progress(self, figures: Callable[[], Figures]) -> None:
        """Show ``figures()``, unless the last progress is too recent."""
        now = self._clock()
        if self._progress and now - self._shown_at >= self._interval_seconds:
            self._shown_at = now
            self._show(figures())

    def say(self, sentence: str) -> None:
        """Show a line that stays."""
        self._write(f"{printable(sentence)}\n")

    def close(self) -> None:
        """There is nothing to take away."""

    def _show(self, figures: Figures) -> None:
        self.say(", ".join([counted(figures), *details(figures)]))

    def _write(self, text: str) -> None:
        # Nobody reads standard error any more: the documents still matter.
        with suppress(OSError, ValueError):
            if self._stream is not None:
                encoding = getattr(self._stream, "encoding", None) or "utf-8"
                self._stream.write(
                    text.encode(encoding, errors="backslashreplace").decode(encoding)
                )
                self._stream.flush()


class MovingLine(Lines):
    """One line on a terminal that is written over; for where rich is not installed."""

    def __init__(self, stream: TextIO | None, clock: Callable[[], float]) -> None:
        super().__init__(stream, clock, interval_seconds=TERMINAL_SECONDS)
        self._length = 0

    def say(self, sentence: str) -> None:
        """Show a line that stays."""
        self.close()
        super().say(sentence)

    def close(self) -> None:
        """Wipe the line."""
        if self._length:
            self._write(f"\r{' ' * self._length}\r")
        self._length = 0

    def _show(self, figures: Figures) -> None:
        # One column stays free: a terminal wraps when the last one is filled.
        columns = shutil.get_terminal_size().columns - 1
        text = fitting([counted(figures), *details(figures)], columns)
        self._write(f"\r{text.ljust(self._length)}")
        self._length = len(text)
