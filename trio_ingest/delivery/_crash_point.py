"""Steps of a sink at which a crash would be interesting."""

from __future__ import annotations

from collections.abc import Callable

_watchers: list[Callable[[str], object]] = []


def crash_point(step: str) -> None:
    """Declare a step of a sink, so that ``crash_everywhere`` kills the process here as well.

    Nothing happens elsewhere. Statements of SQLite and writes to files are found without it;
    it is for other steps, like a request to a server.

    Args:
        step: the step just done or about to be done, like ``"the manifest is uploaded"``.
    """
    for watcher in _watchers:
        watcher(step)


def watch_crash_points(watcher: Callable[[str], object]) -> None:
    """Call a function at each crash point from now on.

    ``crash_everywhere`` does so in the process that it is going to kill.

    Args:
        watcher: called with the name of the step.
    """
    _watchers.append(watcher)
