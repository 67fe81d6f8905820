"""Waiting for a thread, or for a cleanup, to its end, on Trio and on asyncio.

A shield of Trio's or anyio's does not hold back ``Task.cancel`` of asyncio's. Without what is
here, a cancelled task leaves while its thread works on, and then closes the files and
connections that the thread still uses.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import anyio
import anyio.to_thread
import trio

if TYPE_CHECKING:
    import asyncio

__all__ = ["run_in_thread", "uninterrupted"]

Answer = TypeVar("Answer")


async def run_in_thread(
    function: Callable[[], Answer], *, limiter: anyio.CapacityLimiter | None = None
) -> Answer:
    """Call a function in a worker thread and wait for it to its end.

    Args:
        function: called without arguments.
        limiter: how many such threads there may be; None: anyio's own limit.

    Returns:
        what ``function`` returns.

    Raises:
        Exception: what ``function`` raises.

    Cancelled before the function began, it does not begin; cancelled later, it is waited for.

    Memory: a thread, which anyio keeps for the next call.
    """
    if trio.lowlevel.in_trio_task():
        return await anyio.to_thread.run_sync(function, limiter=limiter)
    import asyncio  # noqa: PLC0415 -- not needed where Trio runs

    deciding = threading.Lock()
    has_begun = given_up = False

    def call() -> Answer:
        nonlocal has_begun
        with deciding:
            if given_up:
                raise asyncio.CancelledError
            has_begun = True
        return function()

    def give_up() -> None:
        nonlocal given_up
        with deciding:
            given_up = not has_begun
        if given_up:
            task.cancel()

    task = asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=limiter))
    return await _settled(task, give_up)


async def uninterrupted(async_fn: Callable[[], Awaitable[Answer]]) -> Answer:
    """Await a function to its end; a cancellation is raised when it has ended.

    Args:
        async_fn: called without arguments. It must come to an end by itself.

    Returns:
        what ``async_fn`` returns.

    Raises:
        Exception: what ``async_fn`` raises, unless a cancellation came meanwhile.

    Memory: a task, on asyncio.
    """
    if trio.lowlevel.in_trio_task():
        with anyio.CancelScope(shield=True):
            return await async_fn()
    import asyncio  # noqa: PLC0415 -- as above

    return await _settled(asyncio.ensure_future(async_fn()), lambda: None)


async def _settled(task: asyncio.Future[Answer], at_cancel: Callable[[], None]) -> Answer:
    """Wait for an asyncio task in spite of cancellations, and return its result."""
    import asyncio  # noqa: PLC0415 -- as above

    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        # Shielded from the first cancellation on: a scope of anyio's cancels again at every
        # turn of the loop.
        with anyio.CancelScope(shield=cancelled is not None):
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
                at_cancel()
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # retrieved, or asyncio warns; the cancellation comes first
    raise cancelled
