"""Which way a run is shown on standard error: live, in lines now and then, or not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Protocol, TextIO

from ._figures import Figures
from ._lines import Lines, MovingLine


class Display(Protocol):
    """Shows progress, and sentences between."""

    def progress(self, figures: Callable[[], Figures]) -> None:
        """Show ``figures()``, unless the last progress is too recent."""

    def say(self, sentence: str) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """Take away what moves; can be called again."""


def display_for(
    stream: TextIO | None = None,
    *,
    progress: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Display:
    """The display that fits where it is shown.

    Args:
        stream: where to; standard error when None.
        progress: whether progress is shown at all.
        clock: seconds, from anywhere.

    Nothing that a display does raises because of its stream: the documents matter, even
    when nobody reads what is said of them.
    """
    stream = sys.stderr if stream is None else stream
    # A dumb terminal cannot go back to the start of its line.
    if not progress or not _is_terminal(stream) or os.environ.get("TERM") == "dumb":
        return Lines(stream, clock, progress=progress)
    try:
        from ._live import Live  # noqa: PLC0415 -- rich is an extra, and takes time to load
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "rich":
            raise
        return MovingLine(stream, clock)
    return Live(stream, clock)


def _is_terminal(stream: TextIO | None) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:
        return False  # closed
