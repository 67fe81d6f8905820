"""A log of events as a stream of the same events."""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncIterator, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Literal, Self, TypeAlias

import anyio.lowlevel

from trio_ingest import (
    Checkpoint,
    PipelineEvent,
    SetupError,
    StreamBusyError,
    StreamClosedError,
    StreamStatistics,
)
from trio_ingest.storage import path_text
from trio_ingest.threads import run_in_thread

from ._figures_checker import SECONDS
from ._log import Line, Log, default_codec, event_of, recorded_runs, run_of, take_lines
from ._look_ahead import NOTHING_AHEAD, look_ahead
from ._replay_progress import ReplayProgress
from .errors import EventLogError

if TYPE_CHECKING:
    from trio_ingest.serialization import EventCodec

Torn: TypeAlias = Literal["warn", "refuse", "ignore"]

# A hop into a thread costs as much as reading 100 lines; of more at once nothing is gained.
_BATCH_LINES: Final = 2000
_BATCH_BYTES: Final = 1024 * 1024

# The events without a cancellation point, as in a stream of the engine's.
_BURST: Final = 100


class ReplayStream:
    """The events of a log, as a stream; made by ``replay``.

    ``async with replay(path) as events: async for event in events``, or ``async for event
    in replay(path)``, as with ``pipeline.stream_events()``; from Trio and asyncio. Asking
    for the next event acknowledges the one before.

    Memory: 1 MiB of lines, and the longest one.
    """

    __module__ = "trio_ingest.eventlog"

    def __init__(
        self, path: str | os.PathLike[str], codec: EventCodec | None, run: str, torn: Torn
    ) -> None:
        self.path = os.fspath(path)
        self.run = run
        self._torn = torn
        self._codec = codec
        self._log = Log(self.path)
        self._lines: Generator[Line, None, None] | None = None
        self._batch: list[Line] = []
        self._burst_left = _BURST
        self._wanted: str | None = None
        self._resumed_from: Checkpoint | None = None
        self._ahead = NOTHING_AHEAD
        self._is_prepared = False
        self._progress = ReplayProgress()
        self._last_event: PipelineEvent | None = None
        self._is_acknowledged = False
        self._is_draining = False
        self._is_busy = False
        self._was_begun = self._has_ended = self._closed = False

    # -- as of a stream of the engine's ------------------------------------------------------

    @property
    def pipeline_id(self) -> str | None:
        """The run whose event was given last; None before the first."""
        return None if self._last_event is None else self._last_event.pipeline_id

    @property
    def is_torn(self) -> bool:
        """True if the log ends in the middle of a line; known at its end only."""
        return self._log.is_torn

    @property
    def resumed_from(self) -> Checkpoint | None:
        """The checkpoint that the replayed run was resumed from; None if it was not.

        The log does not say. It is the first checkpoint of the run, without the records that
        ended before it in this run. Records that were skipped as done count as well.

        Before the stream is entered, this reads the file up to there.

        Raises:
            EventLogError: the log cannot be read, or has no such run.
        """
        self._prepare()
        return self._resumed_from

    @resumed_from.setter
    def resumed_from(self, checkpoint: Checkpoint | None) -> None:
        """Set it, before the first event, if the log does not show it."""
        self._prepare()
        self._resumed_from = checkpoint
        self._progress.begin(checkpoint, self._ahead.known)

    @property
    def has_checkpoint(self) -> bool:
        """True if the run came to its first checkpoint, which ``resumed_from`` needs.

        Raises:
            EventLogError: as for ``resumed_from``.
        """
        self._prepare()
        return self._ahead.first is not None

    @property
    def sources(self) -> tuple[str, ...]:
        """The adapters that are named up to the first checkpoint, in their order.

        Raises:
            EventLogError: as for ``resumed_from``.
        """
        self._prepare()
        return self._ahead.sources

    @property
    def was_begun(self) -> bool:
        """True once it has been entered, iterated or closed."""
        return self._was_begun

    @property
    def was_iterated(self) -> bool:
        """True once an event has been taken from it."""
        return self._last_event is not None

    @property
    def shows_everything(self) -> bool:
        """Always False: a log is known to be complete at its end only."""
        return False

    def checkpoint(self) -> Checkpoint:
        """Return a checkpoint of the original job that covers what has been acknowledged.

        The pipeline that was recorded can be resumed from it.

        Raises:
            CheckpointError: events are missing in the log.
            SetupError: several runs have been given, and each has checkpoints of its own.
        """
        return self._progress.checkpoint()

    def statistics(self) -> StreamStatistics:
        """Return the counts of acknowledged events, and the newest progress event's times."""
        counts, newest = self._progress, self._progress.progress
        seconds = {name: 0.0 if newest is None else getattr(newest, name) for name in SECONDS}
        return StreamStatistics(
            queue_depth=0,
            buffer_size=0 if newest is None else newest.buffer_size,
            in_flight=0 if newest is None else newest.in_flight,
            completed=counts.completed,
            failed=counts.failed,
            skipped=counts.skipped if newest is None else max(counts.skipped, newest.skipped),
            retried=counts.retried,
            **seconds,
        )

    def drain(self) -> None:
        """End the stream: no more events are given.

        Raises:
            StreamClosedError: the block has been left.
        """
        if self._closed:
            raise StreamClosedError(
                "The block of this replay has been left, so drain() comes too late."
            )
        self._is_draining = True

    async def __aenter__(self) -> Self:
        if self._was_begun:
            raise StreamClosedError(
                "This replay was entered or iterated before. Call replay again for another."
            )
        self._was_begun = True
        await run_in_thread(self._prepare)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    async def aclose(self) -> None:  # noqa: ASYNC910 -- there is nothing to wait for
        """Close the stream; for ``contextlib.aclosing`` around the bare form."""
        self._close()

    def __aiter__(self) -> AsyncIterator[PipelineEvent]:
        if self._has_ended or self._closed:
            raise StreamClosedError(
                "This replay has come to its end, or was left. Call replay again for another."
            )
        return self

    async def __anext__(self) -> PipelineEvent:
        """Return the next event. If cancelled, no event is lost.

        Raises:
            StopAsyncIteration: at the end of the log.
            StreamBusyError: another task is waiting for the next event.
            StreamClosedError: the block has been left.
            EventLogError: the log cannot be read, or a line of it: the message says which.
        """
        if self._is_busy:
            raise StreamBusyError(
                "Another task is waiting for the next event of this replay. Iterate it in one "
                "task and pass the events on."
            )
        if self._closed:
            raise StreamClosedError(
                "This replay has been left, so it has no more events. Iterate inside the "
                "block, or call replay again."
            )
        self._was_begun = True
        if self._last_event is not None and not self._is_acknowledged:
            self._is_acknowledged = True
            self._progress.take(self._last_event)
        self._is_busy = True
        try:
            line = await self._next_line()
        finally:
            self._is_busy = False
        if line is None:
            raise StopAsyncIteration
        event = self._decoded(line)
        self._last_event, self._is_acknowledged = event, False
        return event

    # -- reading -----------------------------------------------------------------------------

    async def _next_line(self) -> Line | None:
        """Return the next line of the runs that are wanted; None at the end."""
        self._burst_left -= 1
        while True:
            if self._is_draining:
                await anyio.lowlevel.checkpoint()
                self._has_ended = True
                return None
            if self._batch:
                if self._burst_left <= 0:
                    await anyio.lowlevel.checkpoint()
                    self._burst_left = _BURST
                line = self._batch.pop()
                if self._wanted is None or run_of(line.text) in (self._wanted, None):
                    return line  # noqa: ASYNC910 -- one in a hundred waits
                continue
            if self._has_ended:
                await anyio.lowlevel.checkpoint()
                return None
            await run_in_thread(self._read)
            self._burst_left = _BURST
            if not self._batch:
                self._has_ended = True
                self._report_torn()

    def _read(self) -> None:
        """Read the next lines into the batch: here, so that a cancellation loses none."""
        self._prepare()
        if self._lines is None:
            self._lines = self._log.lines()
        # Newest last, so that each can be popped in one step.
        self._batch = take_lines(self._lines, _BATCH_LINES, _BATCH_BYTES)[::-1]

    def _decoded(self, line: Line) -> PipelineEvent:
        self._codec = self._codec or default_codec()
        try:
            return event_of(self._codec, line)
        except EventLogError as error:
            raise EventLogError(f"{path_text(self.path)!r}: {error}") from error

    def _report_torn(self) -> None:
        if not self._log.is_torn or self._torn == "ignore":
            return
        sentence = (
            f"{path_text(self.path)!r} ends in the middle of a line: its writer was killed. "
            f"All lines before are whole. Opening it with a Recorder mends it."
        )
        if self._torn == "refuse":
            raise EventLogError(sentence)
        warnings.warn(sentence, RuntimeWarning, stacklevel=2)

    def _close(self) -> None:
        self._was_begun = self._closed = True
        self._batch, lines = [], self._lines
        self._lines = None
        if lines is not None:
            lines.close()

    # -- before the first event --------------------------------------------------------------

    def _prepare(self) -> None:
        """Find the run, and the checkpoint that it was resumed from."""
        if self._is_prepared:
            return
        if self.run != "all":
            runs = recorded_runs(self.path)
            known = [run.pipeline_id for run in runs]
            if self.run != "last" and self.run not in known:
                shown = ", ".join(map(repr, known[-5:])) or "none"
                raise EventLogError(
                    f"{path_text(self.path)!r} has no run {self.run!r:.80}; it has {shown}. "
                    f"Give one of these, or 'last', or 'all'."
                )
            self._wanted = self.run
            if self.run == "last":
                self._wanted = known[-1] if known else None
        self._codec = self._codec or default_codec()
        self._ahead = look_ahead(self.path, self._wanted, self._codec)
        self._resumed_from = self._ahead.resumed_from
        self._progress.begin(self._resumed_from, self._ahead.known)
        self._is_prepared = True


