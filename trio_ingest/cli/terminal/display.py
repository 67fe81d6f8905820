"""Which way a run is shown on standard error: live, in lines now and then, or not."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Final, Protocol, TextIO

from trio_ingest.cli.jobs.run_stats import RunStats

from .lines import Lines, MovingLine

# They cannot go back to the start of their line; rich shows nothing that moves on either.
_DUMB_TERMINALS: Final = frozenset({"dumb", "unknown"})


class Display(Protocol):
    """Shows progress, and sentences between."""

    def progress(self, figures: Callable[[], RunStats]) -> None:
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
    when what is said of them has no reader.
    """
    stream = sys.stderr if stream is None else stream
    is_dumb = os.environ.get("TERM", "").lower() in _DUMB_TERMINALS
    if not progress or stream is None or is_dumb or not _is_terminal(stream):
        return Lines(stream, clock, progress=progress)
    try:
        from .live import Live  # noqa: PLC0415 -- rich is an extra, and takes time to load
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != "rich":
            raise
        return MovingLine(stream, clock)
    return Live(stream, clock)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:
        return False  # closed
