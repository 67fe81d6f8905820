"""Detection of code that mishandles a cancellation.

An exception that is swallowed, or raised once more while another is being handled, leaves
no trace outside. So ``sys.settrace`` reports each exception, return and yield in user code,
and Trio tells which scopes are open at that moment.
"""

from __future__ import annotations

import dis
import inspect
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final

from trio_ingest.testing._locations import frame_location, is_user_code
from trio_ingest.testing._trio_internals import (
    CancelStatus,
    check_cancel_status,
    current_cancel_status,
)

from ._cancelled import (
    SeenCancellation,
    find_cancelled,
    is_open,
    may_yield_in_scope,
    passed_nursery,
    raised_by_close,
)

_RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST"})
_SUSPENDS: Final = frozenset({"YIELD_VALUE", "SEND", "RESUME", "RETURN_GENERATOR"})
_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

# The interpreter wraps the items of an async generator in this; any other value that leaves
# its frame is on its way to the event loop.
_YIELDED: Final = "async_generator_wrapped_value"


class FaultDetector:
    """A detector of faults in the code under test, which are sentences in ``found``.

    Memory: the cancellations that live frames have seen.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        # By frame: the cancellation that it has seen; the cancel status when a generator was
        # resumed; and the ``__aexit__`` calls that have begun.
        self._seen: dict[FrameType, SeenCancellation] = {}
        self._resumed: dict[FrameType, CancelStatus | None] = {}
        self._exits: set[FrameType] = set()

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Trace the user code that runs in this thread inside the block.

        Raises:
            SetupError: this release of Trio does not tell which scopes are open.
        """
        check_cancel_status()
        before, mine = sys.gettrace(), self._on_call
        sys.settrace(mine)
        try:
            yield
            if sys.gettrace() != mine:
                self.report(
                    "The code under test has called sys.settrace, so it could not be watched "
                    "from then on. Leave it out while it is checked."
                )
        finally:
            sys.settrace(before)
            self._seen.clear()
            self._resumed.clear()
            self._exits.clear()

    @contextmanager
    def collecting_warnings(self) -> Iterator[None]:
        """Make warnings errors, and those in finalizers, which no caller can catch, faults."""
        hook = sys.unraisablehook

        def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
            warning = unraisable.exc_value
            if isinstance(warning, Warning):
                self.report(f"{type(warning).__name__}: {str(warning).rstrip('.')}.")
            else:
                hook(unraisable)

        sys.unraisablehook = on_unraisable
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                yield
        finally:
            sys.unraisablehook = hook

    def report(self, sentence: str) -> None:
        """Add a fault, once for each sentence."""
        if sentence not in self.found:
            self.found.append(sentence)

    def _on_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not is_user_code(code):
            return None
        frame.f_trace_lines = False  # an event for each line would only cost time
        if code.co_flags & inspect.CO_ASYNC_GENERATOR:
            self._resumed.setdefault(frame, current_cancel_status())
        if code.co_name == "__aexit__" and frame not in self._exits:
            self._exits.add(frame)
            # The block may have been cancelled in code that is not the user's.
            status = current_cancel_status()
            if status and status.is_cancelled and find_cancelled(sys.exc_info()[1]):
                self._seen[frame] = SeenCancellation(None, status)
        return self._on_event

    def _on_event(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception":
            _, error, traceback = argument
            found = find_cancelled(error)
            status = None if found is None else current_cancel_status()
            if found is not None and status is not None:
                self._on_cancelled(frame, found, traceback, status)
        elif event == "return":
            self._on_return(frame, argument)
        return self._on_event

    def _on_cancelled(
        self,
        frame: FrameType,
        error: BaseException,
        traceback: TracebackType | None,
        status: CancelStatus,
    ) -> None:
        seen = self._seen.get(frame)
        if seen is None or not seen.is_active(status):
            self._seen[frame] = SeenCancellation(error, status)
            return
        was_open_before = not is_open(seen.status, status)
        if not (
            seen.error is error
            or raised_by_close(traceback)
            or (was_open_before and passed_nursery(traceback))
            or seen.is_shielded(status)
        ):
            self.report(
                f"{frame_location(frame)} awaits while it cleans up after a cancellation, "
                f"without a shield, so the cleanup was cut short there. Put it into "
                f"`with trio.move_on_after(seconds, shield=True)`."
            )

    def _on_return(self, frame: FrameType, value: Any) -> None:
        has_yielded = type(value).__name__ == _YIELDED
        if has_yielded or _has_returned(frame):
            self._check_swallowed(frame)
        if has_yielded:
            self._check_yield(frame)
        elif _has_left(frame, value):
            self._seen.pop(frame, None)
            self._resumed.pop(frame, None)
            self._exits.discard(frame)

    def _check_swallowed(self, frame: FrameType) -> None:
        seen = self._seen.get(frame)
        # An ``__aexit__`` during a cancellation that its caller handles has none to pass on.
        if seen is None or seen.error is None:
            return
        del self._seen[frame]
        if seen.is_active(current_cancel_status()):
            self.report(
                f"{frame_location(frame)} goes on after it was cancelled, so the cancellation "
                f"was swallowed. Let trio.Cancelled pass, or raise it again."
            )

    def _check_yield(self, frame: FrameType) -> None:
        before = self._resumed.pop(frame, None)
        if before is None or before == current_cancel_status() or may_yield_in_scope(frame):
            return
        self.report(
            f"{frame_location(frame)} yields inside a cancel scope or a nursery, which would "
            f"then cancel the code that runs by that time (PEP 789). Close it before the "
            f"yield, or use trio.as_safe_channel."
        )


def _instruction(frame: FrameType) -> str:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]]


def _has_returned(frame: FrameType) -> bool:
    """Return True if a return event is a return, and neither a pause nor an exception."""
    return _instruction(frame) in _RETURNS


def _has_left(frame: FrameType, value: Any) -> bool:
    """Return True if a return event is the end of the frame, by return or exception."""
    if _instruction(frame) not in _SUSPENDS:
        return True
    # An exception that was thrown in at an await; a value for Trio is never None.
    return value is None and bool(frame.f_code.co_flags & _ASYNC)
