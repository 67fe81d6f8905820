"""The primitives of the engine on asyncio, natively in the caller's own event loop."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import Any, Self

import anyio
import trio

from trio_ingest._engine.runtime import (
    TRIO,
    Runtime,
    ScopeLeftOpen,
    asyncio_is_running,
    text_of,
)

from ._nursery import AsyncioNursery
from ._waiters import AsyncioValue, AsyncioWaiter


class OnceScope:
    """A cancel scope that cancels its task once, as asyncio does it.

    An ``await`` after that, in a ``finally``, is not cancelled.
    """

    def __init__(self) -> None:
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0
        self._cancel_called = self._is_delivered = self.cancelled_caught = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        assert self._task is not None
        self._cancelling = self._task.cancelling()
        if self._cancel_called:
            self._deliver_soon()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool:
        task, self._task = self._task, None
        assert task is not None
        if not self._is_delivered:
            return False
        # As asyncio.timeout does it: if other code has cancelled the task besides, the
        # cancellation must go on.
        mine_alone = task.uncancel() <= self._cancelling
        self.cancelled_caught = mine_alone and isinstance(exc, asyncio.CancelledError)
        return self.cancelled_caught

    def cancel(self) -> None:
        """Cancel the task, once."""
        if not self._cancel_called:
            self._cancel_called = True
            if self._task is asyncio.current_task():
                self._deliver_soon()
            else:
                self._deliver()

    def _deliver_soon(self) -> None:
        # A task that runs may leave before its next await, with the cancellation in hand.
        asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        if self._task is not None:
            self._is_delivered = True
            self._task.cancel()


class AnyioCheckedScope:
    """A cancel scope of anyio, which notices one that was left open inside it.

    ``asyncio.timeout`` and ``asyncio.TaskGroup`` leave no trace that could be seen.
    """

    def __init__(self) -> None:
        self._scope = anyio.CancelScope()

    def __enter__(self) -> None:
        self._scope.__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> bool | None:
        try:
            return self._scope.__exit__(exc_type, exc, tb)
        except RuntimeError as error:
            raise ScopeLeftOpen from error

    def holds_another(self) -> bool:
        """Return whether another scope is open inside it: only the innermost may be left."""
        try:
            self._scope.__exit__(None, None, None)
        except RuntimeError:
            return True
        self._scope = anyio.CancelScope()
        self._scope.__enter__()
        return False


class AsyncioRuntime:
    """The runtime of one stream on asyncio and anyio."""

    cancelled = asyncio.CancelledError
    timeout = TimeoutError
    cancels_once = True
    started_with = "asyncio.run"
    advice = (
        'it awaits Trio, and this run is on asyncio. Give the call runtime="trio", like '
        'trio_ingest.aio.stream_events(pipeline, runtime="trio", ...): then the run has '
        "Trio in a thread of its own"
    )

    def __init__(self) -> None:
        self.cleanup_forced = False
        self.at_forced_cleanup: list[Callable[[], object]] = []
        self._graces: set[anyio.CancelScope] = set()
        self._nurseries: list[AsyncioNursery] = []

    def here(self) -> Runtime:
        """Return the runtime for a stream that is entered here: Trio's where Trio runs."""
        return TRIO if trio.lowlevel.in_trio_task() else self

    def clock(self) -> Callable[[], float]:
        """Return the loop's clock, in seconds; ``time.monotonic`` for ordinary loops.

        uvloop reads its clock once for each turn of the loop and rounds it to milliseconds,
        so that a parse would seem to take no time.
        """
        loop = asyncio.get_running_loop()
        uvloop = sys.modules.get("uvloop")
        ordinary = [asyncio.BaseEventLoop.time]
        if uvloop is not None:
            ordinary.append(uvloop.Loop.time)
        return time.monotonic if type(loop).time in ordinary else loop.time

    def open_nursery(self, grace_seconds: float) -> AsyncioNursery:
        # A program that ends cancels all tasks, those of this run as well: for them that is
        # no second cancellation of the host's.
        is_inside = bool(self._nurseries_of_this_task())
        force_cleanup = (lambda: None) if is_inside else self.force_cleanup
        nursery = AsyncioNursery(grace_seconds, force_cleanup)
        self._nurseries.append(nursery)
        return nursery

    async def leave(self, opened: AsyncioNursery, exc: BaseException | None) -> None:
        """Wait until all tasks of a cancelled nursery are gone.

        Args:
            opened: the nursery.
            exc: what the block was left with.

        Raises:
            CancelledError: the waiting task was cancelled meanwhile, which asyncio does once.
        """
        task = asyncio.current_task()
        assert task is not None
        # It may also come of awaiting a task that others have cancelled.
        was_cancelled = isinstance(exc, asyncio.CancelledError) and task.cancelling() > 0
        cancelled = await opened.wait(was_cancelled=was_cancelled)
        # They refer to this object, and would keep it alive in a cycle.
        self._nurseries.clear()
        self.at_forced_cleanup.clear()
        if cancelled is not None and not isinstance(exc, asyncio.CancelledError):
            raise cancelled

    def cancel_scope(self) -> OnceScope:
        return OnceScope()

    def checked_scope(self) -> AnyioCheckedScope:
        return AnyioCheckedScope()

    @contextmanager
    def grace(self, seconds: float) -> Iterator[anyio.CancelScope]:
        """Shield a cleanup, which only a second cancellation of the host can cut short."""
        with ExitStack() as stack:
            for nursery in self._nurseries_of_this_task():
                stack.enter_context(nursery.shielded())
            seconds = 0 if self.cleanup_forced else seconds
            scope = stack.enter_context(anyio.move_on_after(seconds, shield=True))
            self._graces.add(scope)
            stack.callback(self._graces.remove, scope)
            yield scope

    def waiter(self) -> AsyncioWaiter:
        return AsyncioWaiter()

    def value(self, initial: Any) -> AsyncioValue:
        return AsyncioValue(initial)

    async def every(self, seconds: float) -> AsyncGenerator[None, None]:
        """Tick at once, and then each so many seconds."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            yield
            now = loop.time()
            due = max(due + seconds, now)
            await asyncio.sleep(due - now)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def cancellation_point(self) -> None:
        await asyncio.sleep(0)

    def is_cancelled(self) -> bool:
        """Return whether a cancellation of this task has been asked for."""
        mine = self._nurseries_of_this_task()
        if mine:
            return any(nursery.is_cancelled for nursery in mine)
        # The bare form runs in the host's own task.
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def is_failure(self, error: BaseException) -> bool:
        """Return whether it is a failure, or a cancellation that was not asked for."""
        if isinstance(error, asyncio.CancelledError):
            return not self.is_cancelled()
        return isinstance(error, Exception)

    def advice_on(self, error: BaseException) -> str | None:
        """Return what to do about an error of awaiting Trio here; None for another error."""
        text = text_of(error)
        mine = "must be called from async context" in text or "got bad yield" in text
        return self.advice if mine else None

    def check_host(self) -> None:
        """Refuse nothing: asyncio is running here."""

    def is_running(self) -> bool:
        """Return whether an event loop is running here."""
        return asyncio_is_running()

    def _nurseries_of_this_task(self) -> list[AsyncioNursery]:
        task = asyncio.current_task()
        return [nursery for nursery in self._nurseries if nursery.holds(task)]

    def force_cleanup(self) -> None:
        """Cut every cleanup short, at a second cancellation or a second Ctrl-C."""
        self.cleanup_forced = True
        for force_cleanup in self.at_forced_cleanup:
            force_cleanup()
        for scope in self._graces:
            scope.cancel()
        for nursery in self._nurseries:
            nursery.cancel_persistently()
