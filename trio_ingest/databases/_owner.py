"""A thread that owns what may be touched from one thread only.

``anyio.to_thread`` picks whichever thread is free. A SQLite connection wants to
stay where it was opened, so all its calls go through a pool of one thread, and
an anyio worker waits for the answer. The second hop costs some 50 µs a call:
nothing beside a batch, and it needs no event loop of its own to wake.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import anyio
import anyio.to_thread

Answer = TypeVar("Answer")


class OwnerThread:
    """Runs calls one after another in one thread, from its first call to ``aclose``.

    Args:
        name: of the thread, as debuggers show it.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def call(self, function: Callable[[], Answer]) -> Answer:
        """What ``function`` returns or raises in the owner thread.

        Cancelled before it began, it does not begin; cancelled later, it is
        waited for, so that nobody meets it half done.
        """
        return await anyio.to_thread.run_sync(lambda: self._pool.submit(function).result())

    async def aclose(self, last: Callable[[], object]) -> None:
        """Run ``last`` in the owner thread, then end the thread; never cut short.

        It waits for the call under way, if there is one, and for nothing else.
        """
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self._end, last)

    def _end(self, last: Callable[[], object]) -> None:
        try:
            self._pool.submit(last).result()
        finally:
            self._pool.shutdown()
