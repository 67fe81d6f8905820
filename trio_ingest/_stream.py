"""One run, being consumed: the two forms of a stream behind one class."""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import attrs

from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.errors import SetupError, StreamClosedError, add_note, described
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.options import Shaping
from trio_ingest._core.run import Run
from trio_ingest._engine.channel import busy
from trio_ingest._engine.engine import AnyEngine, Engine
from trio_ingest._engine.inline import InlineEngine
from trio_ingest._engine.runtime import Runtime, ki_protected
from trio_ingest._engine.setup import RunSetup, failure_of

Shown_co = TypeVar("Shown_co", covariant=True)


@attrs.frozen(kw_only=True)
class StreamStatistics:
    """A stream at one moment.

    Args:
        queue_depth: events waiting for the consumer.
        buffer_size: how many may wait.
        in_flight: documents started and not ended.
        completed: documents completed.
        failed: documents failed.
        skipped: records that were done already.
        retried: retries announced.
        fetch_seconds: time spent in ``fetch``, summed over tasks like the next three.
        parse_seconds: time spent in ``parse``.
        consumer_seconds: time spent waiting for the consumer.
        throttle_seconds: time spent held back on purpose.
    """

    queue_depth: int
    buffer_size: int
    in_flight: int
    completed: int
    failed: int
    skipped: int
    retried: int
    fetch_seconds: float
    parse_seconds: float
    consumer_seconds: float
    throttle_seconds: float


