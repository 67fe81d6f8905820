"""The primitives that the engine needs from an async library, and Trio's own.

The engine is written once, over the protocol ``Runtime``. Trio's primitives fill it at no
extra cost; ``aio`` fills it with those of asyncio.
"""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol

import trio
import trio_util

from trio_ingest._core.errors import SetupError

ki_protected = trio.lowlevel.enable_ki_protection
"""Hold a Ctrl-C back until the function has returned, so that it cannot fall between
a change and the wake-up that must follow it. Costs nothing per call."""


class Scope(Protocol):
    """A cancel scope."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *exc: Any) -> Any: ...  # noqa: PYI036 -- Trio's own is narrower
    def cancel(self) -> None: ...
    @property
    def cancelled_caught(self) -> bool: ...


class CheckedScope(Protocol):
    """A cancel scope that detects scopes which were left open inside it."""

    def __enter__(self) -> Any: ...
    def __exit__(self, *exc: Any) -> Any: ...  # noqa: PYI036 -- as Scope
    def holds_another(self) -> bool: ...


class ScopeLeftOpen(RuntimeError):
    """A scope cannot be closed, since one inside it is still open."""


class Cancellable(Protocol):
    """Something that can be cancelled from outside."""

    def cancel(self) -> None: ...


class Nursery(Protocol):
    """A place for tasks."""

    @property
    def cancel_scope(self) -> Cancellable: ...
    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None: ...


class Waiter(Protocol):
    """A place for one task to wait until another task wakes it."""

    occupied: bool  # an attribute and no property, since it is read for each event

    async def wait(self) -> None: ...
    def wake(self) -> None: ...


class AsyncValue(Protocol):
    """A value that tasks can wait on."""

    value: Any

    async def wait_value(self, predicate: Callable[[Any], bool]) -> Any: ...


class Runtime(Protocol):
    """The primitives that the engine uses of an async library."""

    @property
    def cancelled(self) -> type[BaseException]: ...
    @property
    def timeout(self) -> type[BaseException]: ...
    @property
    def started_with(self) -> str: ...
    @property
    def cancels_once(self) -> bool: ...
    @property
    def cleanup_forced(self) -> bool: ...
    def here(self) -> Runtime: ...
    def clock(self) -> Callable[[], float]: ...
    def open_nursery(self, grace_seconds: float) -> AbstractAsyncContextManager[Nursery]: ...
    async def leave(self, opened: Any, exc: BaseException | None) -> None: ...
    def cancel_scope(self) -> Scope: ...
    def checked_scope(self) -> CheckedScope: ...
    def grace(self, seconds: float) -> AbstractContextManager[Scope]: ...
    def waiter(self) -> Waiter: ...
    def value(self, initial: Any) -> AsyncValue: ...
    def every(self, seconds: float) -> AsyncGenerator[Any, None]: ...
    async def sleep(self, seconds: float) -> None: ...
    async def cancellation_point(self) -> None: ...
    def is_cancelled(self) -> bool: ...
    def force_cleanup(self) -> None: ...
    def is_failure(self, error: BaseException) -> bool: ...
    def advice_on(self, error: BaseException) -> str | None: ...
    def check_host(self) -> None: ...
    def is_running(self) -> bool: ...


class TrioWaiter:
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


class TrioCheckedScope:
    """A cancel scope, with detection of what is open inside it by public API.

    A cancel scope without a deadline leaves no public trace and is not seen.
    """

    def __init__(self) -> None:
        self._scope = trio.CancelScope()
        self._nurseries = 0

    def __enter__(self) -> None:
        self._scope.__enter__()
        self._nurseries = len(trio.lowlevel.current_task().child_nurseries)

    def __exit__(self, *exc: Any) -> bool:  # noqa: PYI036 -- as Scope
        return self._scope.__exit__(*exc)

    def holds_another(self) -> bool:
        """Return whether a deadline or a nursery was opened inside and not closed."""
        if len(trio.lowlevel.current_task().child_nurseries) > self._nurseries:
            return True
        # Shielding for a moment hides the deadlines outside, which may move at any time;
        # nothing is awaited, so no cancellation is held back.
        self._scope.shield = True
        try:
            return trio.current_effective_deadline() != math.inf
        finally:
            self._scope.shield = False


class TrioRuntime:
    """The primitives of Trio."""

    cancelled = trio.Cancelled
    timeout = trio.TooSlowError
    started_with = "trio.run"
    cancels_once = False  # it asks at every await, until the scope has been left
    cleanup_forced = False
    # What to do with an adapter that awaits the other library.
    advice = (
        "it awaits asyncio, and this run is on Trio. Run it from asyncio, with "
        "trio_ingest.aio.stream_events(pipeline, ...)"
    )

    cancel_scope = trio.CancelScope
    checked_scope = TrioCheckedScope
    waiter = TrioWaiter
    value = trio_util.AsyncValue
    every = staticmethod(trio_util.periodic)
    sleep = staticmethod(trio.sleep)
    cancellation_point = staticmethod(trio.lowlevel.checkpoint)
    is_running = staticmethod(trio.lowlevel.in_trio_task)

    def here(self) -> Runtime:
        """Return the runtime for a stream that is entered here: always this one."""
        return self

    def clock(self) -> Callable[[], float]:
        """Return the current run's clock, in seconds; bound once, since it is read often."""
        return trio.lowlevel.current_clock().current_time

    def open_nursery(self, grace_seconds: float) -> AbstractAsyncContextManager[Nursery]:  # noqa: ARG002 -- Trio asks again and again
        return trio.open_nursery()

    async def leave(self, opened: Any, exc: BaseException | None) -> None:  # noqa: ARG002 -- see below
        """Wait until all tasks of a cancelled nursery are gone; ``exc`` is not wrapped."""
        # Without the body's exception: the nursery would wrap it in a group.
        await opened.__aexit__(None, None, None)

    def grace(self, seconds: float) -> AbstractContextManager[Scope]:
        """Return a scope for cleanup, which an outer cancellation cannot cut short."""
        return trio.move_on_after(seconds, shield=True)

    def is_cancelled(self) -> bool:
        """Return whether a cancellation of this task has been asked for."""
        return trio.current_effective_deadline() == -math.inf

    def force_cleanup(self) -> None:
        """Do nothing: Trio raises a second Ctrl-C where the main task waits."""

    def is_failure(self, error: BaseException) -> bool:
        """Return whether an error is a failure of the adapter.

        Any ``Exception`` is; of the others only a cancellation that was not asked for, as
        awaiting something that another task has cancelled may raise.
        """
        if isinstance(error, self.cancelled):
            return not self.is_cancelled()
        return isinstance(error, Exception)

    def advice_on(self, error: BaseException) -> str | None:
        """Return the advice on an error that comes of awaiting asyncio; None on others."""
        text = text_of(error)
        mine = "no running event loop" in text or "some other framework like asyncio" in text
        return self.advice if mine else None

    def check_host(self) -> None:
        """Refuse to run where another async library does.

        Raises:
            SetupError: when asyncio is running here; it names what to use.
        """
        if not trio.lowlevel.in_trio_task() and asyncio_is_running():
            raise SetupError(
                "asyncio is running here, and this stream runs on Trio. Write "
                "trio_ingest.aio.stream_events(pipeline, ...) instead, or iter_results or "
                "run_async of the same module; they take the same options."
            )


def asyncio_is_running() -> bool:
    """Return whether an event loop of asyncio runs in this thread; import nothing."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return False
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def text_of(error: BaseException) -> str:
    """Return the text of an error that a library may have raised; of others, nothing."""
    if not isinstance(error, RuntimeError | TypeError):
        return ""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 -- whatever a user's __str__ does
        return ""


TRIO = TrioRuntime()
