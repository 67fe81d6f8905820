"""Where a sink says that a crash would be interesting."""

from __future__ import annotations

from collections.abc import Callable

# The test kit puts a function here, in the process that it is going to kill.
watchers: list[Callable[[str], object]] = []


def crash_point(step: str) -> None:
    """Declare a step of a sink, so that ``crash_everywhere`` kills the process here as well.

    Does nothing elsewhere. Statements of SQLite and writes to files are found without it; it
    is for what happens somewhere else, like a request to a server.

    Args:
        step: what has just been done or is about to be, like ``"the manifest is uploaded"``.
    """
    for watcher in watchers:
        watcher(step)
