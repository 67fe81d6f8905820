"""Watches the code under test for what it must not do with a cancellation.

An exception that is swallowed, or raised once more while another is being handled, leaves
nothing to be seen from outside. So the interpreter is asked, by ``sys.settrace``, to tell of
each exception, return and yield in the user's own frames, and Trio, which scopes are open
at that moment.
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

from trio_ingest.testing._locations import frame_place, is_users
from trio_ingest.testing._trio_internals import (
    CancelStatus,
    cancel_status,
    check_cancel_status,
)

from ._cancelled import (
    Met,
    cancelled_in,
    comes_from_a_close,
    comes_from_a_nursery,
    is_inside,
    may_yield_in_a_scope,
)

_RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST"})
_SUSPENDS: Final = frozenset({"YIELD_VALUE", "SEND", "RESUME", "RETURN_GENERATOR"})
_ASYNC: Final = inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR

# What an async generator gives out, as the interpreter wraps it; any other thing that
# leaves its frame is on its way to the loop.
_YIELDED: Final = "async_generator_wrapped_value"


class Faults:
    """Collects what the code under test does wrong, as sentences.

    Memory: what the frames that are alive have met.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        # By frame: the cancellation that it has met; what its task could be cancelled by
        # when a generator was resumed; and the ``__aexit__`` calls that have begun.
        self._met: dict[FrameType, Met] = {}
        self._resumed: dict[FrameType, CancelStatus | None] = {}
        self._exits: set[FrameType] = set()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch whatever runs in this thread inside the block.

        Raises:
            SetupError: this release of Trio does not tell which scopes are open.
        """
        check_cancel_status()
        before, mine = sys.gettrace(), self._on_call
        sys.settrace(mine)
        try:
            yield
            if sys.gettrace() != mine:
                self.say(
                    "The code under test has called sys.settrace, so nobody watched it from "
                    "then on. Leave it out while it is checked."
                )
        finally:
            sys.settrace(before)
            self._met.clear()
            self._resumed.clear()
            self._exits.clear()

    @contextmanager
    def collecting_warnings(self) -> Iterator[None]:
        """Make warnings errors, and those in finalizers, which no caller can catch, faults."""
        hook = sys.unraisablehook

        def on_unraisable(unraisable: sys.UnraisableHookArgs) -> None:
            warning = unraisable.exc_value
            if isinstance(warning, Warning):
                self.say(f"{type(warning).__name__}: {str(warning).rstrip('.')}.")
            else:
                hook(unraisable)

        sys.unraisablehook = on_unraisable
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                yield
        finally:
            sys.unraisablehook = hook

    def say(self, sentence: str) -> None:
        """Accuse the code under test, once for each sentence."""
        if sentence not in self.found:
            self.found.append(sentence)

    def _on_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        code = frame.f_code
        if not is_users(code):
            return None
        # Lines are none of our business, and many.
        frame.f_trace_lines = False
        if code.co_flags & inspect.CO_ASYNC_GENERATOR:
            self._resumed.setdefault(frame, cancel_status())
        if code.co_name == "__aexit__" and frame not in self._exits:
            self._exits.add(frame)
            self._leaves_a_block(frame)
        return self._in_users

    def _leaves_a_block(self, frame: FrameType) -> None:
        # Whoever left the block was cancelled, perhaps in code that is not the user's.
        status = cancel_status()
        if status is not None and status.is_cancelled and cancelled_in(sys.exc_info()[1]):
            self._met[frame] = Met(None, status)

    def _in_users(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception":
            _, error, traceback = argument
            found = cancelled_in(error)
            status = None if found is None else cancel_status()
            if found is not None and status is not None:
                self._cancelled(frame, found, traceback, status)
        elif event == "return":
            self._left(frame, argument)
        return self._in_users

    def _cancelled(
        self,
        frame: FrameType,
        error: BaseException,
        traceback: TracebackType | None,
        status: CancelStatus,
    ) -> None:
        met = self._met.get(frame)
        if met is None or not met.is_on(status):
            self._met[frame] = Met(error, status)
            return
        was_open_before = not is_inside(status, met.status)
        if not (
            met.error is error
            or comes_from_a_close(traceback)
            or (was_open_before and comes_from_a_nursery(traceback))
            or met.is_shielded(status)
        ):
            self.say(
                f"{frame_place(frame)} awaits while it cleans up after a cancellation, "
                f"without a shield, so the cleanup was cut short there. Put it into "
                f"`with trio.move_on_after(seconds, shield=True)`."
            )

    def _left(self, frame: FrameType, value: Any) -> None:
        has_yielded = type(value).__name__ == _YIELDED
        if has_yielded or _has_returned(frame):
            self._goes_on(frame)
        if has_yielded:
            self._yields(frame)
        elif _has_left(frame, value):
            self._met.pop(frame, None)
            self._resumed.pop(frame, None)
            self._exits.discard(frame)

    def _goes_on(self, frame: FrameType) -> None:
        met = self._met.get(frame)
        # A block that was left while somebody else handles it has nothing to pass on.
        if met is None or met.error is None:
            return
        del self._met[frame]
        if met.is_on(cancel_status()):
            self.say(
                f"{frame_place(frame)} goes on after it was cancelled, so the cancellation "
                f"was swallowed. Let trio.Cancelled pass, or raise it again."
            )

    def _yields(self, frame: FrameType) -> None:
        before = self._resumed.pop(frame, None)
        if before is None or before == cancel_status() or may_yield_in_a_scope(frame):
            return
        self.say(
            f"{frame_place(frame)} yields inside a cancel scope or a nursery, which would "
            f"then cancel whoever runs by that time (PEP 789). Close it before the yield, "
            f"or use trio.as_safe_channel."
        )


def _instruction(frame: FrameType) -> str:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]]


def _has_returned(frame: FrameType) -> bool:
    """Whether a return event is a return, and neither a pause nor an exception."""
    return _instruction(frame) in _RETURNS


def _has_left(frame: FrameType, value: Any) -> bool:
    """Whether a return event is the end of the frame, however it came."""
    if _instruction(frame) not in _SUSPENDS:
        return True
    # An exception that was thrown in where it waited; what Trio is told is never None.
    return value is None and bool(frame.f_code.co_flags & _ASYNC)
