"""A call in another thread that is waited for, whatever library runs and whoever cancels.

``anyio.to_thread.run_sync`` waits for its thread where Trio cancels, or a scope of anyio's;
but not where asyncio does, by ``Task.cancel``: there the thread works on with files and
connections that are being closed behind its back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread
import trio

Answer = TypeVar("Answer")


async def in_thread(
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
    return await _in_thread_of_asyncio(function, limiter)


async def _in_thread_of_asyncio(
    function: Callable[[], Answer], limiter: anyio.CapacityLimiter | None
) -> Answer:
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

    task = asyncio.ensure_future(anyio.to_thread.run_sync(call, limiter=limiter))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        # Shielded while there is a thread to wait for: a scope of anyio's would ask at
        # every turn of the loop.
        with anyio.CancelScope(shield=cancelled is not None):
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
                with deciding:
                    given_up = not has_begun
                if given_up:
                    task.cancel()
    if cancelled is None:
        return task.result()
    if not task.cancelled():
        task.exception()  # looked at; what was asked for comes first
    raise cancelled
