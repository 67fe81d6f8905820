"""The far side of the bridge: the Trio engine in a thread of its own.

Everything here runs in that thread. Events go over the border in batches: all that wait
when the near side asks. They count as waiting, and as not acknowledged, until it asks again.
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
    """Trio's primitives, for one run that somebody outside can hurry."""

    advice = (
        'it awaits asyncio, and runtime="trio" runs it on Trio. Leave that argument out: '
        "then the run is on asyncio, in the loop that is running here"
    )

    def __init__(self) -> None:
        self._graces: set[Scope] = set()

    @contextmanager
    def grace(self, seconds: float) -> Iterator[Scope]:
        """Time for cleanup that only a second cancellation of the host can cut short."""
        with trio.move_on_after(0 if self.cleanup_forced else seconds, shield=True) as scope:
            self._graces.add(scope)
            try:
                yield scope
            finally:
                self._graces.remove(scope)

    def is_failure(self, error: BaseException) -> bool:
        """As on Trio; and a cancellation of asyncio's, which cancels nobody here."""
        return isinstance(error, asyncio.CancelledError) or super().is_failure(error)

    def force_cleanup(self) -> None:
        """Cut every cleanup short."""
        self.cleanup_forced = True
        for scope in self._graces:
            scope.cancel()


class ThreadHost:
    """The engine of one run, and who hands its events over.

    Args:
        setup: of the run.
        give: called with each batch; or with none, and the failure that ended the run.
    """

    def __init__(
        self,
        setup: RunSetup,
        give: Callable[[list[PipelineEvent], BaseException | None], None],
    ) -> None:
        self.runtime = ThreadRuntime()
        self.engine = Engine(setup, self.runtime, SharedRun)
        self.token = trio.lowlevel.current_trio_token()
        self._give = give
        self._scope = trio.CancelScope()
        self._asking = self.runtime.waiter()
        self._asked = True  # the first batch need not be asked for

    async def main(self) -> None:
        """Run everything; returns when every task is gone."""
        channel = self.engine.channel
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.engine.work)
                await self._hand_over()
        channel.close(channel.failure)

    def ask(self) -> None:
        """The near side has acknowledged all that it was given, and wants more."""
        self._asked = True
        self._asking.wake()

    def cancel(self) -> None:
        """The near side is leaving."""
        self._scope.cancel()

    async def _hand_over(self) -> None:
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
                self._give([], None)
                return
            except BaseException as failure:  # noqa: BLE001 -- it is raised on the near side
                self._give([], failure)
                return
            self._give(batch, None)
