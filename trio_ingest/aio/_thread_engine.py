"""The asyncio side of a Trio engine in a thread of its own; the other is ``_thread_host``."""

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
    """The events that have come from the engine's thread and were not taken yet."""

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
        """Take a batch from the engine's thread."""
        self.asked = False
        for event in batch:
            self.put(event)


class ThreadEngine:
    """Starts the engine's thread, ends it, and passes on what the stream asks of it.

    Entering holds the loop for the milliseconds that a thread and Trio take to start.

    Memory: ``buffer_size`` events, here and in the thread together.
    """

    def __init__(self, setup: RunSetup, runtime: AsyncioRuntime) -> None:
        self._loop = asyncio.get_running_loop()
        self._runtime = runtime
        self._manager = start_blocking_portal("trio")
        self._portal = self._manager.__enter__()
        try:
            self._host: ThreadHost = self._portal.call(ThreadHost, setup, self._deliver)
        except BaseException:
            self._manager.__exit__(None, None, None)
            raise
        runtime.at_forced_cleanup.append(
            lambda: self._call_in_thread(self._host.runtime.force_cleanup)
        )
        self.run = self._host.engine.run
        self.channel: Channel
        self.channel = self._events = ThreadChannel(
            setup.options.buffer_size, runtime, lambda: self._call_in_thread(self._host.ask)
        )
        self._host.engine.channel.batch_queue = self._events.queue
        self.cleanup_errors = self._host.engine.cleanup_errors
        self._received = 0
        self._finished = AsyncioWaiter()
        self._has_ended = False

    async def work(self) -> None:
        """Wait for the end of the thread; when cancelled, cancel its run and wait on."""
        future = self._portal.start_task_soon(self._host.main)
        future.add_done_callback(lambda _: self._call_in_loop(self._thread_has_ended))
        cancelled: asyncio.CancelledError | None = None
        # The host cuts the cleanup of its own tasks short, so nothing is left but to wait.
        with anyio.CancelScope(shield=True):
            while not self._has_ended:
                try:
                    await self._finished.wait()
                except asyncio.CancelledError as error:
                    cancelled = error
                    self._call_in_thread(self._host.cancel)
                except BaseException:
                    # The loop was closed meanwhile, so no task waits for the thread any more.
                    self._call_in_thread(self._host.cancel)
                    raise
        self._manager.__exit__(None, None, None)
        if not self._events.closed:
            self._events.close(self._host.engine.channel.failure)
        future.result()
        if cancelled is not None:
            raise cancelled

    def pause(self) -> None:
        """Fetch nothing more until ``resume``."""
        self._call_in_thread(self._host.engine.pause)

    def resume(self) -> None:
        """Go on after ``pause``."""
        self._call_in_thread(self._host.engine.resume)

    def drain(self) -> None:
        """Stop fetching, finish what is in flight, end normally."""
        self._call_in_thread(self._host.engine.drain)

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of exactly what the consumer has acknowledged, now."""
        return self.run.checkpoint(self._taken - self._events.in_hand)

    def account_time(self) -> None:
        """Have every task's time counted; what is read next may be that of a moment ago."""
        self._call_in_thread(self._host.engine.account_time)

    @property
    def queue_depth(self) -> int:
        """The number of events that wait for the consumer, here and in the thread."""
        return self.run.sequence - self._taken

    def without_cancelled(self, error: BaseException) -> BaseException | None:
        """Return what is left of an exception besides cancellations."""
        return None if isinstance(error, self._runtime.cancelled) else error

    @property
    def _taken(self) -> int:
        return self._received - len(self._events.queue)

    # -- between the threads -------------------------------------------------------------

    def _call_in_thread(self, function: Callable[[], object]) -> None:
        """Call something in the engine's thread, if that still runs."""
        with suppress(trio.RunFinishedError):
            self._host.token.run_sync_soon(function)

    def _deliver(self, batch: list[PipelineEvent], failure: BaseException | None) -> None:
        """Pass on a batch, or the end of the run; called in the engine's thread."""
        if batch:
            self._call_in_loop(self._receive, batch)
        else:
            self._call_in_loop(self._end, failure)

    def _call_in_loop(self, function: Callable[..., object], *args: Any) -> None:
        """Call something in the caller's loop, if that still runs."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *args)

    def _receive(self, batch: list[PipelineEvent]) -> None:
        self._received += len(batch)
        self._events.receive(batch)

    def _end(self, failure: BaseException | None) -> None:
        self._events.close(failure)

    def _thread_has_ended(self) -> None:
        self._has_ended = True
        self._finished.wake()
