"""What moving one adapter run through the engine needs, however many workers do it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Literal, TypeAlias

import attrs

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.errors import EngineBug, SetupError, add_note
from trio_ingest._core.events import AdapterState, PipelineEvent
from trio_ingest._core.run import Run

from .channel import Channel
from .records import RecordAttempts, RecordProcessor
from .runtime import AsyncValue, CheckedScope, Runtime, Scope

Phase: TypeAlias = Literal[
    "fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds", "idle"
]


# After so much time without a pause, whoever works lets others run, and does so between
# a document's start and its parse: so that the consumer hears of the document before a
# slow parse holds the thread. Longer, and a display stutters and a cancellation waits;
# ten times shorter, and the pauses begin to show in the cost of ordinary documents.
SLICE_SECONDS = 0.01


class TaskTimer:
    """Where one task's time goes: what has passed since ``mark`` belongs to ``phase``."""

    __slots__ = ("mark", "phase")

    def __init__(self, now: float) -> None:
        self.mark = now
        self.phase: Phase = "idle"

    def turn(self, run: Run, now: float, phase: Phase) -> Phase:
        """Book the time since the mark and go on in another phase; returns the old one."""
        before, elapsed = self.phase, now - self.mark
        if before == "fetch_seconds":
            run.fetch_seconds += elapsed
        elif before == "parse_seconds":
            run.parse_seconds += elapsed
        elif before == "consumer_seconds":
            run.consumer_seconds += elapsed
        elif before == "throttle_seconds":
            run.throttle_seconds += elapsed
        self.mark, self.phase = now, phase
        return before


@attrs.define(eq=False)
class StreamContext:
    """What all tasks of one stream share."""

    run: Run
    channel: Channel
    runtime: Runtime
    clock: Callable[[], float]
    wall: Callable[[], float]
    grace_seconds: float
    mode: AsyncValue  # "running", "paused" or "draining"
    timers: list[TaskTimer] = attrs.field(factory=list)
    adapter_tasks: list[AdapterTask] = attrs.field(factory=list)
    paused: bool = False
    draining: bool = False
    slice_end: float = 0.0

    def progress(self, *, checkpoint: bool = False) -> PipelineEvent:
        """A progress event, true up to now."""
        now = self.account_time()
        depth = self.channel.depth
        return self.run.progress(now, self.wall(), depth, checkpoint=checkpoint)

    @contextmanager
    def timed(self) -> Iterator[TaskTimer]:
        """A meter for one task, read by everybody while the task lives."""
        timer = TaskTimer(self.clock())
        self.timers.append(timer)
        try:
            yield timer
        finally:
            timer.turn(self.run, self.clock(), "idle")
            self.timers.remove(timer)

    async def wait_for_slot(self, timer: TaskTimer) -> None:
        """Wait for room, and book the wait as the consumer's."""
        before = timer.turn(self.run, self.clock(), "consumer_seconds")
        try:
            await self.channel.wait_for_slot()
        finally:
            timer.turn(self.run, self.clock(), before)

    def account_time(self) -> float:
        """Book every task's time up to now; returns now."""
        now = self.clock()
        for timer in self.timers:
            timer.turn(self.run, now, timer.phase)
        return now


