"""The tasks of one stream: one for each adapter, its workers, and the progress by time.

The engine moves; ``_core.run`` decides. No exception of an adapter leaves a task: it is
kept, and raised to the consumer after the last event. So the only cancellation in here is
the one from outside, and nothing in here cancels the consumer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.errors import (
    EngineBug,
    StreamClosedError,
    add_note,
    described,
    with_closing_error,
)
from trio_ingest._core.options import Policy, RunOptions
from trio_ingest._core.run import Run

from .adapter_task import AdapterTask
from .channel import Channel
from .closing import close_adapter, close_fetch
from .context import StreamContext, TaskTimer
from .fetching import open_early, open_fetch, yields_in_scope
from .progress_timer import emit_progress
from .records import RecordProcessor, error_to_report, stray_cancellation
from .runtime import Nursery, Runtime, ScopeLeftOpen, ki_protected
from .sequential import SequentialTask
from .setup import RunSetup, estimate_totals, failure_note, failure_of
from .worker_pool import WorkerPool

_CANCELLED = (
    "The stream was cancelled before its end, so no further event will come. Leave the block."
)

# A Ctrl-C between a fact's number and the event's place in the channel would leave a gap,
# or a checkpoint that claims an event which the consumer never receives.
for _fact in (
    Run.started,
    Run.completed,
    Run.failed,
    Run.skipped,
    Run.retrying,
    Run.already_done,
    Run.custom_event,
    Run.state_changed,
    Run.progress,
    RecordProcessor.start,
    RecordProcessor.end,
    RecordProcessor.retrying,
    StreamContext.progress,
):
    ki_protected(_fact)


class AnyEngine(Protocol):
    """The part of an engine that a stream uses; the engine may run in another thread."""

    run: Run
    channel: Channel
    cleanup_errors: list[Exception]

    async def work(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def drain(self) -> None: ...
    def checkpoint(self) -> Checkpoint: ...
    def account_time(self) -> None: ...
    @property
    def queue_depth(self) -> int: ...
    def without_cancelled(self, error: BaseException) -> BaseException | None: ...


class Engine:
    """The engine of one entered stream.

    Memory: the channel's events, and for each adapter the records in flight.
    """

    def __init__(
        self, setup: RunSetup, runtime: Runtime, new_run: Callable[..., Run] = Run
    ) -> None:
        self._setup = setup
        self._runtime = runtime
        self._policy: Policy = setup.policy
        options: RunOptions = setup.options
        clock = runtime.clock()
        self.run: Run = setup.begin(clock(), new_run)
        self.channel = Channel(options.buffer_size, runtime)
        self.context = StreamContext(
            run=self.run,
            channel=self.channel,
            runtime=runtime,
            clock=clock,
            wall=self._policy.clock,
            grace_seconds=self._policy.cleanup_grace_seconds,
            mode=runtime.value("running"),
        )
        self._processors = [
            setup.processors(self.run, index, runtime) for index in range(len(setup.plans))
        ]
        for plan, processors in zip(setup.plans, self._processors, strict=True):
            open_early(plan, processors[0])
        self._adapter_tasks: list[AdapterTask] = []
        self._failures: dict[int, Exception] = {}
        self._fatal: BaseException | None = None
        self._nursery: Nursery | None = None
        self.cleanup_errors: list[Exception] = []

    # -- the controls of a stream ----------------------------------------------------

    def pause(self) -> None:
        """Fetch nothing more until ``resume``."""
        if not self.context.draining:
            self.context.paused = True
            self.context.mode.value = "paused"

    def resume(self) -> None:
        """Go on after ``pause``."""
        if self.context.paused:
            self.context.paused = False
            self.context.mode.value = "running"

    def drain(self) -> None:
        """Stop fetching, finish the records in flight, end normally."""
        self.context.paused, self.context.draining = False, True
        self.context.mode.value = "draining"
        for task in self._adapter_tasks:
            task.stop_fetching()

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of exactly what the consumer has acknowledged, now."""
        return self.run.checkpoint(self.channel.acknowledged(self.run.sequence))

    def account_time(self) -> None:
        """Account for every task's time up to now."""
        self.context.account_time()

    @property
    def queue_depth(self) -> int:
        """The number of events that wait for the consumer."""
        return self.channel.depth

    # -- the tasks ---------------------------------------------------------------------

    async def work(self) -> None:
        """Run all adapters, and close the channel at the end, whatever the end is."""
        try:
            await self._all_adapters()
        except BaseException as error:  # noqa: ASYNC103 -- a cancellation is re-raised
            rest = self.without_cancelled(error)
            if rest is None:
                # Only a consumer that shields itself from the cancellation sees this.
                self.channel.close(self._fatal or StreamClosedError(_CANCELLED))
                raise
            self._fatal = self._fatal or rest
        failures = [self._failures[index] for index in sorted(self._failures)]
        self.channel.close(self._fatal or failure_of(failures))

    async def _all_adapters(self) -> None:
        runtime, setup = self._runtime, self._setup
        grace = self.context.grace_seconds
        async with runtime.open_nursery(grace) as helpers:
            helpers.start_soon(self._in_band, emit_progress, self.context)
            helpers.start_soon(self._in_band, self._estimate)
            async with runtime.open_nursery(grace) as adapters:
                self._nursery = adapters
                for index, plan in enumerate(setup.plans):
                    processors = self._processors[index]
                    adapters.start_soon(self._in_band, self._adapter, index, plan, processors)
            helpers.cancel_scope.cancel()
        if self._fatal is None:
            with self.context.timed() as timer:
                await self.context.wait_for_slot(timer)
            self.channel.put(self.context.progress(checkpoint=True))
        else:
            await self._report_cancelled()

    async def _report_cancelled(self) -> None:
        """Emit which adapters a fatal error has cut short."""
        context = self.context
        for plan in self._setup.plans:
            if self.run.state_of(plan.source) not in ("finished", "failed"):
                await self.channel.wait_for_slot()
                reason = f"{type(self._fatal).__name__} elsewhere in the run"
                context.channel.put(
                    self.run.state_changed(plan.source, "cancelled", context.wall(), reason)
                )

    async def _estimate(self) -> None:
        self.run.estimated_total = await estimate_totals(self._setup, self.run, self._runtime)

    async def _in_band(self, task: Callable[..., Awaitable[None]], *args: Any) -> None:
        """Run a task; an error of it ends the stream in band, a cancellation leaves it."""
        try:
            await task(*args)
        except BaseException as error:  # noqa: ASYNC103 -- a cancellation is re-raised
            rest = self.without_cancelled(error)
            if rest is None and self._runtime.is_cancelled():
                raise
            rest = rest or stray_cancellation(error, "a task of this run")
            if isinstance(rest, Exception):
                self._keep_if_cancelled(rest)
            elif self._runtime.is_cancelled():
                self._runtime.force_cleanup()  # a second Ctrl-C was raised in this task
            self._fatal = self._fatal or rest
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()

    async def _adapter(
        self, index: int, plan: AdapterPlan, processors: Sequence[RecordProcessor]
    ) -> None:
        context = self.context
        with context.timed() as timer:
            tasks = [self._adapter_task(plan, processor, timer) for processor in processors]
            first, failure = tasks[0], None
            try:
                await self._adapter_runs(plan, tasks)
            except EngineBug:
                raise
            except Exception as error:
                self._failures[index] = failure = error
                self._keep_if_cancelled(error)
            if failure is not None:
                await first.change_state("failed", described(failure))
            else:
                state = self.run.state_of(plan.source)
                is_done = all(task.adapter_run.finished for task in tasks)
                drained = context.draining and not is_done
                # A pause that a drain has ended leaves the adapter paused.
                if state == "paused" or (drained and state != "draining"):
                    await first.change_state("draining")
                await first.change_state("finished", "drained" if drained else None)

    async def _adapter_runs(self, plan: AdapterPlan, tasks: Sequence[AdapterTask]) -> None:
        """Make one run after another, and then close the adapter, however they end."""
        context, first = self.context, tasks[0]
        error: Exception | None = None
        try:
            await first.change_state("running")
            for task in tasks:
                if (context.paused or context.draining) and await task.wait_while_paused():
                    break
                if not task.adapter_run.finished:
                    await self._adapter_run(plan, task)
        except Exception as failure:
            error = failure
        finally:
            before = first.timer.switch(self.run, context.clock(), "fetch_seconds")
            closing = await self._closing_error(  # noqa: ASYNC102 -- it shields
                plan.source,
                close_adapter(plan, first.processor, self._runtime, context.grace_seconds),
            )
            first.timer.switch(self.run, context.clock(), before)
        error = with_closing_error(error, closing)
        if error is not None:
            raise error

    def _adapter_task(
        self, plan: AdapterPlan, processor: RecordProcessor, timer: TaskTimer
    ) -> AdapterTask:
        workers, ordered = self._policy.workers, self._policy.ordered
        if workers == 1:
            return SequentialTask(self.context, plan, processor, timer)
        return WorkerPool(
            self.context, plan, processor, timer, workers=workers, ordered=ordered
        )

    async def _adapter_run(self, plan: AdapterPlan, task: AdapterTask) -> None:
        self._adapter_tasks.append(task)
        assert self._nursery is not None
        try:
            task.start(self._nursery, self._in_band)
            await self._fetch_all(plan, task)
        except Exception as error:
            add_note(error, failure_note(task.adapter_run))
            raise
        finally:
            self._adapter_tasks.remove(task)
            task.dismiss()

    async def _fetch_all(self, plan: AdapterPlan, task: AdapterTask) -> None:
        context = self.context
        exhausted = False
        error: Exception | None = None
        items = open_fetch(plan, task.processor)
        try:
            with task.drain_scope as scope:
                task.timer.switch(self.run, context.clock(), "fetch_seconds")
                if hasattr(items, "__anext__"):
                    await self._move(task, items)
                else:
                    async with items as records:
                        await self._move(task, aiter(records))
            exhausted = not scope.cancelled_caught and not context.draining
        except BaseException as failure:  # noqa: ASYNC103 -- re-raised unless it is a failure
            if not self._runtime.is_failure(failure):
                raise
            error = error_to_report(failure, plan.source, self._runtime)
            # It may have failed with a slot that it had waited for.
            context.channel.release_slot()
        finally:
            task.timer.switch(self.run, context.clock(), "fetch_seconds")
            closing = await self._closing_error(  # noqa: ASYNC102 -- it shields
                plan.source, close_fetch(items, plan, self._runtime, context.grace_seconds)
            )
            task.timer.switch(self.run, context.clock(), "idle")
        if context.draining:
            await task.change_state("draining")
        # Also after a failed fetch: records in flight are not to blame.
        await task.finish()
        error = with_closing_error(error, closing)
        if error is not None:
            raise error
        if exhausted:
            task.adapter_run.check_end()
            self.run.exhausted(task.adapter_run)

    async def _move(self, task: AdapterTask, records: AsyncIterator[Any]) -> None:
        try:
            with task.checked_scope:
                await task.move(records)
        except ScopeLeftOpen as error:
            raise yields_in_scope(task.plan.source) from error

    async def _closing_error(self, source: str, closing: Awaitable[None]) -> Exception | None:
        """Await a closing, and return its error: it must hide no cancellation or failure."""
        try:
            await closing
        except BaseException as error:  # noqa: ASYNC103 -- re-raised unless it is a failure
            if not self._runtime.is_failure(error):
                raise
            reported = error_to_report(error, source, self._runtime)
            self._keep_if_cancelled(reported)
            return reported  # noqa: ASYNC104 -- the same
        return None

    # -- the end -----------------------------------------------------------------------

    def _keep_if_cancelled(self, error: Exception) -> None:
        """Keep a failure that comes of a cancellation, since no event will report it."""
        if type(error) is RuntimeError and isinstance(
            error.__cause__, self._runtime.cancelled
        ):
            return  # this task was cancelled together with the host
        if self._runtime.is_cancelled() and error not in self.cleanup_errors:
            self.cleanup_errors.append(error)

    def without_cancelled(self, error: BaseException) -> BaseException | None:
        """Return an exception without the cancellations in it, unwrapped when it is one."""
        if isinstance(error, BaseExceptionGroup):
            rest = error.split(self._runtime.cancelled)[1]
            while isinstance(rest, BaseExceptionGroup) and len(rest.exceptions) == 1:
                rest = rest.exceptions[0]
            return rest
        return None if isinstance(error, self._runtime.cancelled) else error
