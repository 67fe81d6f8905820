"""Runs of Trio in virtual time, which end even if nothing else would end them."""

from __future__ import annotations

import inspect
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, TypeVar

import trio
import trio.testing

T = TypeVar("T")

# Virtual seconds after which a run counts as hanging. The clock jumps over idle time, so this
# costs nothing; it only has to be longer than any cleanup grace.
_HANG_SECONDS: Final = 1e6

# While something external is waited for, time runs no faster than the real one, until so
# many real seconds have passed without a step: it may be waiting for a task that sleeps.
_EXTERNAL_SECONDS: Final = 5.0
_LEAST_SECONDS: Final = 0.001

_TRIO_CORE: Final = str(Path(trio.__file__).parent / "_core") + os.sep

# A task in one of these waits for a thread, a socket, a pipe or a process.
_EXTERNAL: Final = frozenset(
    inspect.unwrap(function).__code__
    for function in (
        trio.to_thread.run_sync,
        trio.lowlevel.wait_readable,
        trio.lowlevel.wait_writable,
    )
)


def run_in_virtual_time(
    fn: Callable[[], Awaitable[T]],
    clock: trio.testing.MockClock,
    instrument: trio.abc.Instrument,
) -> T:
    """Run an async function under a clock whose ``autojump_threshold`` is 0.

    Raises:
        TimeoutError: it waits for something that never comes.
    """
    external = _ExternalWaits(clock)

    async def main() -> T:
        external.begin()
        with trio.move_on_after(_HANG_SECONDS) as deadline:
            result = await fn()
            if not deadline.cancel_called:
                return result
        raise TimeoutError("the run hangs: it waits for something that never comes")

    return trio.run(main, clock=clock, instruments=[external, instrument])


class _ExternalWaits(trio.abc.Instrument):
    """A brake for the clock while a task waits for something that has a clock of its own.

    Otherwise hours would pass while a thread reads one block of a file.
    """

    def __init__(self, clock: trio.testing.MockClock) -> None:
        self._clock = clock
        # Not Trio's own tasks, one of which waits for a socket all the time.
        self._tasks: set[trio.lowlevel.Task] = set()
        self._waiting: set[trio.lowlevel.Task] = set()

    def begin(self) -> None:
        """Observe the calling task, and all that are made from now on."""
        self._tasks.add(trio.lowlevel.current_task())

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        if self._tasks:
            self._tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self._tasks.discard(task)
        self._stop_waiting(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._waiting:
            self._stop_waiting(task)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        if task in self._tasks and _waits_externally(task):
            self._waiting.add(task)
        if self._waiting:
            ahead = trio.lowlevel.current_statistics().seconds_to_next_deadline
            threshold = min(_EXTERNAL_SECONDS, max(_LEAST_SECONDS, ahead))
            self._clock.autojump_threshold = threshold

    def _stop_waiting(self, task: trio.lowlevel.Task) -> None:
        self._waiting.discard(task)
        if not self._waiting and self._clock.autojump_threshold:
            self._clock.autojump_threshold = 0


def _waits_externally(task: trio.lowlevel.Task) -> bool:
    is_external = False
    for frame, _ in task.iter_await_frames():
        if frame.f_code in _EXTERNAL:
            is_external = True
        elif not frame.f_code.co_filename.startswith(_TRIO_CORE):
            # A thread may have asked its task to await something else meanwhile.
            is_external = False
    return is_external