class AdapterTask:
    """One adapter run on its way through the channel; the forms of it add ``move``."""

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
        # What a drain cancels; and inside it one that is never cancelled, so that its
        # deadline tells of scopes that an adapter has left open.
        self.drain_scope: Scope = context.runtime.cancel_scope()
        self.checked_scope: CheckedScope = context.runtime.checked_scope()

    async def move(self, items: AsyncIterator[Any]) -> None:
        """Bring every item to its end, or as far as a drain allows."""
        raise EngineBug(f"{type(self).__name__} does not know how to move {items!r}.")

    def begin_fetching(self) -> None:
        """Note that this task fetches from now on."""
        self.timer.turn(self.context.run, self.context.clock(), "fetch_seconds")

    def stop_fetching(self) -> None:
        """Interrupt the fetch if it is waiting; what is in flight goes on."""
        if self.timer.phase == "fetch_seconds":
            self.drain_scope.cancel()

    # -- waiting ---------------------------------------------------------------

    async def wait_for_slot(self, timer: TaskTimer) -> None:
        """Wait for room, and book the wait as the consumer's."""
        await self.context.wait_for_slot(timer)

    async def yield_to_consumer(self, timer: TaskTimer) -> None:
        """Let the consumer take what there is, if it wants to, before a slow parse."""
        context = self.context
        await self.upkeep(timer)
        if context.channel.queue:
            # The consumer was woken into the same batch as this task, and Trio shuffles
            # a batch: only after another has it certainly had its turn.
            before = timer.turn(context.run, context.clock(), "consumer_seconds")
            await context.runtime.cancellation_point()
            timer.turn(context.run, context.clock(), before)
        now = context.clock()
        if now >= context.slice_end:  # several tasks may come back from here together
            context.slice_end = now + SLICE_SECONDS

    async def upkeep(self, timer: TaskTimer) -> None:
        """Let others run, settle what was acknowledged, and emit progress if due."""
        context, run, channel = self.context, self.context.run, self.context.channel
        before = timer.turn(run, context.clock(), "consumer_seconds")
        await context.runtime.cancellation_point()
        timer.turn(run, context.clock(), before)
        run.settle(channel.acknowledged(run.sequence))
        if run.progress_is_due():
            if len(channel.queue) >= channel.limit:
                await self.wait_for_slot(timer)
            if run.progress_is_due():
                channel.put(context.progress())
            else:  # another task emitted it while this one waited
                channel.release_slot()
        run.schedule_upkeep()

    async def wait_while_paused(self) -> bool:
        """Wait while the stream is paused; returns whether it is draining."""
        context, timer = self.context, self.timer
        while context.paused:
            await self.change_state("paused")
            before = timer.turn(context.run, context.clock(), "throttle_seconds")
            await context.mode.wait_value(lambda mode: mode != "paused")
            timer.turn(context.run, context.clock(), before)
            if not context.draining:
                await self.change_state("running")
        return context.draining

    async def change_state(self, state: AdapterState, reason: str | None = None) -> None:
        """Emit that the adapter is in another state now."""
        await self.wait_for_slot(self.timer)
        context, source = self.context, self.plan.source
        context.channel.put(context.run.state_changed(source, state, context.wall(), reason))

    async def finish_attempts(self, attempts: RecordAttempts, timer: TaskTimer) -> None:
        """Bring a record to its final outcome, announcing each retry."""
        context, processor = self.context, self.processor
        while (delay := await processor.finish_attempt(attempts)) is not None:
            await self.wait_for_slot(timer)
            context.channel.put(processor.retrying(attempts, delay))
            before = timer.turn(context.run, context.clock(), "throttle_seconds")
            await context.runtime.sleep(delay)
            timer.turn(context.run, context.clock(), before)
            processor.try_again(attempts)

    # -- the adapter's iterator ----------------------------------------------------

    async def check_scopes(self, items: AsyncIterator[Any]) -> None:
        """Refuse an adapter that has yielded inside a deadline or a nursery."""
        await refuse_open_scopes(items, self.plan.source, self.checked_scope)


async def first_item(items: AsyncIterator[Any], source: str, runtime: Runtime) -> Any:
    """The first item of a fetch, checked for a scope that it left open.

    Raises:
        StopAsyncIteration: when there is none.
        SetupError: when a scope was left open.
    """
    got_it = False
    scope = runtime.checked_scope()
    try:
        with scope:
            item = await anext(items)
            await refuse_open_scopes(items, source, scope)
            got_it = True
    except RuntimeError as error:
        if got_it:  # so it came of leaving our scope with one still open inside
            raise yields_in_scope(source) from error
        raise
    return item


async def refuse_open_scopes(items: Any, source: str, scope: CheckedScope) -> None:
    """Refuse an adapter that has left a cancel scope or a nursery open inside ``scope``.

    What was left open is closed first: no scope of ours may be opened or closed before that,
    or the stack of scopes would be corrupted.

    Raises:
        SetupError: naming the rule and the remedy.
    """
    if not scope.holds_another():
        return
    close = getattr(items, "aclose", None)
    try:
        if close is not None:
            await close()
    except GeneratorExit:
        pass
    except BaseExceptionGroup as group:  # a nursery wraps the GeneratorExit
        if group.split(GeneratorExit)[1] is not None:
            raise
    raise yields_in_scope(source)


