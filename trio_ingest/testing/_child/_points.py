"""Counts the steps of this process, and kills it at one of them."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import attrs

from trio_ingest.delivery import _crash_point
from trio_ingest.testing._places import frame_place, is_users

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDERS: Final = "TRIO_INGEST_CRASH"

# Not through the names in ``os``, which are watched.
_write = os.write


@attrs.frozen
class Orders:
    """What the process that waits outside wants.

    Args:
        report: the file that is told what happens; one JSON object a line.
        fatal: at which point to die, from 0; None to live.
    """

    report: str
    fatal: int | None = None

    def to_text(self) -> str:
        """One line, for the environment."""
        return json.dumps(attrs.asdict(self))


class Points:
    """The steps that were passed.

    Args:
        orders: where to report, and where to die.
    """

    def __init__(self, orders: Orders) -> None:
        self._fatal = orders.fatal
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        self._report = os.open(orders.report, flags)
        self._passed = 0
        self._lock = threading.Lock()
        self._inside = threading.local()

    def here(self, step: str) -> None:
        """Be at a step: die here, or count it."""
        with self._lock:
            number = self._passed
            self._passed += 1
            if number == self._fatal:
                self._say(killed=step, place=_users_place())
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # the signal may take its time
            if self._fatal is None:
                self._say(point=step, place=_users_place())

    def synced(self) -> None:
        """Something has reached the disk."""
        if self._fatal is None:
            self._say(synced=True)

    @contextmanager
    def around(self, step: str) -> Iterator[None]:
        """A step that may be cut before and after; what is inside of it belongs to it."""
        if getattr(self._inside, "step", None) is not None:
            yield
            return
        self._inside.step = step
        try:
            self.here(f"before {step}")
            yield
            self.here(f"after {step}")
        finally:
            self._inside.step = None

    def _say(self, **what: Any) -> None:
        _write(self._report, json.dumps(what).encode() + b"\n")


def begin() -> None:
    """Do what the environment says, if it says anything."""
    text = os.environ.pop(ORDERS, None)
    if text is None:
        return
    from ._files import watch_files  # noqa: PLC0415 - not in a process that is none of ours
    from ._sqlite import watch_sqlite  # noqa: PLC0415

    points = Points(Orders(**json.loads(text)))
    _crash_point.watchers.append(lambda step: points.here(f"crash point {step!r:.60}"))
    watch_sqlite(points)
    watch_files(points)


def wrapped(points: Points, function: Callable[..., Any], step: str) -> Callable[..., Any]:
    """The function, as a step."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with points.around(step):
            return function(*args, **kwargs)

    return call


def _users_place() -> str:
    frame = sys._getframe(1)  # noqa: SLF001 - the one way without a whole traceback
    while not is_users(frame.f_code):
        if frame.f_back is None:
            return "no line of the program's own"
        frame = frame.f_back
    return frame_place(frame)
