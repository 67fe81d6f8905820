"""The Trio engine of one run, in a thread of its own.

Everything here runs in that thread. Events leave it in batches: all that wait when
``ThreadEngine`` asks for more. They take up the buffer, and count as not acknowledged, until
it asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import trio

from trio_ingest import PipelineEvent
from trio_ingest._engine.engine import Engine
from trio_ingest._engine.runtime import Scope, TrioRuntime
from trio_ingest._engine.setup import RunSetup

from ._shared_run import SharedRun


class ThreadRuntime(TrioRuntime):
    """Trio's primitives, for one run whose cleanup can be cut short from another thread."""

    advice = (
        'it awaits asyncio, and runtime="trio" runs it on Trio. Leave that argument out: '
        "then the run is on asyncio, in the loop that is running here"
    )

    def __init__(self) -> None:
        self._graces: set[Scope] = set()

    @contextmanager
    def grace(self, seconds: float) -> Iterator[Scope]:
        """Shield a cleanup, which only a second cancellation of the host can cut short."""
        with trio.move_on_after(0 if self.cleanup_forced else seconds, shield=True) as scope:
            self._graces.add(scope)
            try:
                yield scope
            finally:
                self._graces.remove(scope)

    def is_failure(self, error: BaseException) -> bool:
        """Count a ``CancelledError`` of asyncio's as a failure: here it cancels nothing."""
        return isinstance(error, asyncio.CancelledError) or super().is_failure(error)

    def force_cleanup(self) -> None:
        """Cut every cleanup short."""
        self.cleanup_forced = True
        for scope in self._graces:
            scope.cancel()


class ThreadHost:
    """The engine of one run, and the task that passes its events on.

    Args:
        setup: of the run.
        deliver: called with each batch; at the end with an empty one, and the failure or None.
    """

    def __init__(
        self,
        setup: RunSetup,
        deliver: Callable[[list[PipelineEvent], BaseException | None], None],
    ) -> None:
        self.runtime = ThreadRuntime()
        self.engine = Engine(setup, self.runtime, SharedRun)
        self.token = trio.lowlevel.current_trio_token()
        self._deliver = deliver
        self._scope = trio.CancelScope()
        self._asking = self.runtime.waiter()
        self._asked = True  # the first batch need not be asked for

    async def main(self) -> None:
        """Run everything; return when every task is gone."""
        channel = self.engine.channel
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.engine.work)
                await self._deliver_batches()
        channel.close(channel.failure)

    def ask(self) -> None:
        """Acknowledge everything that was delivered, and ask for more."""
        self._asked = True
        self._asking.wake()

    def cancel(self) -> None:
        """Cancel the run."""
        self._scope.cancel()

    async def _deliver_batches(self) -> None:
        channel = self.engine.channel
        while True:
            while not self._asked:
                await self._asking.wait()
            self._asked = False
            channel.acknowledge_batch()
            try:
                batch = await channel.take_batch()
            except trio.Cancelled:
                raise
            except StopAsyncIteration:
                self._deliver([], None)
                return
            except BaseException as failure:  # noqa: BLE001 -- the consumer gets it
                self._deliver([], failure)
                return
            self._deliver(batch, None)
