"""A run of a pipeline that goes on only while it is told to, from outside of its loop."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from typing import Any, Final, TypeVar

import trio
import trio.testing

from trio_ingest import (
    Checkpoint,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    StreamStatistics,
)

from ._trio_internals import seed_again, seeded_schedule
from .deterministic import given_defaults

T = TypeVar("T")

_REAL_SECONDS: Final = 30.0


class LiveRun:
    """One stream and its consumer, in a loop of a thread of its own, with virtual time.

    Whatever it is told, it has done when the call returns: no task can go on by then,
    before time passes or the consumer asks.

    Args:
        pipeline: makes what is run.
        seed: of the schedule.
        options: for ``stream_events``.

    Raises:
        Exception: the run cannot begin.
    """

    def __init__(
        self, pipeline: Callable[[], IngestionPipeline], seed: int, **options: Any
    ) -> None:
        self.events: list[PipelineEvent] = []
        self.acknowledged = 0
        self.is_asking = False
        self.is_over = False
        self.ended_well = False
        self.failure: BaseException | None = None
        self.tasks_left = 0
        self._broken: BaseException | None = None
        self._seed, self._told = seed, 0
        self._clock = trio.testing.MockClock()
        self._stack = ExitStack()
        self._stack.enter_context(seeded_schedule(seed))
        self._stack.enter_context(given_defaults(self._clock))
        self._pipeline, self._options = pipeline, options
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="live run", daemon=True)
        self._thread.start()
        if not self._has_begun.wait(_REAL_SECONDS):
            self._broken = AssertionError("The run did not begin: its first steps hang.")
        if self._broken is not None:
            self._stack.close()
            raise self._broken

    # -- what the consumer does ------------------------------------------------------------

    def ask(self) -> None:
        """Ask for the next event; without one, it goes on asking."""
        self._do(self._ask)

    def give_up(self) -> None:
        """Ask no more."""
        self._do(self._give_up)

    def leave(self) -> None:
        """Leave the block, as by a ``break``."""
        self._do(self._leave)

    # -- what comes from outside -----------------------------------------------------------

    def cancel(self) -> None:
        """Cancel the consumer, wherever it is."""
        self._do(self._cancel)

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._do(lambda: self._wait(seconds))

    def tell(self, what: str) -> None:
        """Call ``pause``, ``resume`` or ``drain`` of the stream."""
        self._do(lambda: self._tell(what))

    def statistics(self) -> StreamStatistics:
        """What the stream says of itself."""
        return self._call(self._stream.statistics)

    def checkpoint(self) -> Checkpoint:
        """What it says has been acknowledged."""
        return self._call(self._stream.checkpoint)

    def stop(self) -> None:
        """End the loop; nothing can be asked afterwards."""
        try:
            self._token.run_sync_soon(self._stopped.set)
            self._thread.join(_REAL_SECONDS)
        finally:
            self._stack.close()
        if self._thread.is_alive():
            raise AssertionError("The run does not end when it is stopped: something hangs.")

    # -- in the loop -----------------------------------------------------------------------

    def _loop(self) -> None:
        try:
            trio.run(self._main, clock=self._clock)
        except BaseException as error:  # noqa: BLE001, ASYNC103 -- told to whoever waits
            self._broken = error
            self._has_begun.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stopped = trio.Event()
        self._scope = trio.CancelScope()
        self._asking = trio.CancelScope()
        self._send, self._requests = trio.open_memory_channel[str](1)
        self._stream: EventStream[Any] = self._pipeline().stream_events(**self._options)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._consume)
            # Whoever calls from outside meanwhile would have a part in the schedule.
            await trio.testing.wait_all_tasks_blocked()
            self._has_begun.set()
            await self._stopped.wait()
            nursery.cancel_scope.cancel()

    async def _consume(self, *, task_status: trio.TaskStatus[None]) -> None:  # noqa: ASYNC910
        try:
            with self._scope:
                async with self._stream as events:
                    task_status.started()
                    while await self._requests.receive() != "leave":
                        await self._take(events)
                        if self.is_over:
                            break
        except Exception as error:  # noqa: BLE001 -- told to whoever looks
            self.failure = error
        self.is_over, self.is_asking = True, False
        nurseries = trio.lowlevel.current_task().child_nurseries
        self.tasks_left = sum(len(nursery.child_tasks) for nursery in nurseries)

    async def _take(self, events: EventStream[Any]) -> None:  # noqa: ASYNC910 -- as the stream
        self.acknowledged, self.is_asking = len(self.events), True
        with trio.CancelScope() as self._asking:  # noqa: ASYNC912 -- the same
            try:
                self.events.append(await anext(events))
            except StopAsyncIteration:
                self.ended_well = self.is_over = True
        self.is_asking = False

    async def _ask(self) -> None:
        await self._send.send("ask")

    async def _leave(self) -> None:
        await self._send.send("leave")

    async def _give_up(self) -> None:
        self._asking.cancel()
        await trio.lowlevel.checkpoint()

    async def _cancel(self) -> None:
        self._scope.cancel()
        await trio.lowlevel.checkpoint()

    async def _wait(self, seconds: float) -> None:
        self._clock.jump(seconds)
        await trio.lowlevel.checkpoint()

    async def _tell(self, what: str) -> None:
        getattr(self._stream, what)()
        await trio.lowlevel.checkpoint()

    def _do(self, fn: Callable[[], Awaitable[None]]) -> None:
        self._told += 1
        seed = hash((self._seed, self._told))

        async def settled() -> None:
            # How many steps it took to come here from another thread, and which of Trio's
            # own tasks are still busy with that, nobody can tell.
            await trio.testing.wait_all_tasks_blocked()
            seed_again(seed)
            await fn()
            await trio.testing.wait_all_tasks_blocked()

        trio.from_thread.run(settled, trio_token=self._token)

    def _call(self, fn: Callable[[], T]) -> T:
        return trio.from_thread.run_sync(fn, trio_token=self._token)
