"""One adapter run on its way through the engine, however many workers move it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.errors import EngineBug
from trio_ingest._core.events import AdapterState

from .context import SLICE_SECONDS, StreamContext, TaskTimer
from .fetching import refuse_open_scopes
from .records import RecordAttempts, RecordProcessor
from .runtime import CheckedScope, Nursery, Scope

Guard: TypeAlias = Callable[..., Awaitable[None]]
"""A function that runs the async function given first, and keeps the error it raises."""


class AdapterTask:
    """One adapter run on its way into the channel; subclasses add ``move``.

    The engine calls ``start``, ``move``, ``finish`` and, however that ends, ``dismiss``.
    """

    def __init__(
        self,
        context: StreamContext,
        plan: AdapterPlan,
        processor: RecordProcessor,
        timer: TaskTimer,
    ) -> None:
        self.context = context
        self.plan = plan
        self.processor = processor
        self.timer = timer
        self.adapter_run = processor.adapter_run
        # The outer scope is what a drain cancels. The inner one is never cancelled, so that
        # its deadline shows scopes that an adapter has left open.
        self.drain_scope: Scope = context.runtime.cancel_scope()
        self.checked_scope: CheckedScope = context.runtime.checked_scope()

    def start(self, nursery: Nursery, guard: Guard) -> None:
        """Start the tasks that parse, each inside ``guard``, if there are any."""

    async def move(self, items: AsyncIterator[Any]) -> None:
        """Bring every item to its end, or as far as a drain allows."""
        raise EngineBug(f"{type(self).__name__} does not know how to move {items!r}.")

    async def finish(self) -> None:
        """Wait until everything that was fetched has been emitted, and ``dismiss``."""

    def dismiss(self) -> None:
        """Let each task that parses end when it is idle; twice is as good as once."""

    def begin_fetching(self) -> None:
        """Note that this task fetches from now on."""
        self.timer.switch(self.context.run, self.context.clock(), "fetch_seconds")

    def stop_fetching(self) -> None:
        """Interrupt the fetch if it is waiting; records in flight go on."""
        if self.timer.phase == "fetch_seconds":
            self.drain_scope.cancel()

    # -- waiting ---------------------------------------------------------------

    async def yield_to_consumer(self, timer: TaskTimer) -> None:
        """Let the consumer take the events that wait before a slow parse."""
        context = self.context
        await self.upkeep(timer)
        if context.channel.queue:
            # The consumer was woken into the same batch as this task, and Trio shuffles
            # a batch: only after another has it certainly had its turn.
            before = timer.switch(context.run, context.clock(), "consumer_seconds")
            await context.runtime.cancellation_point()
            timer.switch(context.run, context.clock(), before)
        now = context.clock()
        if now >= context.slice_end:  # several tasks may come back from here together
            context.slice_end = now + SLICE_SECONDS

    async def upkeep(self, timer: TaskTimer) -> None:
        """Let others run, note what was acknowledged, and emit progress if it is due."""
        context, run, channel = self.context, self.context.run, self.context.channel
        before = timer.switch(run, context.clock(), "consumer_seconds")
        await context.runtime.cancellation_point()
        timer.switch(run, context.clock(), before)
        run.acknowledge(channel.acknowledged(run.sequence))
        if run.progress_is_due():
            if len(channel.queue) >= channel.limit:
                await context.wait_for_slot(timer)
            if run.progress_is_due():
                channel.put(context.progress())
            else:  # another task emitted it while this one waited
                channel.release_slot()
        run.schedule_upkeep()

    async def wait_while_paused(self) -> bool:
        """Wait while the stream is paused; return whether it is draining."""
        context, timer = self.context, self.timer
        while context.paused:
            await self.change_state("paused")
            before = timer.switch(context.run, context.clock(), "throttle_seconds")
            await context.mode.wait_value(lambda mode: mode != "paused")
            timer.switch(context.run, context.clock(), before)
            if not context.draining:
                await self.change_state("running")
        return context.draining

    async def change_state(self, state: AdapterState, reason: str | None = None) -> None:
        """Emit that the adapter is in another state now."""
        context, source = self.context, self.plan.source
        await context.wait_for_slot(self.timer)
        context.channel.put(context.run.state_changed(source, state, context.wall(), reason))

    async def finish_attempts(self, attempts: RecordAttempts, timer: TaskTimer) -> None:
        """Bring a record to its final outcome, announcing each retry."""
        context, processor = self.context, self.processor
        while (delay := await processor.finish_attempt(attempts)) is not None:
            await context.wait_for_slot(timer)
            context.channel.put(processor.retrying(attempts, delay))
            before = timer.switch(context.run, context.clock(), "throttle_seconds")
            await context.runtime.sleep(delay)
            timer.switch(context.run, context.clock(), before)
            processor.try_again(attempts)

    # -- the adapter's iterator ----------------------------------------------------

    async def check_scopes(self, items: AsyncIterator[Any]) -> None:
        """Refuse an adapter that has yielded inside a deadline or a nursery."""
        await refuse_open_scopes(items, self.plan.source, self.checked_scope)