class EventStream(Generic[Shown_co]):
    """One run of a pipeline, as a stream of events; made by ``stream_events``.

    ``async with pipeline.stream_events() as events: async for event in events`` is the
    primary form: adapters run in tasks of their own, and when the block has been left, by
    any road, every task is gone and every adapter is closed.
    ``async for event in pipeline.stream_events()`` is the bare form: everything happens in
    the caller's task, one record at a time, with no buffer.

    Asking for the next event acknowledges the one before. A stream is one run: it cannot
    be entered or iterated again.

    Memory: ``buffer_size`` events and twice ``workers`` records; in the bare form one
    record and its events.
    """

    def __init__(
        self,
        setup: RunSetup,
        runtime: Runtime,
        shaping: Shaping | None,
        new_engine: Callable[[RunSetup, Runtime], AnyEngine] = Engine,
    ) -> None:
        self._setup = setup
        self._runtime = runtime
        self._shaping = shaping
        self._new_engine = new_engine
        self._engine: AnyEngine | None = None
        self._inline: InlineEngine | None = None
        self._inline_events: Any = None
        self._bare: AsyncGenerator[Any, None] | None = None
        self._nursery_manager: Any = None
        self._closed = False
        # Only the channel's is ever kept here: a method of this object would make a cycle
        # of it, and an abandoned bare stream would be closed late.
        self._get: Callable[[], Awaitable[Any]] | None = None

    @property
    def resumed_from(self) -> Checkpoint | None:
        """The checkpoint that was passed as ``resume_from``."""
        return self._setup.options.resume_from

    @property
    def was_begun(self) -> bool:
        """Whether it has been entered, iterated or closed."""
        return self._engine is not None or self._inline is not None or self._closed

    @property
    def was_iterated(self) -> bool:
        """Whether an event has been taken from it."""
        if self._engine is not None:
            return self._engine.run.sequence > self._engine.queue_depth
        return self._inline is not None and self._inline.run.sequence > 0

    @property
    def shows_everything(self) -> bool:
        """Whether neither a filter nor a transformer shapes what is seen."""
        return self._shaping is None

    # -- the async with form -------------------------------------------------------

    @ki_protected
    async def __aenter__(self) -> Self:
        self._enter_host()
        if self.was_begun:
            raise StreamClosedError(
                "This stream was entered or iterated before, and a stream is one run. "
                "Call stream_events again for another."
            )
        engine = self._new_engine(self._setup, self._runtime)
        manager = self._runtime.open_nursery(self._setup.policy.cleanup_grace_seconds)
        nursery = await manager.__aenter__()
        self._engine, self._nursery_manager, self._nursery = engine, manager, nursery
        if self._shaping is None:
            self._get = engine.channel.get
        nursery.start_soon(engine.work)
        return self

    @ki_protected
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        engine = self._engine
        if engine is None or self._closed:
            raise StreamClosedError("This stream is not open, so it cannot be closed.")
        self._closed = True
        self._get = None
        self._nursery.cancel_scope.cancel()
        cancelled: BaseException | None = None
        try:
            await self._runtime.leave(self._nursery_manager, exc)  # noqa: ASYNC102 -- cancelled
        except BaseException as error:  # noqa: ASYNC103, BLE001 -- raised below if it must be
            cancelled = error
        # Only now: a producer that is still being cancelled must find the channel whole.
        engine.channel.close(engine.channel.failure)
        self._raise_what_nobody_saw(engine, exc, cancelled)

    def _raise_what_nobody_saw(
        self, engine: AnyEngine, exc: BaseException | None, cancelled: BaseException | None
    ) -> None:
        """Raise what comes before the body's own exception; that one leaves by itself."""
        fatal = engine.channel.failure
        if cancelled is not None and engine.without_cancelled(cancelled) is not None:
            fatal = engine.without_cancelled(cancelled)
        if fatal is not None and not isinstance(fatal, Exception) and exc is not fatal:
            raise fatal  # Ctrl-C must not be lost because the consumer had stopped asking
        failed = None if exc is None else engine.without_cancelled(exc)
        unseen = failure_of(engine.cleanup_errors)
        asked_once = self._runtime.cancels_once and (cancelled or (exc and failed is None))
        if unseen is not None and asked_once:
            # Raising it would take the place of a cancellation that nobody repeats.
            warnings.warn(
                f"An adapter failed while the run was being cancelled: {described(unseen)}",
                RuntimeWarning,
                stacklevel=3,
            )
        elif unseen is not None and failed is None:
            raise unseen
        elif unseen is not None and failed is not None:
            add_note(failed, f"Besides, closing an adapter failed: {described(unseen)}")
        if cancelled is not None and (exc is None or self._runtime.cancels_once):
            raise cancelled

    async def aclose(self) -> None:
        """Close a stream that is iterated in the bare form; for ``contextlib.aclosing``.

        Does nothing to a stream that was never iterated or has ended.

        Raises:
            SetupError: inside the stream's own block, which closes it on the way out.
        """
        if self._engine is not None:
            raise SetupError("Leave the `async with` block of this stream: that closes it.")
        self._closed = True
        if self._bare is not None:
            await self._bare.aclose()

    # -- iteration ---------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Shown_co]:
        if self._engine is not None and self._engine.channel.end_was_seen:
            raise StreamClosedError(_AT_ITS_END)
        if self._engine is not None or self._closed:
            return self
        if self._inline is not None and self._bare_is_over:
            over = _AT_ITS_END if self._inline.ended_well else _CUT_SHORT
            raise self._inline.failure or StreamClosedError(over)
        return self._bare_events()

    def __anext__(self) -> Awaitable[Shown_co]:
        """The next event. If cancelled, nothing is lost.

        Raises:
            StopAsyncIteration: at the end of the stream.
            StreamBusyError: when another task is waiting for the next event.
            StreamClosedError: when the block has been left.
            Exception: a dead adapter's failure, after the last event; of several, an
                ``ExceptionGroup`` in adapter order.
        """
        return self._get_otherwise() if self._get is None else self._get()

    async def _get_otherwise(self) -> Any:
        engine, shaping = self._engine, self._shaping
        if self._closed:
            raise StreamClosedError(
                "This stream has been left, so it has no more events. Iterate inside the "
                "`async with`, or call stream_events again."
            )
        if engine is None:
            return await self._get_bare()
        while True:
            event = await engine.channel.get()
            try:
                if shaping is None or shaping.passes(event):
                    return event if shaping is None else shaping.shaped(event)
            except StopAsyncIteration as error:
                # Raised as itself it would look like the end.
                raise RuntimeError("a filter or transformer raised it") from error

    async def _get_bare(self) -> Any:
        events, inline = self._bare_events(), self._inline
        if self._inline_events.ag_running:
            raise busy()
        if inline is not None and self._bare_is_over and not inline.ended_well:
            raise inline.failure or StreamClosedError(_CUT_SHORT)
        return await anext(events)

    def _bare_events(self) -> AsyncGenerator[Any, None]:
        if self._bare is None:
            if self._setup.policy.workers > 1:
                raise SetupError(
                    f"The bare form works on one record at a time, and this pipeline has "
                    f"workers={self._setup.policy.workers}. {_USE_BLOCK}"
                )
            if self._new_engine is not Engine:
                raise SetupError(
                    f"The bare form runs in the task that asks, and this stream runs in a "
                    f"thread of its own. {_USE_BLOCK}"
                )
            self._enter_host()
            self._inline = InlineEngine(self._setup, self._runtime)
            self._inline_events = events = self._inline.events()
            self._bare = events if self._shaping is None else _shaped(events, self._shaping)
        return self._bare

    # -- while it runs -------------------------------------------------------------------

    def drain(self) -> None:
        """Stop fetching, finish what is in flight, and end the stream normally.

        Raises:
            SetupError: in the bare form, which has nothing to drain.
            StreamClosedError: when the block has been left.
        """
        self._open_engine("drain").drain()

    def pause(self) -> None:
        """Fetch nothing more until ``resume``; what is in flight and buffered goes on.

        Raises:
            SetupError: in the bare form: stop asking instead.
            StreamClosedError: when the block has been left.
        """
        self._open_engine("pause").pause()

    def resume(self) -> None:
        """Go on after ``pause``; changes nothing otherwise.

        Raises:
            SetupError: in the bare form.
            StreamClosedError: when the block has been left.
        """
        self._open_engine("resume").resume()

    def statistics(self) -> StreamStatistics:
        """The numbers of this moment.

        In the bare form, the time of the step under way is counted when it ends.

        Raises:
            SetupError: before the stream was entered or iterated.
        """
        run, depth = self._run_and_depth("statistics")
        return StreamStatistics(
            queue_depth=depth,
            buffer_size=run.buffer_size,
            in_flight=run.in_flight,
            completed=run.completed_count,
            failed=run.failed_count,
            skipped=run.skipped_count,
            retried=run.retried_count,
            fetch_seconds=run.fetch_seconds,
            parse_seconds=run.parse_seconds,
            consumer_seconds=run.consumer_seconds,
            throttle_seconds=run.throttle_seconds,
        )

    def checkpoint(self) -> Checkpoint:
        """Covers exactly what the consumer has acknowledged, now.

        The event in the consumer's hands is not acknowledged until it asks for the next.
        Still works after the block was left.

        Raises:
            SetupError: before the stream was entered or iterated.
        """
        if self._engine is not None:
            return self._engine.checkpoint()
        run, _ = self._run_and_depth("checkpoint")
        # Known only to the generator itself: is it at a yield, or past one?
        asked = self._inline_events.ag_running or self._bare_has_ended
        return run.checkpoint(run.sequence if asked else max(0, run.sequence - 1))

    def _enter_host(self) -> None:
        """Refuse to run inside an async library that is not the runtime's, or in none.

        Raises:
            SetupError: naming what to use there.
        """
        self._runtime = self._runtime.here()
        self._runtime.check_host()
        if not self._runtime.is_running():
            raise SetupError(
                f"No async run is under way here, and a stream needs one. Put this into an "
                f"async function and start that with {self._runtime.started_with}(...)."
            )

    @property
    def _bare_is_over(self) -> bool:
        """Whether nothing more can come in the bare form, for whatever reason."""
        events: Any = self._bare
        return events is not None and events.ag_frame is None

    @property
    def _bare_has_ended(self) -> bool:
        """Whether the last event was followed by the end, or by the failure."""
        inline, events = self._inline, self._inline_events
        return inline is not None and events.ag_frame is None and not inline.was_left

    def _open_engine(self, what: str) -> AnyEngine:
        if self._closed:
            raise StreamClosedError(
                f"The block of this stream has been left, so {what}() comes too late."
            )
        if self._engine is None:
            form = "This stream was not entered" if self._inline is None else "The bare form"
            verb = ", so it cannot" if self._inline is None else " cannot"
            raise SetupError(f"{form}{verb} {what}. {_USE_BLOCK}")
        return self._engine

    def _run_and_depth(self, what: str) -> tuple[Run, int]:
        if self._engine is not None:
            self._engine.account_time()
            return self._engine.run, self._engine.queue_depth
        if self._inline is not None:
            return self._inline.run, 0
        raise SetupError(f"This stream has not begun, so it has no {what}() yet. {_USE_BLOCK}")


_AT_ITS_END = (
    "This stream has been iterated to its end, and a stream is one run. Call stream_events "
    "again for another."
)
_CUT_SHORT = (
    "This stream was cut short, so it has no more events. Call stream_events again, with "
    "resume_from."
)
_USE_BLOCK = (
    "Write `async with pipeline.stream_events() as events:` and iterate `events` inside."
)


async def _shaped(
    events: AsyncGenerator[PipelineEvent, None], shaping: Shaping
) -> AsyncGenerator[Any, None]:
    try:
        async for event in events:
            if shaping.passes(event):
                yield shaping.shaped(event)
    finally:
        await events.aclose()
