"""The stream of one run: the ``async with`` form, and the door to the bare form."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import attrs

from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.errors import SetupError, StreamClosedError, add_note, described
from trio_ingest._core.options import Shaping
from trio_ingest._core.reprs import html_table, summary
from trio_ingest._core.run import Run
from trio_ingest._engine.engine import AnyEngine, Engine
from trio_ingest._engine.runtime import Runtime, ki_protected
from trio_ingest._engine.setup import RunSetup, failure_of

from ._bare import BareForm, already_ended
from ._statistics import StreamStatistics, numbers

Shown_co = TypeVar("Shown_co", covariant=True)


class EventStream(Generic[Shown_co]):
    """One run of a pipeline, as a stream of events; made by ``stream_events``.

    ``async with pipeline.stream_events() as events: async for event in events`` is the
    primary form: adapters run in tasks of their own. After the block every task is gone and
    every adapter is closed, also after a ``break``, an exception or a cancellation.
    ``async for event in pipeline.stream_events()`` is the bare form: everything happens in
    the caller's task, one record at a time, with no buffer.

    Asking for the next event acknowledges the one before. A stream is one run: it cannot
    be entered or iterated again.

    Memory: ``buffer_size`` events, and for each adapter one record, or ``2 * workers`` with
    several workers; in the bare form one record and its events.
    """

    __module__ = "trio_ingest"

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
        self._bare: BareForm | None = None
        self._nursery_manager: Any = None
        self._closed = False
        self._mode = "running"
        # Only the channel's is ever kept here: a method of this object would make a cycle
        # of it, and an abandoned bare stream would be closed late.
        self._get: Callable[[], Awaitable[Any]] | None = None

    @property
    def resumed_from(self) -> Checkpoint | None:
        """The checkpoint that was passed as ``resume_from``, or None."""
        return self._setup.options.resume_from

    @property
    def was_begun(self) -> bool:
        """True once it has been entered, iterated or closed."""
        return self._engine is not None or self._bare is not None or self._closed

    @property
    def was_iterated(self) -> bool:
        """True once an event has been taken from it."""
        if self._engine is not None:
            return self._engine.run.sequence > self._engine.queue_depth
        return self._bare is not None and self._bare.inline.run.sequence > 0

    @property
    def shows_everything(self) -> bool:
        """True when no filter and no transformer stands before the consumer."""
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
        # Only now: a producer that is still being cancelled must find the channel open.
        engine.channel.close(engine.channel.failure)
        self._raise_unseen(engine, exc, cancelled)

    def _raise_unseen(
        self, engine: AnyEngine, exc: BaseException | None, cancelled: BaseException | None
    ) -> None:
        """Raise a failure that the consumer has not met; the body's own leaves by itself."""
        fatal = engine.channel.failure
        if cancelled is not None and engine.without_cancelled(cancelled) is not None:
            fatal = engine.without_cancelled(cancelled)
        if fatal is not None and not isinstance(fatal, Exception) and exc is not fatal:
            raise fatal  # Ctrl-C must not be lost because the consumer had stopped asking
        failed = None if exc is None else engine.without_cancelled(exc)
        unseen = failure_of(engine.cleanup_errors)
        asked_once = self._runtime.cancels_once and (cancelled or (exc and failed is None))
        if unseen is not None and asked_once:
            # Raising it would take the place of a cancellation that is not repeated.
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

        A stream that has ended stays as it is; one that was never iterated cannot be any
        more. Cancelled here, the adapters still have the pipeline's grace to close.

        Raises:
            SetupError: in the ``async with`` form, whose block closes the stream.
            StreamBusyError: another task is waiting for the next event.
            Exception: what an adapter's closing raised.
        """
        if self._engine is not None:
            raise SetupError("Leave the `async with` block of this stream: that closes it.")
        if self._bare is not None:
            await self._bare.aclose()
        self._closed = True

    # -- iteration ---------------------------------------------------------------------

    def __aiter__(self) -> AsyncIterator[Shown_co]:
        if self._engine is not None and self._engine.channel.end_was_seen:
            raise already_ended()
        if self._engine is not None or self._closed:
            return self
        if self._bare is not None and self._bare.is_over:
            raise self._bare.over()
        events: AsyncIterator[Shown_co] = self._bare_form().events
        return events

    def __anext__(self) -> Awaitable[Shown_co]:
        """Return the next event, and acknowledge the one before.

        Cancelled in the ``async with`` form, no event is lost: the next call returns it. In
        the bare form the run itself is cancelled, and the stream has ended.

        Raises:
            StopAsyncIteration: at the end of the stream.
            StreamBusyError: another task is waiting for the next event.
            StreamClosedError: the block has been left, or the stream was cut short.
            SetupError: in the bare form, the pipeline has more than one worker.
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
            return await self._bare_form().get()
        while True:
            event = await engine.channel.get()
            try:
                if shaping is None or shaping.passes(event):
                    return event if shaping is None else shaping.shaped(event)
            except StopAsyncIteration as error:
                # Raised as itself it would look like the end of the stream.
                raise RuntimeError("a filter or transformer raised it") from error

    def _bare_form(self) -> BareForm:
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
            self._bare = BareForm(self._setup, self._runtime, self._shaping)
        return self._bare

    # -- while it runs -------------------------------------------------------------------

    def drain(self) -> None:
        """Stop fetching, finish what is in flight, and end the stream normally.

        Returns at once; the consumer goes on iterating until the end comes. Ends a pause.

        Raises:
            SetupError: in the bare form, or before the block was entered.
            StreamClosedError: the block has been left.
        """
        self._open_engine("drain").drain()
        self._mode = "draining"

    def pause(self) -> None:
        """Fetch nothing more until ``resume``; what is in flight and buffered goes on.

        Returns at once; changes nothing while the stream drains.

        Raises:
            SetupError: in the bare form, where not asking is enough, or before the block was
                entered.
            StreamClosedError: the block has been left.
        """
        self._open_engine("pause").pause()
        if self._mode == "running":
            self._mode = "paused"

    def resume(self) -> None:
        """Go on after ``pause``; changes nothing otherwise.

        Raises:
            SetupError: in the bare form, or before the block was entered.
            StreamClosedError: the block has been left.
        """
        self._open_engine("resume").resume()
        if self._mode == "paused":
            self._mode = "running"

    def statistics(self) -> StreamStatistics:
        """Return the numbers of this moment; also after the block.

        In the bare form, the time of the step under way is counted when it ends.

        Raises:
            SetupError: the stream was neither entered nor iterated yet.
        """
        if self._engine is not None:
            self._engine.account_time()
        return self._numbers()

    def _numbers(self) -> StreamStatistics:
        run = self._run
        if run is None:
            raise self._has_not_begun("statistics")
        return StreamStatistics(
            queue_depth=0 if self._engine is None else self._engine.queue_depth,
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
        """Return a checkpoint of exactly what has been acknowledged; also after the block.

        The event in the consumer's hands is not acknowledged until it asks for the next.

        Raises:
            SetupError: the stream was neither entered nor iterated yet.

        Memory: O(records in flight).
        """
        if self._engine is not None:
            return self._engine.checkpoint()
        if self._bare is not None:
            return self._bare.checkpoint()
        raise self._has_not_begun("checkpoint")

    def _enter_host(self) -> None:
        """Refuse to run in an async library that is not the runtime's, or in none.

        Raises:
            SetupError: names what to use there.
        """
        self._runtime = self._runtime.here()
        self._runtime.check_host()
        if not self._runtime.is_running():
            raise SetupError(
                f"No async run is under way here, and a stream needs one. Put this into an "
                f"async function and start that with {self._runtime.started_with}(...)."
            )

    def _open_engine(self, what: str) -> AnyEngine:
        if self._closed:
            raise StreamClosedError(
                f"The block of this stream has been left, so {what}() comes too late."
            )
        if self._engine is None:
            form = "This stream was not entered" if self._bare is None else "The bare form"
            verb = ", so it cannot" if self._bare is None else " cannot"
            raise SetupError(f"{form}{verb} {what}. {_USE_BLOCK}")
        return self._engine

    @property
    def _run(self) -> Run | None:
        if self._engine is not None:
            return self._engine.run
        return None if self._bare is None else self._bare.inline.run

    def _has_not_begun(self, what: str) -> SetupError:
        return SetupError(
            f"This stream has not begun, so it has no {what}() yet. {_USE_BLOCK}"
        )

    # -- shown to people -----------------------------------------------------------------

    def __repr__(self) -> str:
        return summary(self, lambda: f" {self._state}{self._figures}")

    def _repr_html_(self) -> str:
        rows = {} if self._run is None else attrs.asdict(self._numbers())
        return html_table(f"EventStream {self._state}", rows.items())

    @property
    def _figures(self) -> str:
        if self._run is None:
            return ""
        is_open = self._engine is not None and self._state == self._mode
        return f": {numbers(self._numbers(), buffer=is_open)}"

    @property
    def _state(self) -> str:
        """The state as the consumer has seen it: what still waits in the buffer is to come."""
        ended_well, is_over, failure = False, self._closed, None
        if self._engine is not None:
            channel = self._engine.channel
            ended_well, failure = channel.end_was_seen, channel.failure
            is_over = channel.closed and not channel.queue and not channel.in_hand
        elif self._bare is not None:
            inline = self._bare.inline
            ended_well, is_over, failure = (
                inline.ended_well,
                self._bare.is_over,
                inline.failure,
            )
        if ended_well:
            return "finished"
        if is_over and failure is not None and not isinstance(failure, StreamClosedError):
            return "failed"
        if is_over or self._closed:
            return "closed"
        if self._run is None:
            return "not started"
        return "running in the bare form" if self._engine is None else self._mode


_USE_BLOCK = (
    "Write `async with pipeline.stream_events() as events:` and iterate `events` inside."
)
