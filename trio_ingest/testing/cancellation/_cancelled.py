"""Facts about a cancellation, read from its exception, traceback and cancel scopes."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

import trio

from trio_ingest.testing._locations import is_user_code
from trio_ingest.testing._trio_internals import CancelStatus, nursery_exit_code

# With the separator: the folder trio_ingest may be beside it.
_TRIO: Final = str(Path(trio.__file__).parent) + os.sep
_NURSERY_EXIT: Final = nursery_exit_code()
_MANAGER: Any = contextlib.asynccontextmanager(lambda: None)()  # type: ignore[arg-type, return-value]
_ENTERS_MANAGER: Final = type(_MANAGER).__aenter__.__code__

# The ordinary ends of iterators; the exception that was handled when they came is no news.
_ENDS: Final = (StopIteration, StopAsyncIteration, GeneratorExit)

# By contract of trio.abc.AsyncResource these close even when they are cancelled, and raise
# Cancelled when they have done so.
_CLOSES: Final = frozenset({"aclose", "__aexit__", "aclose_forcefully"})


class SeenCancellation:
    """A cancellation that a frame has seen.

    Args:
        error: the exception; None when it was handled around the frame.
        status: the cancel status of the task at that moment.

    ``source`` is the outermost scope that it can come from.
    """

    def __init__(self, error: BaseException | None, status: CancelStatus) -> None:
        self.error = error
        self.status = status
        self.source: CancelStatus | None = None
        for one in status.chain():
            if one.scope.cancel_called:
                self.source = one
            if one.scope.shield:
                break

    def is_active(self, status: CancelStatus | None) -> bool:
        """Return True if the scope that it comes from is still open."""
        return self.source is not None and is_open(self.source, status)

    def is_shielded(self, status: CancelStatus) -> bool:
        """Return True if a scope that was opened since then keeps it away."""
        for one in status.chain():
            if one in (self.status, self.source):
                return not one.is_cancelled
            if one.scope.shield:
                return True
        return True


def is_open(scope: CancelStatus, status: CancelStatus | None) -> bool:
    """Return True if a scope is among those that are open at a moment."""
    return status is not None and scope in status.chain()


def find_cancelled(error: BaseException | None) -> trio.Cancelled | None:
    """Return the cancellation that an exception is, has in its group, or has as its cause."""
    known: set[int] = set()
    if isinstance(error, _ENDS):
        return None
    while error is not None and id(error) not in known:
        known.add(id(error))
        if isinstance(error, trio.Cancelled):
            return error
        if isinstance(error, BaseExceptionGroup):
            inner: Any = error.subgroup(trio.Cancelled)
            while isinstance(inner, BaseExceptionGroup):
                inner = inner.exceptions[0]
            if isinstance(inner, trio.Cancelled):
                return inner
        # Not the context: an error of a cleanup may take the place of a cancellation.
        error = error.__cause__
    return None


def passed_nursery(traceback: TracebackType | None) -> bool:
    """Return True if an exception left a nursery on its way."""
    step = traceback
    while step is not None:
        if step.tb_frame.f_code is _NURSERY_EXIT:
            return True
        step = step.tb_next
    return False


def raised_by_close(traceback: TracebackType | None) -> bool:
    """Return True if it comes from a library's own close, which has done its work by then."""
    step = traceback and traceback.tb_next
    if not step or step.tb_frame.f_code.co_name not in _CLOSES:
        return False
    code = step.tb_frame.f_code
    if code is _NURSERY_EXIT or is_user_code(code):
        return False
    if code.co_filename == contextlib.__file__ and step.tb_next is not None:
        code = step.tb_next.tb_frame.f_code  # such as that of as_safe_channel
    if code.co_filename.startswith(_TRIO) and code is not _NURSERY_EXIT:
        return True
    while step is not None:
        if is_user_code(step.tb_frame.f_code):
            return False
        step = step.tb_next
    return True


def may_yield_in_scope(frame: FrameType) -> bool:
    """Return True if a generator's scopes are closed by the task that opened them.

    ``asynccontextmanager`` and ``as_safe_channel`` see to that (PEP 789 exempts them).
    """
    caller = frame.f_back
    return caller is not None and (
        caller.f_code is _ENTERS_MANAGER or caller.f_code.co_filename.startswith(_TRIO)
    )
