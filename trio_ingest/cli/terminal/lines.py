"""Progress in plain lines: one now and then, or one that moves."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from trio_ingest.cli.jobs.run_stats import RunStats

from .text import counted, details, encodable, fitting, printable

# A log that a person looks through later.
_LOG_SECONDS: Final = 10.0

# Faster than this cannot be read, and each line costs a write to the terminal.
TERMINAL_SECONDS: Final = 0.1


class Outlet:
    """A stream that is written to as far as it lets itself be.

    Args:
        stream: where to; nowhere when None.

    Nothing here raises OSError or ValueError. When standard error has no reader any more,
    the documents still matter.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.encoding: str = getattr(stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write the text, and spell out what the encoding lacks."""
        with suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(encodable(text, self.encoding))
        return len(text)

    def flush(self) -> None:
        """Hand over what has been written."""
        with suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.flush()

    def columns(self) -> int:
        """The width of the terminal at this moment."""
        with suppress(OSError, ValueError):
            # Python itself would ask standard output, which may be a file.
            if self._stream is not None and "COLUMNS" not in os.environ:
                columns = os.get_terminal_size(self._stream.fileno()).columns
                if columns:
                    return columns
        return shutil.get_terminal_size().columns


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
        self._outlet = Outlet(stream)
        self._clock = clock
        self._progress = progress
        self._interval_seconds = interval_seconds
        self._shown_at = clock()

    def progress(self, figures: Callable[[], RunStats]) -> None:
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

    def _show(self, figures: RunStats) -> None:
        self.say(", ".join([counted(figures), *details(figures)]))

    def _write(self, text: str) -> None:
        self._outlet.write(text)
        self._outlet.flush()


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
            # It may have become narrower, and more blanks than that would begin a new line.
            blanks = " " * min(self._length, self._room())
            self._write(f"\r{blanks}\r")
        self._length = 0

    def _show(self, figures: RunStats) -> None:
        room = self._room()
        text = fitting([counted(figures), *details(figures)], room)
        self._write(f"\r{text.ljust(min(self._length, room))}")
        self._length = len(text)

    def _room(self) -> int:
        # One column stays free: a terminal wraps when the last one is filled.
        return self._outlet.columns() - 1
