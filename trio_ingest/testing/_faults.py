"""Watches the code under test for what it must not do with a cancellation.

An exception that is swallowed, or raised once more while another is being handled, leaves
nothing to be seen from outside. So the interpreter is asked, by ``sys.settrace``, to tell of
each exception, return and yield in the user's own frames.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType, FrameType, TracebackType
from typing import Any, Final

import trio

from ._places import frame_place, is_users
from ._private import nursery_exits

_RETURNS: Final = frozenset({"RETURN_VALUE", "RETURN_CONST"})
_SUSPENDS: Final = frozenset({"YIELD_VALUE", "SEND", "RESUME", "RETURN_GENERATOR"})

# What an async generator gives out, as the interpreter wraps it; any other thing that
# leaves its frame is on its way to the loop.
_YIELDED: Final = "async_generator_wrapped_value"

_SCOPE_ENTERS: Final[CodeType] = trio.CancelScope.__enter__.__code__
_SCOPE_EXITS: Final[CodeType] = trio.CancelScope.__exit__.__code__
_NURSERY_EXITS: Final = nursery_exits()
_SCOPES: Final = frozenset({_SCOPE_ENTERS, _SCOPE_EXITS, _NURSERY_EXITS})


class Faults:
    """Collects what the code under test does wrong, as sentences.

    Memory: what the frames that are alive have seen.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        # By frame: the cancellation that it has seen and not passed on yet.
        self._seen: dict[FrameType, trio.Cancelled] = {}
        # By frame: how many cancel scopes and nurseries it has entered and not left; how many
        # those were when its cleanup began; and what its cleanup is to be accused of, unless
        # it was a scope of its own that ended it.
        self._open: dict[FrameType, int] = {}
        self._open_before: dict[FrameType, int] = {}
        self._accused: dict[FrameType, str] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch whatever runs in this thread inside the block."""
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(before)
            for known in (self._seen, self._open, self._open_before, self._accused):
                known.clear()

    def _on_call(self, frame: FrameType, _event: str, _argument: Any) -> Any:
        if frame.f_code in _SCOPES:
            if frame.f_code is _SCOPE_ENTERS:
                self._count_open(frame, 1)
            frame.f_trace_lines = False
            return self._in_scope
        if not is_users(frame.f_code):
            return None
        # Lines are none of our business, and many.
        frame.f_trace_lines = False
        _, handled, _ = sys.exc_info()
        if frame.f_code.co_name == "__aexit__" and isinstance(handled, trio.Cancelled):
            # Whoever left the block was cancelled, perhaps in code that is not the user's.
            self._open_before.setdefault(frame, 0)
        return self._in_users

    def _in_scope(self, frame: FrameType, event: str, value: Any) -> Any:
        if event != "return" or frame.f_code is _SCOPE_ENTERS or not _has_left(frame):
            return self._in_scope
        owner = self._count_open(frame, -1)
        if owner is None:
            return self._in_scope
        if value is True:
            # The scope's own cancellation ends here; one from before it was entered does not.
            self._accused.pop(owner, None)
            if self._open[owner] < self._open_before.get(owner, 0):
                self._seen.pop(owner, None)
                self._open_before.pop(owner, None)
        elif owner in self._accused and not self._has_own_scope(owner):
            self._say(self._accused.pop(owner))
        return self._in_scope

    def _has_own_scope(self, frame: FrameType) -> bool:
        """Whether its cleanup is inside a scope that it has entered for it."""
        return self._open.get(frame, 0) > self._open_before.get(frame, 0)

    def _count_open(self, frame: FrameType, change: int) -> FrameType | None:
        owner = frame.f_back
        while owner is not None and not is_users(owner.f_code):
            owner = owner.f_back
        if owner is not None:
            self._open[owner] = self._open.get(owner, 0) + change
        return owner

    def _in_users(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "exception":
            _, error, traceback = argument
            if isinstance(error, trio.Cancelled):
                self._cancelled(frame, error, traceback)
        elif event == "return":
            self._left(frame, argument)
        return self._in_users

    def _cancelled(
        self, frame: FrameType, error: trio.Cancelled, traceback: TracebackType
    ) -> None:
        is_cleaning_up = frame in self._open_before and self._seen.get(frame) is not error
        if not is_cleaning_up:
            self._seen.setdefault(frame, error)
            self._open_before.setdefault(frame, self._open.get(frame, 0))
        elif not _comes_from_a_nursery(traceback):
            sentence = (
                f"{frame_place(frame)} awaits while it cleans up after a cancellation, "
                f"without a shield, so the cleanup was cut short there. Put it into "
                f"`with trio.move_on_after(seconds, shield=True)`."
            )
            if self._has_own_scope(frame):
                self._accused[frame] = sentence
            else:
                self._say(sentence)

    def _left(self, frame: FrameType, value: Any) -> None:
        has_yielded = type(value).__name__ == _YIELDED
        if frame in self._seen and (has_yielded or _has_returned(frame)):
            del self._seen[frame]
            self._say(
                f"{frame_place(frame)} goes on after it was cancelled, so the cancellation "
                f"was swallowed. Let trio.Cancelled pass, or raise it again."
            )
        if has_yielded and self._open.get(frame, 0) > 0:
            self._say(
                f"{frame_place(frame)} yields inside a cancel scope or a nursery, which would "
                f"then cancel whoever runs by that time (PEP 789). Close it before the yield, "
                f"or use trio.as_safe_channel."
            )
        if not has_yielded and _has_left(frame):
            for known in (self._seen, self._open, self._open_before, self._accused):
                known.pop(frame, None)

    def _say(self, sentence: str) -> None:
        if sentence not in self.found:
            self.found.append(sentence)


def _instruction(frame: FrameType) -> str:
    return dis.opname[frame.f_code.co_code[frame.f_lasti]]


def _has_returned(frame: FrameType) -> bool:
    """Whether a return event is a return, and neither a pause nor an exception."""
    return _instruction(frame) in _RETURNS


def _has_left(frame: FrameType) -> bool:
    """Whether a return event is the end of the frame, however it came."""
    return _instruction(frame) not in _SUSPENDS


def _comes_from_a_nursery(traceback: TracebackType) -> bool:
    step: TracebackType | None = traceback
    while step is not None:
        if step.tb_frame.f_code is _NURSERY_EXITS:
            return True
        step = step.tb_next
    return False
