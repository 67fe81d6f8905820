"""A thread for objects that may be used in one thread only.

``anyio.to_thread`` takes any thread that is free. A SQLite connection has to stay where it
was opened, so all its calls go through a pool of one thread, and an anyio worker waits for
the answer. The second hop costs some 50 µs a call: little beside a batch, and it needs no
event loop of its own to wake.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

import anyio
import anyio.to_thread

from trio_ingest.threads import run_in_thread, uninterrupted

Answer = TypeVar("Answer")


# Closing waits for the call under way. When that hangs (a disk that is gone), the thread is
# left to itself after so long, with a warning, rather than the program with it.
CLOSING_SECONDS: Final = 60.0


class OwnerThread:
    """Runs calls one after another in one thread, from its first call to ``aclose``.

    Args:
        name: the name of the thread, as debuggers show it.
    """

    __module__ = "trio_ingest.storage"

    def __init__(self, name: str) -> None:
        self._name = name
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)
        # Of its own: calls that have used up the event loop's threads must not keep this
        # one from being called, let alone from being closed.
        self._callers: anyio.CapacityLimiter | None = None

    async def call(self, function: Callable[[], Answer]) -> Answer:
        """Return what ``function`` returns in the owner thread.

        Args:
            function: called without arguments.

        Raises:
            Exception: what ``function`` raises.

        Cancelled before it began, it does not begin; cancelled later, it is waited for, so
        that it is never seen half done.
        """
        if self._callers is None:
            self._callers = anyio.CapacityLimiter(1)
        return await run_in_thread(
            lambda: self._pool.submit(function).result(), limiter=self._callers
        )

    async def aclose(self, last: Callable[[], object]) -> None:
        """Run ``last`` in the owner thread, then end the thread, also when cancelled.

        It waits for the call under way, if there is one, and for nothing else; and at most
        a minute, with a ``RuntimeWarning`` then.

        Args:
            last: called without arguments, like a ``close``.

        Raises:
            Exception: what ``last`` raises; the thread has ended.
        """

        async def end() -> bool:
            with anyio.move_on_after(CLOSING_SECONDS) as scope:
                await anyio.to_thread.run_sync(
                    self._end, last, abandon_on_cancel=True, limiter=anyio.CapacityLimiter(1)
                )
            return scope.cancelled_caught

        if await uninterrupted(end):
            warnings.warn(
                f"The thread {self._name!r} has not come back in {CLOSING_SECONDS:g} seconds "
                f"and is left to itself.",
                RuntimeWarning,
                stacklevel=2,
            )

    def _end(self, last: Callable[[], object]) -> None:
        try:
            self._pool.submit(last).result()
        finally:
            self._pool.shutdown()