def yields_in_scope(source: str) -> SetupError:
    """What an adapter is refused with that has left something open across a yield."""
    return SetupError(
        f"The adapter {source!r} yields inside a cancel scope or a nursery, which would "
        f"cancel or outlive the wrong code (PEP 789). Close it before each yield, or open it "
        f"outside fetch; on Trio, decorating fetch with trio.as_safe_channel will do as well."
    )


def open_fetch(plan: AdapterPlan, processor: RecordProcessor) -> Any:
    """Call ``fetch`` with the run's params, and with its cursor when it resumes.

    Gives an async iterator, or the block that ``trio.as_safe_channel`` makes of one.

    Raises:
        SetupError: when the result is neither.
    """
    opened, processor.opened = processor.opened, None
    if opened is not None:
        return opened
    adapter_run = processor.adapter_run
    params = deepcopy(adapter_run.parameters)
    if adapter_run.acknowledged.cursor_record is not None:
        params["cursor"] = adapter_run.acknowledged.cursor
    items: Any = plan.fetch(**params)
    if hasattr(items, "__aiter__"):
        return aiter(items)
    if hasattr(items, "__aenter__"):
        return items
    if inspect.iscoroutine(items):
        items.close()  # or Python would warn that it was never awaited
    raise SetupError(
        f"fetch of the adapter {plan.source!r} must give an async iterator; it gave "
        f"a {type(items).__name__}. Write it as `async def fetch` with `yield`."
    )


def open_early(plan: AdapterPlan, processor: RecordProcessor) -> None:
    """Call a ``fetch`` that only a call can check, before the first event.

    Raises:
        SetupError: when it gives something that cannot be iterated.
    """
    if processor.adapter_run.finished or inspect.isasyncgenfunction(plan.fetch):
        return
    try:
        processor.opened = open_fetch(plan, processor)
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001 -- a dead adapter, and raised in its place
        processor.opened = _Dead(error)


class _Dead:
    """An iterator in the place of a ``fetch`` that raised when it was called."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __aiter__(self) -> _Dead:
        return self

    async def __anext__(self) -> Any:
        raise self._error


async def close_within_grace(
    close: Callable[[], Any], runtime: Runtime, seconds: float, what: str
) -> None:
    """Await a cleanup that no outer cancellation can interrupt, for so many seconds."""
    with runtime.grace(seconds) as scope:
        closing = close()
        if inspect.isawaitable(closing):  # a plain aclose has done its work already
            await closing
    if scope.cancelled_caught:
        why = f"took longer to close than cleanup_grace_seconds={seconds:g} allows, and"
        if runtime.cleanup_forced:
            why = "had not closed when a second cancellation came, and so"
        warnings.warn(f"{what} {why} was cut short.", RuntimeWarning, stacklevel=2)


async def close_fetch(
    items: AsyncIterator[Any], plan: AdapterPlan, runtime: Runtime, seconds: float
) -> None:
    """Close what ``fetch`` gave, if it can be closed."""
    close = getattr(items, "aclose", None)
    if close is None:
        return
    try:
        await close_within_grace(close, runtime, seconds, f"fetch of {plan.source!r}")
    except BaseExceptionGroup as group:  # a nursery around the yield wraps the GeneratorExit
        exits, rest = group.split(GeneratorExit)
        if exits is None:
            raise  # the adapter's own
        if rest is None:
            raise yields_in_scope(plan.source) from group
        raise rest from group


async def close_adapter(
    plan: AdapterPlan, first: RecordProcessor, runtime: Runtime, seconds: float
) -> None:
    """Close the adapter itself, and what an early call of its ``fetch`` gave for nothing."""
    if first.opened is not None:
        opened, first.opened = first.opened, None
        await close_fetch(opened, plan, runtime, seconds)
    if plan.aclose is not None:
        try:
            await close_within_grace(
                plan.aclose, runtime, seconds, f"aclose of {plan.source!r}"
            )
        except Exception as error:
            add_note(error, f"In aclose of the adapter {plan.source!r}.")
            raise
