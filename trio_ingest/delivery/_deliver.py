"""The consumer that brings a stream into sinks, a batch with each checkpoint."""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from html import escape
from typing import Final, get_args

import anyio
import attrs

from trio_ingest import (
    BatchProgress,
    Checkpoint,
    PipelineEvent,
    SetupError,
    StreamBusyError,
    StreamClosedError,
)

from ._batch_builder import BatchBuilder
from ._checkpointed_stream import CheckpointedStream, is_checkpointed_stream
from ._sink import Guarantee, Rejection, ResumableSink, Sink
from ._sink_task import SinkTask
from ._totals import Totals

# With fewer, the fixed cost of a commit shows in the total. With more, a crash makes more to
# do again; and what waits for the commit has grown old by the garbage collector's measure,
# and is gone through again and again.
DEFAULT_BATCH_SIZE: Final = 500

# With less, a slow source pays for a transaction for each few documents; with more, its
# documents arrive late and a crash loses more of them.
DEFAULT_MAX_WAIT_SECONDS: Final = 1.0


@attrs.frozen(kw_only=True)
class DeliveryReport:
    """The checkpoint and the totals that a delivery has committed.

    Args:
        checkpoint: covers everything that every sink has.
        totals: of each sink, by its name, over all runs of the job.
    """

    __module__ = "trio_ingest.delivery"

    checkpoint: Checkpoint
    totals: Mapping[str, Totals]

    @property
    def bad(self) -> int:
        """The most records of the whole job that one of the sinks lacks."""
        return max(totals.bad for totals in self.totals.values())

    def __repr__(self) -> str:
        sinks = (
            f"{name!r:.80}: {totals.delivered:,} delivered, {totals.bad:,} bad"
            for name, totals in self.totals.items()
        )
        return f"<DeliveryReport {'; '.join(sinks):.300}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{totals.delivered:,}</td>"
            f"<td>{totals.failed:,}</td><td>{totals.rejected:,}</td></tr>"
            for name, totals in self.totals.items()
        )
        names = "<tr><th>sink</th><th>delivered</th><th>failed</th><th>rejected</th></tr>"
        return f"<table><caption>DeliveryReport</caption>{names}{rows}</table>"


async def deliver(
    events: CheckpointedStream,
    *sinks: Sink,
    batch_size: int = DEFAULT_BATCH_SIZE,
    max_wait_seconds: float = DEFAULT_MAX_WAIT_SECONDS,
    restart: bool = False,
    on_event: Callable[[PipelineEvent], object] | None = None,
    before_commit: Callable[[], object] | None = None,
    on_commit: Callable[[DeliveryReport], object] | None = None,
    on_rejection: Callable[[str, Rejection], object] | None = None,
) -> DeliveryReport:
    """Put the documents of a stream into every sink, with the checkpoint that covers them.

    Args:
        events: the stream, resumed from ``await resume_point(*sinks)``, or the replay of a
            recorded one. One that has not been entered is entered here, and left when the
            delivery ends. No other task may take events of it meanwhile; behind an
            ``event_filter`` that is not noticed.
        sinks: open ones. Each batch goes into the first, then the next; so a sink that
            only keeps what others have (a checkpoint store, a ledger) comes last.
        batch_size: ends (documents, failed and skipped ones) in a batch. A batch ends
            earlier when its documents have some eight million characters.
        max_wait_seconds: the longest that a batch may take to come together, from its
            first end; looked at with each progress event, about once a second.
        restart: begin the job again: what the sinks keep of it is forgotten, and not before
            the first batch is there to take its place.
        on_event: called with each event before anything else is done with it.
        before_commit: called when a batch is about to go into the sinks: with
            ``recorder.flush``, a log is never behind them, whenever the process is killed.
        on_commit: called when a batch is in all sinks.
        on_rejection: called with the name of a sink and what it did not take.

    Returns:
        what has been committed when the stream has come to its end.

    Raises:
        SetupError: an argument is wrong, before any event.
        CheckpointError: what a sink has does not fit where the stream begins: the message
            says how to go on, and how to begin again.
        Exception: a dead adapter's failure, after everything before it was committed; or
            what a sink raised, with a note that says what each sink has.

    Cancelled here, a batch that a sink has begun to commit is committed or not, never in
    part; what had been collected for the next one comes again when the job is resumed.

    Memory: a batch, besides the stream's own.
    """
    callbacks = on_event, before_commit, on_commit, on_rejection
    _check(sinks, batch_size, max_wait_seconds, callbacks)
    _check_stream(events)
    if restart and events.resumed_from is not None:
        raise SetupError(
            "restart begins the job again, and the stream was resumed from a checkpoint. "
            "Leave out one of restart and resume_from."
        )
    tasks = [SinkTask(sink) for sink in sinks]
    to_forget: list[SinkTask] = []
    if restart:
        # An unreadable state comes first: if it cannot be forgotten, nothing is.
        readable = {task: await task.is_readable() for task in tasks}
        to_forget = sorted(tasks, key=readable.__getitem__)
    else:
        for task in tasks:
            await task.load(events.resumed_from)
    builder, timer = BatchBuilder(batch_size), _BatchTimer(max_wait_seconds)
    delivery = _Delivery(tasks, to_forget, builder, timer, *callbacks)
    async with AsyncExitStack() as stack:
        if not events.was_begun:
            await stack.enter_async_context(events)
        failure = await delivery.take_all(events)
        return await delivery.finish(events.checkpoint(), failure)


