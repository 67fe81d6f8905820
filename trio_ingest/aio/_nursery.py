"""A nursery of asyncio tasks, which cancels them as code for asyncio expects it.

In Trio, and under anyio's cancel scopes, every ``await`` after a cancellation is cancelled
again. Code that was written for asyncio awaits in a ``finally``, to close its connections.
So a task here is cancelled once, as asyncio does it, and has the run's grace for what it
then awaits. Only what is left after that is cancelled at every ``await``, as anyio does it.

No cancel scope is open in the task that opened the nursery, and it may be left in another
task than it was entered in. So a stream can live in an async generator that a web framework
iterates in one task and closes in another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self

import anyio

from ._waiters import AsyncioWaiter


class AsyncioNursery:
    """A nursery for tasks that keep their exceptions to themselves: none may raise.

    Args:
        grace_seconds: how long a cancelled task may go on before it is cancelled at every
            ``await``.
        force_cleanup: called at a second cancellation of the task that waits for the others.

    Memory: a task and a cancel scope for each that is alive.
    """

    def __init__(self, grace_seconds: float, force_cleanup: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._grace_seconds = grace_seconds
        self._force_cleanup = force_cleanup
        self._tasks: dict[asyncio.Task[Any], anyio.CancelScope | None] = {}
        self._calls: dict[asyncio.Task[Any], tuple[Callable[..., Awaitable[Any]], Any]] = {}
        # Those that are shielded now, and those of them that are to be cancelled afterwards.
        self._shielded: set[asyncio.Task[Any]] = set()
        self._to_cancel: set[asyncio.Task[Any]] = set()
        self._gone = AsyncioWaiter()
        self._persist_later: asyncio.TimerHandle | None = None
        self.is_cancelled = False

    @property
    def cancel_scope(self) -> Self:
        """The nursery itself, which can be cancelled."""
        return self

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a task, with the context variables of the caller."""
        task = self._loop.create_task(self._run(async_fn, args))
        self._tasks.setdefault(task, None)
        self._calls[task] = async_fn, args
        if task.done():  # at once, as an eager one may be
            self._remove_ended()
        else:
            task.add_done_callback(self._remove_ended)

    def holds(self, task: asyncio.Task[Any] | None) -> bool:
        """Return whether the task is one of its own."""
        return task in self._tasks

    def cancel(self) -> None:
        """Cancel every task once, and at every ``await`` when the grace is over."""
        if self.is_cancelled:
            return
        self.is_cancelled = True
        for task in self._tasks:
            self._cancel_once(task)
        with suppress(RuntimeError):  # the loop is closed, and this is the garbage collector
            self._persist_later = self._loop.call_later(
                self._grace_seconds, self.cancel_persistently
            )

    def cancel_persistently(self) -> None:
        """Cancel what is left at every ``await`` that nothing shields."""
        for scope in self._tasks.values():
            if scope is not None:
                scope.cancel()

    @contextmanager
    def shielded(self) -> Iterator[None]:
        """Shield this task; a cancellation that comes meanwhile is delivered afterwards."""
        task = asyncio.current_task()
        assert task is not None
        self._shielded.add(task)
        try:
            yield
        finally:
            self._shielded.remove(task)
            if task in self._to_cancel:
                self._to_cancel.remove(task)
                self._cancel_soon(task)

    async def wait(self, *, was_cancelled: bool = False) -> asyncio.CancelledError | None:
        """Wait until every task is gone, and return the cancellation that came meanwhile.

        Args:
            was_cancelled: the waiting task has been cancelled before, so the next time is
                the second.
        """
        cancelled: asyncio.CancelledError | None = None
        # A cancel scope around the caller would cancel this again at every turn.
        with anyio.CancelScope(shield=True):
            while self._tasks:
                try:
                    await self._gone.wait()
                except asyncio.CancelledError as error:
                    self.cancel()
                    if was_cancelled or cancelled is not None:
                        self._force_cleanup()
                    cancelled = error
                    # A second Ctrl-C may have been raised inside that callback, and ended it.
                    self._remove_ended()
        if self._persist_later is not None:
            self._persist_later.cancel()
        return cancelled

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if exc is not None:
            self.cancel()
        cancelled = await self.wait()
        if cancelled is not None and exc is None:
            raise cancelled

    async def _run(self, async_fn: Callable[..., Awaitable[Any]], args: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        is_over = False
        try:
            # Shielded, since it is the nursery that decides when it is cancelled.
            with anyio.CancelScope(shield=True) as scope:
                self._tasks[task] = scope
                if self.is_cancelled:
                    self._cancel_soon(task)
                await async_fn(*args)
                is_over = True
        except asyncio.CancelledError:
            pass  # the engine has seen it, and the nursery asked for it
        except RuntimeError:
            # An adapter has left a scope open in this one; its run has failed with that.
            if not is_over:
                raise

    def _cancel_once(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task where it waits, but not while it is shielded."""
        if task in self._shielded:
            self._to_cancel.add(task)
        elif task is asyncio.current_task():
            self._cancel_soon(task)
        elif self._tasks.get(task) is not None:  # else it is cancelled when it begins
            task.cancel()

    def _cancel_soon(self, task: asyncio.Task[Any]) -> None:
        # Not at once: a task that runs would be cancelled at its next await, which may be
        # shielded by then.
        self._loop.call_soon(self._cancel_once, task)

    def _remove_ended(self, _: object = None) -> None:
        for task in [task for task in self._tasks if task.done()]:
            async_fn, args = self._calls.pop(task)
            has_begun = self._tasks.pop(task) is not None
            if not has_begun and task.cancelled():
                # By other code (asyncio.run, when it ends), before its first step. The
                # adapters that it was to close have to be closed.
                self.start_soon(async_fn, *args)
                self.cancel()
            elif not task.cancelled():
                task.result()
        if not self._tasks:
            self._gone.wake()
