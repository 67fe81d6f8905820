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

_AGAIN_SECONDS: Final = 0.2
_LEAST_SECONDS: Final = 0.001


class DeadlineReached(BaseException):
    """The code inside the block has taken too long; no ``except Exception`` catches it."""


@contextmanager
def real_deadline(seconds: float) -> Iterator[None]:
    """Interrupt the block after so many real seconds, whatever it is doing.

    Args:
        seconds: of the wall, not of a virtual clock.

    It works by SIGALRM, so only in the main thread, and not on Windows; elsewhere the block
    has no limit. A loop of Trio that is interrupted in the middle is left as it is.

    Raises:
        DeadlineReached: inside the block, wherever it is.
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
    # Again and again: whoever calls back (Trio its instruments, the interpreter a finalizer)
    # may have swallowed the first.
    began = time.monotonic()
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        is_inside = False
        if remaining:  # somebody else's, such as a limit for the whole test
            remaining = max(remaining - (time.monotonic() - began), _LEAST_SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, remaining, interval)


def deadline_in(error: BaseException | None) -> DeadlineReached | None:
    """The deadline that an exception comes from, however Trio has wrapped it on its way."""
    while error is not None and not isinstance(error, DeadlineReached):
        if isinstance(error, BaseExceptionGroup):
            inner = error.subgroup(DeadlineReached)
            error = None if inner is None else inner.exceptions[0]
        else:
            error = error.__cause__ or error.__context__
    return error


@contextmanager
def discarding() -> Iterator[None]:
    """Let go of what an interrupted loop has left, inside the block.

    It was torn apart in the middle: its coroutines cannot end well, and say so as they are
    collected.
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
