"""A run of Trio whose time is virtual, and which ends also when nothing else would end it."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import trio
import trio.testing

T = TypeVar("T")

# Virtual seconds after which a run is taken to hang. The clock jumps over idle time, so this
# costs nothing; it only has to be longer than any grace.
_HANG_SECONDS: Final = 1e6

# While something outside is waited for, time runs no faster than the real one, until so
# many real seconds have passed without a step: it may be waiting for a task that sleeps.
_OUTSIDE_SECONDS: Final = 5.0
_LEAST_SECONDS: Final = 0.001

_CORE: Final = str(Path(trio.__file__).parent / "_core") + os.sep

# Where a task stands that waits for a thread, a socket, a pipe or a process.
_OUTSIDE: Final = frozenset(
    inspect.unwrap(function).__code__
    for function in (
        trio.to_thread.run_sync,
        trio.lowlevel.wait_readable,
        trio.lowlevel.wait_writable,
    )
)


def run_virtually(
    fn: Callable[[], Awaitable[T]],
    clock: trio.testing.MockClock,
    instrument: trio.abc.Instrument,
) -> T:
    """Run an async function, and return what it returns.

    Args:
        fn: an async function.
        clock: one that jumps; whose time others may want to read.
        instrument: hears of each step.

    Raises:
        TimeoutError: it waits for something that never comes.
    """
    outside = _Outside(clock)

    async def watched() -> T:
        outside.begin()
        with trio.move_on_after(_HANG_SECONDS) as deadline:
            result = await fn()
            if not deadline.cancel_called:
                return result
        raise TimeoutError("the run hangs: it waits for something that never comes")

    return trio.run(watched, clock=clock, instruments=[outside, instrument])


def jumping_clock() -> trio.testing.MockClock:
    """A clock that jumps over whatever is waited for, but for what comes from outside."""
    return trio.testing.MockClock(autojump_threshold=0)


class _Outside(trio.abc.Instrument):
    """Slows a jumping clock while a task waits for something that has a clock of its own.

    Otherwise hours would pass while a thread reads one block of a file.
    """

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock
        # Those of the function, that have not ended: Trio has some of its own, which wait
        # for a socket all the time.
        self._own: set[trio.lowlevel.Task] = set()
        self._waiting: set[trio.lowlevel.Task] = set()

    def begin(self) -> None:
        """Look at the task that calls this, and all that are made from now on."""
        self._own.add(trio.lowlevel.current_task())

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        if self._own:
            self._own.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._own.discard(task)
        self._note(task, waits=False)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._waiting:
            self._note(task, waits=False)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._own and _stands_outside(task):
            self._note(task, waits=True)
        if self._waiting:
            ahead = trio.lowlevel.current_statistics().seconds_to_next_deadline
            threshold = min(_OUTSIDE_SECONDS, max(_LEAST_SECONDS, ahead))
            self._clock.autojump_threshold = threshold

    def _note(self, task: trio.lowlevel.Task, *, waits: bool) -> None:
        if waits:
            self._waiting.add(task)
        else:
            self._waiting.discard(task)
        if not self._waiting and self._clock.autojump_threshold:
            self._clock.autojump_threshold = 0


def _stands_outside(task: trio.lowlevel.Task) -> bool:
    is_outside = False
    for frame, _ in task.iter_await_frames():
        if frame.f_code in _OUTSIDE:
            is_outside = True
        elif not frame.f_code.co_filename.startswith(_CORE):
            # A thread may have asked its task to await something else meanwhile.
            is_outside = False
    return is_outside