def replay(
    path: str | os.PathLike[str],
    *,
    codec: EventCodec | None = None,
    run: str = "all",
    torn: Torn = "warn",
) -> ReplayStream:
    """Return the events of a log as a stream.

    Args:
        path: of a file that a ``Recorder``, or ``trio-ingest run --events``, has written;
            compressed or not.
        codec: reads the lines. When None, events that it does not know are kept as
            ``UnknownEvent``; give one that knows your adapters' own.
        run: ``"all"`` runs of the log, the ``"last"`` one, or one by its ``pipeline_id``, as
            ``recorded_runs`` lists them.
        torn: the treatment of half a line at the end, as a killed recorder leaves it:
            ``"warn"``; ``"refuse"``, which raises when all before has been given; or
            ``"ignore"``, where only ``is_torn`` shows it.

    Nothing is read before the stream is entered or iterated. A dead adapter's failure is an
    ``AdapterStateChange`` here, and raises nothing.

    Raises:
        SetupError: ``torn`` is none of the three.

    Memory: 1 MiB of lines, and the longest one.
    """
    if torn not in {"warn", "refuse", "ignore"}:
        raise SetupError(f"torn must be 'warn', 'refuse' or 'ignore'; got {torn!r:.80}.")
    return ReplayStream(path, codec, run, torn)
