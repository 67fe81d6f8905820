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
from .records import Tries, Work
from .runtime import CheckedScope, Runtime, Scope, Value

Phase: TypeAlias = Literal[
    "fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds", "idle"
]


# After so much time without a pause, whoever works lets others run, and does so between
# a document's start and its parse: so that the consumer hears of the document before a
# slow parse holds the thread. Longer, and a display stutters and a cancellation waits;
# ten times shorter, and the pauses begin to show in the cost of ordinary documents.
SLICE_SECONDS = 0.01


class Meter:
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
class Desk:
    """What all tasks of one stream share."""

    run: Run
    channel: Channel
    runtime: Runtime
    clock: Callable[[], float]
    wall: Callable[[], float]
    grace_seconds: float
    mode: Value  # "running", "paused" or "draining"
    meters: list[Meter] = attrs.field(factory=list)
    lanes: list[Lane] = attrs.field(factory=list)
    paused: bool = False
    draining: bool = False
    slice_end: float = 0.0

    def progress(self, *, checkpoint: bool = False) -> PipelineEvent:
        """A progress event, true up to now."""
        now = self.book_time()
        depth = self.channel.depth
        return self.run.progress(now, self.wall(), depth, checkpoint=checkpoint)

    @contextmanager
    def metered(self) -> Iterator[Meter]:
        """A meter for one task, read by everybody while the task lives."""
        meter = Meter(self.clock())
        self.meters.append(meter)
        try:
            yield meter
        finally:
            meter.turn(self.run, self.clock(), "idle")
            self.meters.remove(meter)

    async def room(self, meter: Meter) -> None:
        """Wait for room, and book the wait as the consumer's."""
        before = meter.turn(self.run, self.clock(), "consumer_seconds")
        try:
            await self.channel.room()
        finally:
            meter.turn(self.run, self.clock(), before)

    def book_time(self) -> float:
        """Book every task's time up to now; returns now."""
        now = self.clock()
        for meter in self.meters:
            meter.turn(self.run, now, meter.phase)
        return now


class Lane:
    """One adapter run on its way through the channel; the forms of it add ``move``."""

    def __init__(self, desk: Desk, plan: AdapterPlan, work: Work, meter: Meter) -> None:
        self.desk = desk
        self.plan = plan
        self.work = work
        self.meter = meter
        self.adapter_run = work.adapter_run
        # What a drain cancels; and inside it one that is never cancelled, so that its
        # deadline tells of scopes that an adapter has left open.
        self.drain_scope: Scope = desk.runtime.cancel_scope()
        self.checked_scope: CheckedScope = desk.runtime.checked_scope()

    async def move(self, items: AsyncIterator[Any]) -> None:
        """Bring every item to its end, or as far as a drain allows."""
        raise EngineBug(f"{type(self).__name__} does not know how to move {items!r}.")

    def begin_fetching(self) -> None:
        """Note that this task fetches from now on."""
        self.meter.turn(self.desk.run, self.desk.clock(), "fetch_seconds")

    def stop_fetching(self) -> None:
        """Interrupt the fetch if it is waiting; what is in flight goes on."""
        if self.meter.phase == "fetch_seconds":
            self.drain_scope.cancel()

    # -- waiting ---------------------------------------------------------------

    async def room(self, meter: Meter) -> None:
        """Wait for room, and book the wait as the consumer's."""
        await self.desk.room(meter)

    async def give_way(self, meter: Meter) -> None:
        """Let the consumer take what there is, if it wants to, before a slow parse."""
        desk = self.desk
        await self.upkeep(meter)
        if desk.channel.queue:
            # The consumer was woken into the same batch as this task, and Trio shuffles
            # a batch: only after another has it certainly had its turn.
            before = meter.turn(desk.run, desk.clock(), "consumer_seconds")
            await desk.runtime.cancellation_point()
            meter.turn(desk.run, desk.clock(), before)
        now = desk.clock()
        if now >= desk.slice_end:  # several tasks may come back from here together
            desk.slice_end = now + SLICE_SECONDS

    async def upkeep(self, meter: Meter) -> None:
        """Let others run, settle what was acknowledged, and emit progress if due."""
        desk, run, channel = self.desk, self.desk.run, self.desk.channel
        before = meter.turn(run, desk.clock(), "consumer_seconds")
        await desk.runtime.cancellation_point()
        meter.turn(run, desk.clock(), before)
        run.settle(channel.acknowledged(run.sequence))
        if run.progress_is_due():
            if len(channel.queue) >= channel.limit:
                await self.room(meter)
            if run.progress_is_due():
                channel.put(desk.progress())
            else:  # another task emitted it while this one waited
                channel.forgo()
        run.begin_quiet()

    async def obey(self) -> bool:
        """Wait while the stream is paused; returns whether it is draining."""
        desk, meter = self.desk, self.meter
        while desk.paused:
            await self.change_state("paused")
            before = meter.turn(desk.run, desk.clock(), "throttle_seconds")
            await desk.mode.wait_value(lambda mode: mode != "paused")
            meter.turn(desk.run, desk.clock(), before)
            if not desk.draining:
                await self.change_state("running")
        return desk.draining

    async def change_state(self, state: AdapterState, reason: str | None = None) -> None:
        """Emit that the adapter is in another state now."""
        await self.room(self.meter)
        desk, source = self.desk, self.plan.source
        desk.channel.put(desk.run.state_changed(source, state, desk.wall(), reason))

    async def finish_tries(self, tries: Tries, meter: Meter) -> None:
        """Bring a record to its final outcome, announcing each retry."""
        desk, work = self.desk, self.work
        while (delay := await work.finish_attempt(tries)) is not None:
            await self.room(meter)
            desk.channel.put(work.retrying(tries, delay))
            before = meter.turn(desk.run, desk.clock(), "throttle_seconds")
            await desk.runtime.sleep(delay)
            meter.turn(desk.run, desk.clock(), before)
            work.try_again(tries)

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


def open_fetch(plan: AdapterPlan, work: Work) -> Any:
    """Call ``fetch`` with the run's params, and with its cursor when it resumes.

    Gives an async iterator, or the block that ``trio.as_safe_channel`` makes of one.

    Raises:
        SetupError: when the result is neither.
    """
    opened, work.opened = work.opened, None
    if opened is not None:
        return opened
    adapter_run = work.adapter_run
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


def open_early(plan: AdapterPlan, work: Work) -> None:
    """Call a ``fetch`` that only a call can check, before the first event.

    Raises:
        SetupError: when it gives something that cannot be iterated.
    """
    if work.adapter_run.finished or inspect.isasyncgenfunction(plan.fetch):
        return
    try:
        work.opened = open_fetch(plan, work)
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001 -- a dead adapter, and raised in its place
        work.opened = _Dead(error)


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
        if runtime.hurried:
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
    plan: AdapterPlan, first: Work, runtime: Runtime, seconds: float
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
