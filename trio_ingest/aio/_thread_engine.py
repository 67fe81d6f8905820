"""The near side of the bridge: what the stream sees of a Trio engine in another thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import anyio
import trio
from anyio.from_thread import start_blocking_portal

from trio_ingest import Checkpoint, PipelineEvent
from trio_ingest._engine.channel import Channel
from trio_ingest._engine.runtime import Runtime
from trio_ingest._engine.setup import RunSetup

from ._runtime import AsyncioRuntime
from ._thread_host import ThreadHost
from ._waiters import AsyncioWaiter


class ThreadChannel(Channel):
    """What has come over the border and was not taken yet."""

    __slots__ = ("_ask", "asked")

    def __init__(self, size: int, runtime: Runtime, ask: Callable[[], None]) -> None:
        super().__init__(size, runtime)
        self._ask = ask
        self.asked = True

    async def _get_slowly(self) -> PipelineEvent:
        if not (self.queue or self.closed or self.asked or self._asking):
            self.asked = True
            self._ask()
        return await super()._get_slowly()

    def receive(self, batch: list[PipelineEvent]) -> None:
        """Take a batch from the far side."""
        self.asked = False
        for event in batch:
            self.put(event)


class ThreadEngine:
    """Starts the far side, ends it, and passes on what it is asked.

    Entering holds the loop for the milliseconds that a thread and Trio take to start.

    Memory: the events that wait are here or there, ``buffer_size`` of them in all.
    """

    def __init__(self, setup: RunSetup, runtime: AsyncioRuntime) -> None:
        self._loop = asyncio.get_running_loop()
        self._runtime = runtime
        self._manager = start_blocking_portal("trio")
        self._portal = self._manager.__enter__()
        try:
            self._far: ThreadHost = self._portal.call(ThreadHost, setup, self._give)
        except BaseException:
            self._manager.__exit__(None, None, None)
            raise
        runtime.at_forced_cleanup.append(lambda: self._tell(self._far.runtime.force_cleanup))
        self.run = self._far.engine.run
        self.channel: Channel
        self.channel = self._near = ThreadChannel(
            setup.options.buffer_size, runtime, lambda: self._tell(self._far.ask)
        )
        self._far.engine.channel.batch_queue = self._near.queue
        self.cleanup_errors = self._far.engine.cleanup_errors
        self._received = 0
        self._finished = AsyncioWaiter()
        self._is_over = False

    async def work(self) -> None:
        """Wait until the far side has ended; cancelled, end it."""
        future = self._portal.start_task_soon(self._far.main)
        future.add_done_callback(lambda _: self._later(self._over))
        cancelled: asyncio.CancelledError | None = None
        # The far side presses its own tasks, so waiting for it is all there is to do.
        with anyio.CancelScope(shield=True):
            while not self._is_over:
                try:
                    await self._finished.wait()
                except asyncio.CancelledError as error:
                    cancelled = error
                    self._tell(self._far.cancel)
                except BaseException:
                    # The loop was closed over this, so nobody waits any more.
                    self._tell(self._far.cancel)
                    raise
        self._manager.__exit__(None, None, None)
        if not self._near.closed:
            self._near.close(self._far.engine.channel.failure)
        future.result()
        if cancelled is not None:
            raise cancelled

    def pause(self) -> None:
        """Fetch nothing more until ``resume``."""
        self._tell(self._far.engine.pause)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._tell(self._far.engine.resume)

    def drain(self) -> None:
        """Stop fetching, finish what is in flight, end normally."""
        self._tell(self._far.engine.drain)

    def checkpoint(self) -> Checkpoint:
        """Covers exactly what the consumer has acknowledged, now."""
        return self.run.checkpoint(self._taken - self._near.in_hand)

    def account_time(self) -> None:
        """Have every task's time booked; what is read next may be that of a moment ago."""
        self._tell(self._far.engine.account_time)

    @property
    def queue_depth(self) -> int:
        """How many events wait for the consumer, on either side."""
        return self.run.sequence - self._taken

    def without_cancelled(self, error: BaseException) -> BaseException | None:
        """What is left of an exception besides cancellations."""
        return None if isinstance(error, self._runtime.cancelled) else error

    @property
    def _taken(self) -> int:
        return self._received - len(self._near.queue)

    # -- across the border ---------------------------------------------------------------

    def _tell(self, message: Callable[[], object]) -> None:
        """Have something done on the far side, if that is still there."""
        with suppress(trio.RunFinishedError):
            self._far.token.run_sync_soon(message)

    def _give(self, batch: list[PipelineEvent], failure: BaseException | None) -> None:
        """Called on the far side."""
        if batch:
            self._later(self._receive, batch)
        else:
            self._later(self._end, failure)

    def _later(self, message: Callable[..., object], *args: Any) -> None:
        """Have something done on the near side, if its loop is still there."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(message, *args)

    def _receive(self, batch: list[PipelineEvent]) -> None:
        self._received += len(batch)
        self._near.receive(batch)

    def _end(self, failure: BaseException | None) -> None:
        self._near.close(failure)

    def _over(self) -> None:
        self._is_over = True
        self._finished.wake()
