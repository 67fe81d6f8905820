"""Where a sink says that a crash would be interesting."""

from __future__ import annotations

from collections.abc import Callable

_watchers: list[Callable[[str], object]] = []


def crash_point(step: str) -> None:
    """Declare a step of a sink, so that ``crash_everywhere`` kills the process here as well.

    Does nothing elsewhere. Statements of SQLite and writes to files are found without it; it
    is for what happens somewhere else, like a request to a server.

    Args:
        step: what has just been done or is about to be, like ``"the manifest is uploaded"``.
    """
    for watcher in _watchers:
        watcher(step)


def watch_crash_points(watcher: Callable[[str], object]) -> None:
    """Call a function at each crash point from now on.

    ``crash_everywhere`` does so in the process that it is going to kill.

    Args:
        watcher: gets the name of the step.
    """
    _watchers.append(watcher)
