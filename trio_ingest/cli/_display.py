"""Lines on standard error: one that moves on a terminal, one now and then elsewhere."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

# Faster than this nobody reads, and each line costs a write to the terminal.
_TERMINAL_SECONDS: Final = 0.1

# A log that a person looks through later.
_LOG_SECONDS: Final = 10.0


class Display:
    """Shows progress on standard error, and sentences between.

    Args:
        stream: where to; standard error when None.
        clock: seconds, from anywhere.
    """

    def __init__(
        self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = sys.stderr if stream is None else stream
        # A dumb terminal cannot go back to the start of its line.
        self._moving = (
            self._stream is not None
            and self._stream.isatty()
            and os.environ.get("TERM") != "dumb"
        )
        self._interval_seconds = _TERMINAL_SECONDS if self._moving else _LOG_SECONDS
        self._clock = clock
        self._shown_at = clock()
        self._line_length = 0

    def progress(self, line: Callable[[], str]) -> None:
        """Show ``line()``, unless the last progress is too recent."""
        now = self._clock()
        if now - self._shown_at < self._interval_seconds:
            return
        self._shown_at = now
        if not self._moving:
            self._write(f"{line()}\n")
            return
        # One column stays free: a terminal wraps when the last one is filled.
        text = line()[: shutil.get_terminal_size().columns - 1]
        self._write(f"\r{text.ljust(self._line_length)}")
        self._line_length = len(text)

    def say(self, sentence: str) -> None:
        """Show a line that stays."""
        blank = f"\r{' ' * self._line_length}\r" if self._line_length else ""
        self._line_length = 0
        self._write(f"{blank}{sentence}\n")

    def _write(self, text: str) -> None:
        # Nobody reads standard error any more: the documents still matter.
        with contextlib.suppress(OSError, ValueError):
            if self._stream is not None:
                self._stream.write(text)
                self._stream.flush()
