"""A counter of this process's steps, which kills it at one of them."""

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

from trio_ingest.testing._locations import frame_location, is_user_code

# Has the arguments of ``StepCounter`` as JSON.
VARIABLE: Final = "TRIO_INGEST_CRASH"

# Not through the names in ``os``, which are watched.
_open, _write, _fstat = os.open, os.write, os.fstat


class StepCounter:
    """A counter that reports the steps, and kills the process at the fatal one.

    Args:
        report: the file to report to; one JSON object a line.
        fatal: the step at which to die, from 0; None to live.
    """

    def __init__(self, report: str, fatal: int | None) -> None:
        self._path, self._fatal = report, fatal
        self._report = self._open_report()
        self._passed = 0
        # Reentrant: a signal handler may come to a step while another one is reported.
        self._lock = threading.RLock()
        self._inside = threading.local()
        self._is_child = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._on_fork)

    def reach(self, step: str) -> None:
        """Count a step, or die there."""
        with self._lock:
            number = self._passed
            self._passed += 1
            if self._is_child:
                return
            if number == self._fatal:
                self._write_line(killed=step, location=_user_location())
                os.kill(os.getpid(), signal.SIGKILL)
                threading.Event().wait()  # the signal may take its time
            if self._fatal is None:
                self._write_line(point=step, location=_user_location())

    @contextmanager
    def around(self, step: str) -> Iterator[None]:
        """Count a step before and one after the block; nested ones are a part of it."""
        if getattr(self._inside, "step", None) is not None:
            yield
            return
        self._inside.step = step
        try:
            self.reach(f"before {step}")
            yield
            self.reach(f"after {step}")
        finally:
            self._inside.step = None

    def wrote(self, descriptor: int) -> None:
        """Note that a file has content that is not on the disk yet."""
        self._note("wrote", descriptor)

    def synced(self, descriptor: int | None = None) -> None:
        """Note that the content of a file is on the disk; a commit when None."""
        self._note("synced", descriptor)

    def _note(self, fact: str, descriptor: int | None) -> None:
        if self._fatal is None and not self._is_child:
            file = None
            if descriptor is not None:
                found = _fstat(descriptor)
                file = [found.st_dev, found.st_ino]
            self._write_line(**{fact: file})

    def _write_line(self, **facts: Any) -> None:
        line = json.dumps(facts).encode() + b"\n"
        try:
            _write(self._report, line)
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            # The program closes descriptors that it has not opened, as daemons do.
            self._report = self._open_report()
            _write(self._report, line)

    def _open_report(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        return _open(self._path, flags)

    def _on_fork(self) -> None:
        self._lock = threading.RLock()
        self._is_child = True


def _user_location() -> str:
    frame = sys._getframe(1)  # noqa: SLF001 - the one way without a whole traceback
    while not is_user_code(frame.f_code):
        if frame.f_back is None:
            return "no line of the program's own"
        frame = frame.f_back
    return frame_location(frame)
