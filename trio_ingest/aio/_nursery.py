"""A nursery of asyncio tasks, cancelled the way code for asyncio expects it.

In Trio, and under anyio's cancel scopes, whatever is awaited after a cancellation is
cancelled again. Code that was written for asyncio does not know that: it closes its
connections in a ``finally``, and awaits that. So a task here is cancelled once, as asyncio
does it, and has the run's grace for what it then awaits. Only what is left after that is
cancelled at every ``await``, as anyio does it.

No cancel scope is open in the task that opened the nursery, and it may be left in another
task than it was entered in. So a stream can live in an async generator that a web framework
iterates, and closes wherever it likes.
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
    """A place for tasks, whose exceptions are their own business: none may raise.

    Args:
        grace_seconds: how long a cancelled task may go on before it is pressed.
        hurry: called at a second cancellation of whoever waits for the tasks.

    Memory: a task and a cancel scope for each that is alive.
    """

    def __init__(self, grace_seconds: float, force_cleanup: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._grace_seconds = grace_seconds
        self._hurry = force_cleanup
        self._tasks: dict[asyncio.Task[Any], anyio.CancelScope | None] = {}
        self._calls: dict[asyncio.Task[Any], tuple[Callable[..., Awaitable[Any]], Any]] = {}
        # Those that have shelter now, and those of them that were to be cancelled.
        self._shielded: set[asyncio.Task[Any]] = set()
        self._owed: set[asyncio.Task[Any]] = set()
        self._gone = AsyncioWaiter()
        self._persist_later: asyncio.TimerHandle | None = None
        self.is_cancelled = False

    @property
    def cancel_scope(self) -> Self:
        """Itself: it can be cancelled."""
        return self

    def start_soon(self, async_fn: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Start a task; it sees the context variables of whoever calls this."""
        task = self._loop.create_task(self._run(async_fn, args))
        self._tasks.setdefault(task, None)
        self._calls[task] = async_fn, args
        if task.done():  # at once, as an eager one may be
            self._see_to_the_ended()
        else:
            task.add_done_callback(self._see_to_the_ended)

    def holds(self, task: asyncio.Task[Any] | None) -> bool:
        """Whether the task is one of its own."""
        return task in self._tasks

    def cancel(self) -> None:
        """Cancel every task once, and again at each ``await`` when the grace is over."""
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
        """For so long, this task is not cancelled; what came meanwhile comes afterwards."""
        task = asyncio.current_task()
        assert task is not None
        self._shielded.add(task)
        try:
            yield
        finally:
            self._shielded.remove(task)
            if task in self._owed:
                self._owed.remove(task)
                self._cancel_soon(task)

    async def wait(self, *, was_cancelled: bool = False) -> asyncio.CancelledError | None:
        """Wait until every task is gone; returns the cancellation that came meanwhile.

        Args:
            was_cancelled: whether the waiting task has been cancelled before, so that the
                next time is the second.
        """
        cancelled: asyncio.CancelledError | None = None
        # A cancel scope of the caller's is patient: it would ask again at every turn.
        with anyio.CancelScope(shield=True):
            while self._tasks:
                try:
                    await self._gone.wait()
                except asyncio.CancelledError as error:
                    self.cancel()
                    if was_cancelled or cancelled is not None:
                        self._hurry()
                    cancelled = error
                    # A second Ctrl-C may have been raised in the midst of a callback, which
                    # then never came to its end.
                    self._see_to_the_ended()
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
            pass  # whoever is told of it has been told
        except RuntimeError:
            # An adapter has left a scope open in this one, and its run has failed with that.
            if not is_over:
                raise

    def _cancel_once(self, task: asyncio.Task[Any]) -> None:
        """Cancel a task where it waits, but not in a shelter."""
        if task in self._shielded:
            self._owed.add(task)
        elif task is asyncio.current_task():
            self._cancel_soon(task)
        elif self._tasks.get(task) is not None:  # or it begins later, and sees to it then
            task.cancel()

    def _cancel_soon(self, task: asyncio.Task[Any]) -> None:
        # Not at once: a task that runs would be cancelled at its next await, and that may
        # be inside a shelter.
        self._loop.call_soon(self._cancel_once, task)

    def _see_to_the_ended(self, _: object = None) -> None:
        for task in [task for task in self._tasks if task.done()]:
            async_fn, args = self._calls.pop(task)
            has_begun = self._tasks.pop(task) is not None
            if not has_begun and task.cancelled():
                # By somebody else (asyncio.run, when it ends), before its first step. What
                # it was to close has to be closed.
                self.start_soon(async_fn, *args)
                self.cancel()
            elif not task.cancelled():
                task.result()
        if not self._tasks:
            self._gone.wake()