class _BatchTimer:
    """The time that the first end of a batch has waited.

    The clock is read when that end comes, and then at each progress event: reading it at
    every event would cost as much as taking the event.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._deadline = math.inf
        # Asked at every event, so it is an attribute and no question to a clock.
        self.is_running = False

    def start(self) -> None:
        """Count from now."""
        self._deadline = anyio.current_time() + self._seconds
        self.is_running = True

    def is_over(self) -> bool:
        """Say whether the batch has waited long enough."""
        return self.is_running and anyio.current_time() >= self._deadline

    def stop(self) -> None:
        """Count no more, until the next start."""
        self.is_running = False


@attrs.define(eq=False)
class _Delivery:
    """The sinks, and what they have not been given yet."""

    _tasks: Sequence[SinkTask]
    _to_forget: Sequence[SinkTask]
    _pending: BatchBuilder
    _timer: _BatchTimer
    _on_event: Callable[[PipelineEvent], object] | None
    _before_commit: Callable[[], object] | None
    _on_commit: Callable[[DeliveryReport], object] | None
    _on_rejection: Callable[[str, Rejection], object] | None
    # While a batch goes into the sinks: one that has it must not be given it again.
    _is_committing: bool = False

    async def take_all(self, events: CheckpointedStream) -> Exception | None:
        """Commit every event but those that the last commit is for.

        Returns:
            the exception that the stream failed with; what came before that is good.
        """
        pending, timer, on_event = self._pending, self._timer, self._on_event
        # A gap among the numbers shows that another task has had events of this stream.
        counts, number = events.shows_everything, 0
        already_done, in_hand = 0, False
        failure: Exception | None = None
        try:
            async for event in events:
                if counts:
                    if event.sequence != number:
                        raise _busy()
                    number += 1
                if pending.is_full or (type(event) is BatchProgress and timer.is_over()):
                    # Everything before the event in hand is acknowledged, and no more.
                    await self._commit(events.checkpoint())
                    timer.stop()
                    already_done = events.statistics().skipped
                in_hand = True
                if on_event is not None:
                    on_event(event)
                pending.add(event)
                in_hand = False
                if not timer.is_running and (
                    pending or (type(event) is BatchProgress and event.skipped != already_done)
                ):
                    # Records that are already done make no event; the checkpoint is news.
                    timer.start()
        except (StreamBusyError, StreamClosedError):
            # Nothing may be claimed.
            raise
        except Exception as error:
            if self._is_committing:
                raise
            failure = error
        if counts and not in_hand:
            seen = events.statistics()
            if seen.completed + seen.failed != pending.ended:
                raise _busy() from failure
        return failure  # noqa: ASYNC910 -- what follows waits

    async def finish(
        self, checkpoint: Checkpoint, failure: Exception | None
    ) -> DeliveryReport:
        """Commit the rest; then raise what the stream failed with."""
        if self._to_forget and not self._pending and not checkpoint.finished:
            # It could not even begin, or was drained before it had: what there was stays.
            if failure is not None:
                raise failure
            return self._report(checkpoint)  # noqa: ASYNC910 -- nothing is written
        try:
            report = await self._commit(checkpoint)
        except Exception as error:
            if failure is not None:
                error.__context__ = failure
            raise
        if failure is not None:
            raise failure
        return report

    async def _commit(self, checkpoint: Checkpoint) -> DeliveryReport:
        """Let every sink commit what is pending; each answers once, with its rejections."""
        rejected: list[Rejection] = []
        self._is_committing = True
        if self._before_commit is not None:
            self._before_commit()
        for task in self._to_forget:
            await task.forget()
        self._to_forget = ()
        for task in self._tasks:
            try:
                rejections = await task.commit(self._pending, checkpoint, rejected)
            except Exception as error:
                with suppress(Exception):  # an exception that cannot be changed
                    error.add_note(self._where(task))
                raise
            if self._on_rejection is not None:
                for rejection in rejections:
                    self._on_rejection(task.name, rejection)
        self._pending.clear()
        report = self._report(checkpoint)
        if self._on_commit is not None:
            self._on_commit(report)
        self._is_committing = False
        return report  # noqa: ASYNC910 -- there is a sink at least, and it waits

    def _report(self, checkpoint: Checkpoint) -> DeliveryReport:
        totals = {task.name: task.totals for task in self._tasks}
        return DeliveryReport(checkpoint=checkpoint, totals=totals)

    def _where(self, failed: SinkTask) -> str:
        has = "; ".join(task.summary() for task in self._tasks)
        can_resume = any(task.keeps_checkpoint for task in self._tasks)
        then = " The job can be resumed from there." if can_resume else ""
        return f"The delivery stopped at {failed.name}. {has}.{then}"


def _busy() -> StreamBusyError:
    return StreamBusyError(
        "Another task has taken events of this stream while deliver was at it, so their "
        "documents are in no sink; they come again when the job is resumed. Let deliver be "
        "the only one that iterates the stream."
    )


def _check_stream(events: CheckpointedStream) -> None:
    if not is_checkpointed_stream(events):
        raise SetupError(
            f"deliver takes what pipeline.stream_events(...) or replay(...) gives, itself and "
            f"not an iterator of it; got {events!r:.80}."
        )
    if events.was_iterated:
        raise SetupError(
            "Events of this stream were taken before the delivery began, so their documents "
            "would be in no sink. Give deliver a stream that was not iterated."
        )


def _check(
    sinks: Sequence[Sink],
    batch_size: int,
    max_wait_seconds: float,
    callbacks: Sequence[Callable[..., object] | None],
) -> None:
    if not sinks:
        raise SetupError("A delivery needs at least one sink: deliver(events, sink).")
    for sink in sinks:
        if not hasattr(sink, "name") or not hasattr(sink, "write"):
            raise SetupError(
                f"A sink is an object with a name and an async write, and each is an argument "
                f"of its own: deliver(events, one, another); got {sink!r:.80}."
            )
    names = [sink.name for sink in sinks]
    for name in names:
        if names.count(name) > 1:
            raise SetupError(
                f"Two sinks are called {name!r}, so what they have could not be told apart. "
                f"Give each a place of its own."
            )
    _check_abilities(sinks)
    if type(batch_size) is not int or batch_size < 1:
        raise SetupError(
            f"batch_size must be a whole number of at least 1; got {batch_size!r:.80}."
        )
    if type(max_wait_seconds) not in (int, float) or not 0 <= max_wait_seconds < math.inf:
        raise SetupError(
            f"max_wait_seconds must be a number of at least 0; got {max_wait_seconds!r:.80}."
        )
    given: Sequence[object] = [callback for callback in callbacks if callback is not None]
    for callback in given:
        if not callable(callback) or inspect.iscoroutinefunction(callback):
            raise SetupError(
                f"on_event, before_commit, on_commit and on_rejection must be plain "
                f"functions, not coroutine functions; got {callback!r:.80}."
            )


def _check_abilities(sinks: Sequence[Sink]) -> None:
    """Refuse sinks that could not be resumed, or not without a loss."""
    keeper: str | None = None
    for sink in sinks:
        is_resumable = isinstance(sink, ResumableSink)
        guarantee: object = sink.guarantee
        if guarantee not in get_args(Guarantee):
            raise SetupError(
                f"The guarantee of {sink.name} must be 'at-least-once' or 'exactly-once'; got "
                f"{guarantee!r:.80}."
            )
        if not is_resumable and (hasattr(sink, "load") or hasattr(sink, "forget")):
            raise SetupError(
                f"{sink.name} has one of `load` and `forget`, and a sink that keeps the "
                f"checkpoint needs both. Add the other one."
            )
        if not is_resumable and guarantee == "exactly-once":
            raise SetupError(
                f"{sink.name} says exactly-once, and for that it must keep the checkpoint "
                f"with its documents. Give it `load` and `forget`, or say at-least-once."
            )
        if not is_resumable and keeper is not None:
            raise SetupError(
                f"{sink.name} keeps no checkpoint and comes after {keeper}, which does: a "
                f"crash between the two would lose a batch there. Put {sink.name} first."
            )
        keeper = sink.name if is_resumable else keeper
