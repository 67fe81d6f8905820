"""A run of a pipeline that advances only by commands from outside of its loop."""

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

from ._trio_internals import reseed_schedule, seeded_schedule
from .deterministic import virtual_defaults

T = TypeVar("T")

_REAL_SECONDS: Final = 30.0


class SteppedRun:
    """One stream and its consumer, in a loop of a thread of its own, with virtual time.

    When a command returns, no task can go on before time passes or another command comes.

    Args:
        pipeline: makes the pipeline to run.
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
        self._error: BaseException | None = None
        self._seed, self._commands = seed, 0
        self._clock = trio.testing.MockClock()
        self._stack = ExitStack()
        self._stack.enter_context(seeded_schedule(seed))
        self._stack.enter_context(virtual_defaults(self._clock))
        self._pipeline, self._options = pipeline, options
        self._has_begun = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="stepped run", daemon=True)
        self._thread.start()
        if not self._has_begun.wait(_REAL_SECONDS):
            self._error = AssertionError("The run did not begin: its first steps hang.")
        if self._error is not None:
            self._stack.close()
            raise self._error

    # -- commands to the consumer ----------------------------------------------------------

    def ask(self) -> None:
        """Ask for the next event, and go on asking until there is one."""
        self._do(lambda: self._requests.send("ask"))

    def give_up(self) -> None:
        """Cancel the asking."""
        self._do_now(lambda: self._asking.cancel())  # noqa: PLW0108 -- found in the loop

    def leave(self) -> None:
        """Leave the block, as by a ``break``."""
        self._do(lambda: self._requests.send("leave"))

    def cancel(self) -> None:
        """Cancel the consumer from outside."""
        self._do_now(self._scope.cancel)

    # -- commands to the stream and its clock ----------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._do_now(lambda: self._clock.jump(seconds))

    def control(self, method: str) -> None:
        """Call ``pause``, ``resume`` or ``drain`` of the stream."""
        self._do_now(getattr(self._stream, method))

    def statistics(self) -> StreamStatistics:
        """Return the statistics of the stream."""
        return self._call(self._stream.statistics)

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of the stream."""
        return self._call(self._stream.checkpoint)

    def stop(self) -> None:
        """End the loop; no command can follow.

        Raises:
            AssertionError: it does not end within 30 real seconds.
        """
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
        except BaseException as error:  # noqa: BLE001, ASYNC103 -- raised by __init__
            self._error = error
            self._has_begun.set()

    async def _main(self) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._stopped = trio.Event()
        self._scope = trio.CancelScope()
        self._asking = trio.CancelScope()
        self._requests, self._received = trio.open_memory_channel[str](1)
        self._stream: EventStream[Any] = self._pipeline().stream_events(**self._options)
        async with trio.open_nursery() as nursery:
            await nursery.start(self._consume)
            # A command that came earlier would have a part in the schedule.
            await trio.testing.wait_all_tasks_blocked()
            self._has_begun.set()
            await self._stopped.wait()
            nursery.cancel_scope.cancel()

    async def _consume(self, *, task_status: trio.TaskStatus[None]) -> None:  # noqa: ASYNC910
        try:
            with self._scope:
                async with self._stream as events:
                    task_status.started()
                    while await self._received.receive() != "leave":
                        await self._take(events)
                        if self.is_over:
                            break
        except Exception as error:  # noqa: BLE001 -- kept for the caller of the commands
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

    def _do(self, command: Callable[[], Awaitable[None]]) -> None:
        self._commands += 1
        seed = hash((self._seed, self._commands))

        async def until_blocked() -> None:
            # The number of steps that lead here from another thread varies, and some of
            # Trio's own tasks may still be busy with that.
            await trio.testing.wait_all_tasks_blocked()
            reseed_schedule(seed)
            await command()
            await trio.testing.wait_all_tasks_blocked()

        trio.from_thread.run(until_blocked, trio_token=self._token)

    def _do_now(self, command: Callable[[], object]) -> None:
        async def once() -> None:
            command()
            await trio.lowlevel.checkpoint()

        self._do(once)

    def _call(self, fn: Callable[[], T]) -> T:
        return trio.from_thread.run_sync(fn, trio_token=self._token)
