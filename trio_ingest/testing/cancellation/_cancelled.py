"""What an exception and its traceback say of a cancellation."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Final

import trio

from trio_ingest.testing._locations import is_users
from trio_ingest.testing._trio_internals import CancelStatus, nursery_exits

# With what ends a folder's name: beside it, where both are installed, stands trio_ingest.
_TRIO: Final = str(Path(trio.__file__).parent) + os.sep
_NURSERY_EXITS: Final = nursery_exits()
_MANAGER: Any = contextlib.asynccontextmanager(lambda: None)()  # type: ignore[arg-type, return-value]
_ENTERS_MANAGER: Final = type(_MANAGER).__aenter__.__code__

# The ordinary ends of iterators; what was handled when they came is no news.
_ENDS: Final = (StopIteration, StopAsyncIteration, GeneratorExit)

# By contract of trio.abc.AsyncResource these close even when they are cancelled, and raise
# Cancelled when they have done so.
_CLOSES: Final = frozenset({"aclose", "__aexit__", "aclose_forcefully"})


class Met:
    """A cancellation that a frame has met.

    Args:
        error: the exception; None when it was handled around the frame.
        status: what the task could be cancelled by at that moment.

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

    def is_on(self, status: CancelStatus | None) -> bool:
        """Whether the scope that it comes from is still open."""
        return self.source is not None and is_inside(status, self.source)

    def is_shielded(self, status: CancelStatus) -> bool:
        """Whether a scope that was opened since then keeps it away."""
        for one in status.chain():
            if one in (self.status, self.source):
                return not one.is_cancelled
            if one.scope.shield:
                return True
        return True


def is_inside(status: CancelStatus | None, outer: CancelStatus) -> bool:
    """Whether a scope is open at a moment."""
    return status is not None and outer in status.chain()


def cancelled_in(error: BaseException | None) -> trio.Cancelled | None:
    """The cancellation that an exception is, holds in its group, or was raised because of."""
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


def comes_from_a_nursery(traceback: TracebackType | None) -> bool:
    """Whether an exception left a nursery on its way."""
    step = traceback
    while step is not None:
        if step.tb_frame.f_code is _NURSERY_EXITS:
            return True
        step = step.tb_next
    return False


def comes_from_a_close(traceback: TracebackType | None) -> bool:
    """Whether it comes from a library's own close, which has done its work by then."""
    step = traceback and traceback.tb_next
    if not step or step.tb_frame.f_code.co_name not in _CLOSES:
        return False
    code = step.tb_frame.f_code
    if code is _NURSERY_EXITS or is_users(code):
        return False
    if code.co_filename == contextlib.__file__ and step.tb_next is not None:
        code = step.tb_next.tb_frame.f_code  # such as what as_safe_channel makes
    if code.co_filename.startswith(_TRIO) and code is not _NURSERY_EXITS:
        return True
    while step is not None:
        if is_users(step.tb_frame.f_code):
            return False
        step = step.tb_next
    return True


def may_yield_in_a_scope(frame: FrameType) -> bool:
    """Whether whoever iterates a generator closes its scopes in the task that opened them.

    ``asynccontextmanager`` and ``as_safe_channel`` do (PEP 789 exempts them).
    """
    caller = frame.f_back
    return caller is not None and (
        caller.f_code is _ENTERS_MANAGER or caller.f_code.co_filename.startswith(_TRIO)
    )
