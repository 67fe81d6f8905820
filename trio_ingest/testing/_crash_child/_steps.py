"""Counts the steps of this process, and kills it at one of them."""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import attrs

from trio_ingest.testing._locations import frame_place, is_users

ORDERS: Final = "TRIO_INGEST_CRASH"

# Not through the names in ``os``, which are watched.
_open, _write, _fstat = os.open, os.write, os.fstat


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
        self._orders = orders
        self._report = self._opened()
        self._passed = 0
        # A signal handler may come to a point while another one is being told of.
        self._lock = threading.RLock()
        self._inside = threading.local()
        self._is_child = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._forked)

    def here(self, step: str) -> None:
        """Be at a step: die here, or count it."""
        with self._lock:
            number = self._passed
            self._passed += 1
            if self._is_child:
                return
            if number == self._orders.fatal:
                self._say(killed=step, place=_users_place())
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # the signal may take its time
            if self._orders.fatal is None:
                self._say(point=step, place=_users_place())

    def wrote(self, descriptor: int) -> None:
        """A file has something now that is not on the disk yet."""
        self._tell("wrote", descriptor)

    def synced(self, descriptor: int | None = None) -> None:
        """It has reached the disk: what a file had, or a commit when None."""
        self._tell("synced", descriptor)

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

    def _tell(self, what: str, descriptor: int | None) -> None:
        if self._orders.fatal is None and not self._is_child:
            file = None
            if descriptor is not None:
                found = _fstat(descriptor)
                file = [found.st_dev, found.st_ino]
            self._say(**{what: file})

    def _say(self, **what: Any) -> None:
        line = json.dumps(what).encode() + b"\n"
        try:
            _write(self._report, line)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # The program closes what it has not opened, as daemons do.
            self._report = self._opened()
            _write(self._report, line)

    def _opened(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        return _open(self._orders.report, flags)

    def _forked(self) -> None:
        self._lock = threading.RLock()
        self._is_child = True


def _users_place() -> str:
    frame = sys._getframe(1)  # noqa: SLF001 - the one way without a whole traceback
    while not is_users(frame.f_code):
        if frame.f_back is None:
            return "no line of the program's own"
        frame = frame.f_back
    return frame_place(frame)
