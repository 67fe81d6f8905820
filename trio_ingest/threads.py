"""Waiting to the end for a thread, or for a cleanup, whatever runs and whoever cancels.

A shield of Trio's, or of anyio's, holds back what Trio or anyio cancels; it does not hold
back ``Task.cancel`` of asyncio's. There, whoever waits for a thread leaves while the thread
works on, with files and connections that are then closed behind its back.
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
    """What ``function`` returns or raises in a worker thread.

    Args:
        function: called without arguments.
        limiter: how many such threads there may be; anyio's own when None.

    Cancelled before it began, it does not begin; cancelled later, it is waited for.
    """
    if trio.lowlevel.in_trio_run():
        return await anyio.to_thread.run_sync(function, limiter=limiter)
    import asyncio  # noqa: PLC0415 -- where Trio runs, nobody needs it

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
    """What ``async_fn`` returns or raises; a cancellation comes when it has ended.

    Args:
        async_fn: called without arguments. It must come to an end by itself.
    """
    if trio.lowlevel.in_trio_run():
        with anyio.CancelScope(shield=True):
            return await async_fn()
    import asyncio  # noqa: PLC0415 -- as above

    return await _settled(asyncio.ensure_future(async_fn()), lambda: None)


async def _settled(task: asyncio.Future[Answer], at_cancel: Callable[[], None]) -> Answer:
    """The result of a task of asyncio's, waited for in spite of cancellations."""
    import asyncio  # noqa: PLC0415 -- as above

    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        # Shielded from the first cancellation on: a scope of anyio's would go on asking, at
        # every turn of the loop.
        with anyio.CancelScope(shield=cancelled is not None):
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
                at_cancel()
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at; what was asked for comes first
    raise cancelled
