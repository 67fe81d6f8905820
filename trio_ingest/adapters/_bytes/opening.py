"""Files by their paths: opened without holding a thread, and named in text."""

from __future__ import annotations

import io
import os
import stat
from typing import Final

STANDARD_INPUT: Final = "-"

_FLAGS: Final = (
    # A named pipe without a writer would hold the thread, and a terminal would become ours.
    getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
)


def open_descriptor(path: str, flags: int = os.O_RDONLY) -> int:
    """Open a file without waiting for anything; also an ``opener`` for ``io.FileIO``."""
    return os.open(path, flags | _FLAGS)


def open_unbuffered(path: str) -> io.FileIO:
    """Open a file, or standard input, which stays open when this is closed."""
    if path == STANDARD_INPUT:
        # Not ``sys.stdin.buffer``: a thread inside that one holds a lock that the
        # interpreter needs on its way out.
        return io.FileIO(0, "rb", closefd=False)
    return io.FileIO(path, "rb", opener=open_descriptor)


def is_pipe(path: str) -> bool:
    """Return whether there is a named pipe, a socket or a device, and no file."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 -- as it was given
    except (OSError, ValueError):
        return False  # opening it says why
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def printable_path(path: str) -> str:
    """Return the path in a form that is UTF-8, whatever bytes its names are on disk."""
    return path if path.isascii() else path.encode(errors="backslashreplace").decode()
