"""The dozen primitives that the engine needs from an async library; Trio's by default.

The engine is written once over this seam. Here are Trio's own primitives, which cost
nothing extra; another library's can be supplied by an object of the same shape.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

import trio
import trio_util

ki_protected = trio.lowlevel.enable_ki_protection
"""Holds a Ctrl-C back until the function has returned, so that it cannot fall between
a change and the wake-up that must follow it. Costs nothing per call."""


class Scope(Protocol):
    """A cancel scope."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *exc: Any) -> Any: ...  # noqa: PYI036 -- Trio's own is narrower
    def cancel(self) -> None: ...
    @property
    def cancelled_caught(self) -> bool: ...


class Nursery(Protocol):
    """A place for tasks."""

    @property
    def cancel_scope(self) -> Scope: ...
    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None: ...


class Parking(Protocol):
    """One task waits here; another wakes it."""

    occupied: bool  # an attribute, since it is read for each event

    async def wait(self) -> None: ...
    def wake(self) -> None: ...


class Value(Protocol):
    """A value that tasks can wait on."""

    value: Any

    async def wait_value(self, predicate: Callable[[Any], bool]) -> Any: ...


class Runtime(Protocol):
    """Everything the engine asks of an async library."""

    @property
    def cancelled(self) -> type[BaseException]: ...
    @property
    def timeout(self) -> type[BaseException]: ...
    def clock(self) -> Callable[[], float]: ...
    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]: ...
    def cancel_scope(self) -> Scope: ...
    def grace(self, seconds: float) -> AbstractContextManager[Scope]: ...
    def parking(self) -> Parking: ...
    def value(self, initial: Any) -> Value: ...
    def every(self, seconds: float) -> AsyncGenerator[Any, None]: ...
    async def sleep(self, seconds: float) -> None: ...
    async def cancellation_point(self) -> None: ...
    def open_deadline(self, inside: Any = None) -> float: ...
    def open_nurseries(self) -> int: ...
    def check_host(self) -> str | None: ...
    def is_running(self) -> bool: ...


class TrioParking:
    """A task that parks with ``wait_task_rescheduled``: about half the cost of an Event."""

    __slots__ = ("_task", "occupied")

    def __init__(self) -> None:
        self._task: trio.lowlevel.Task | None = None
        self.occupied = False

    @ki_protected
    async def wait(self) -> None:
        self._task, self.occupied = trio.lowlevel.current_task(), True
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def _abort(self, _: object) -> trio.lowlevel.Abort:
        self._task, self.occupied = None, False
        return trio.lowlevel.Abort.SUCCEEDED

    @ki_protected
    def wake(self) -> None:
        task, self._task, self.occupied = self._task, None, False
        if task is not None:
            trio.lowlevel.reschedule(task)


class TrioRuntime:
    """The seam, filled with Trio."""

    cancelled = trio.Cancelled
    timeout = trio.TooSlowError

    def clock(self) -> Callable[[], float]:
        """The current run's clock: seconds, monotonic; bound once, since it is read often."""
        return trio.lowlevel.current_clock().current_time

    def open_nursery(self) -> AbstractAsyncContextManager[Nursery]:
        return trio.open_nursery()

    def cancel_scope(self) -> Scope:
        return trio.CancelScope()

    def grace(self, seconds: float) -> AbstractContextManager[Scope]:
        """Time for cleanup that an outer cancellation cannot cut short."""
        return trio.move_on_after(seconds, shield=True)

    def parking(self) -> Parking:
        return TrioParking()

    def value(self, initial: Any) -> Value:
        value: Value = trio_util.AsyncValue(initial)
        return value

    def every(self, seconds: float) -> AsyncGenerator[Any, None]:
        ticks: AsyncGenerator[Any, None] = trio_util.periodic(seconds)
        return ticks

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)

    async def cancellation_point(self) -> None:
        await trio.lowlevel.checkpoint()

    def open_deadline(self, inside: trio.CancelScope | None = None) -> float:
        """The deadline that now governs this task; with ``inside``, only of scopes in it."""
        if inside is None:
            return trio.current_effective_deadline()
        # Shielding for a moment hides the deadlines outside, which their owners may
        # move at any time; nothing is awaited, so no cancellation is held back.
        inside.shield = True
        try:
            return trio.current_effective_deadline()
        finally:
            inside.shield = False

    def open_nurseries(self) -> int:
        """How many nurseries this task has open."""
        return len(trio.lowlevel.current_task().child_nurseries)

    def check_host(self) -> str | None:
        """Which other async library is running here, if one is."""
        if trio.lowlevel.in_trio_run() or "asyncio" not in sys.modules:
            return None
        asyncio = sys.modules["asyncio"]
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return None
        return "asyncio"

    def is_running(self) -> bool:
        """Whether a run of this library is under way here."""
        return trio.lowlevel.in_trio_run()


TRIO = TrioRuntime()
