"""A limit in real seconds for code that nothing else can stop."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

_REPEAT_SECONDS: Final = 0.2
_LEAST_SECONDS: Final = 0.001


class DeadlineReached(BaseException):
    """The code inside the block took too long; no ``except Exception`` catches it."""


@contextmanager
def real_deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after so many seconds of the wall clock, whatever it is doing.

    It works by SIGALRM: in other threads than the main one, and on Windows, the block has no
    limit. An interrupted run of Trio is left torn apart.

    Raises:
        DeadlineReached: inside the block, at any line.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "setitimer"):
        yield
        return

    is_inside = True

    def interrupt(_number: int, _frame: FrameType | None) -> Any:
        if is_inside:
            raise DeadlineReached

    before = signal.signal(signal.SIGALRM, interrupt)
    # Repeated: callbacks (Trio's instruments, finalizers) may swallow the first one.
    began = time.monotonic()
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)
    try:
        yield
    finally:
        is_inside = False
        if remaining:  # of a timer that was set before, such as a limit for the whole test
            remaining = max(remaining - (time.monotonic() - began), _LEAST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, remaining, interval)


def find_deadline(error: BaseException | None) -> DeadlineReached | None:
    """Return the deadline that an exception comes from, however Trio has wrapped it."""
    while error is not None and not isinstance(error, DeadlineReached):
        if isinstance(error, BaseExceptionGroup):
            inner = error.subgroup(DeadlineReached)
            error = None if inner is None else inner.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
    return error


@contextmanager
def discarding_interrupted_run() -> Iterator[None]:
    """Collect what an interrupted run has left, and silence the complaints of its coroutines.

    References to it must be dropped inside the block.
    """
    hook = sys.unraisablehook
    sys.unraisablehook = lambda _unraisable: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
            gc.collect()
            gc.collect()  # what the first has freed may have held more
    finally:
        sys.unraisablehook = hook
