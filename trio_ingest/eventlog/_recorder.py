"""A recorder: every event of a stream in a file."""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from trio_ingest import PipelineEvent

from ._event_lines import EventLines
from .errors import EventLogError

if TYPE_CHECKING:
    from trio_ingest.serialization import EventCodec

Event = TypeVar("Event", bound=PipelineEvent)

_MEND: Final = (
    "What is in it stays, and can be replayed; make room and open it again, or give another "
    "path."
)


class Recorder:
    """Appends every event of a stream to a log: a file with a line of JSON for each.

    ``with Recorder("run.ndjson") as recorder``, and inside either ``async for event in
    recorder.recording(events)``, or ``deliver(events, sink, on_event=recorder.take,
    before_commit=recorder.flush)``, or ``recorder.take(event)`` in a loop of your own, before
    anything else is done with the event. From Trio, asyncio or no loop at all: it never
    waits for anything but the disk.

    Args:
        path: the file; it is made when missing, and added to when it is there. One that
            ends in ``.gz`` is compressed.
        codec: makes the lines; give one that knows your adapters' own events.

    Opening it mends what a crash has left: the part of a line at its end is cut off, and no
    whole line is lost. A compressed file is read through for that, and copied if it is torn.

    A log may hold several runs, one behind another; each has its own ``pipeline_id``.

    Lines are handed to the system at each ``BatchProgress``, so at least once a second, and
    whenever there are 64 KiB of them: before the consumer gets that event. A killed process
    loses what came after; a loss of power may take more. So after a kill the log may lack the
    newest events that the consumer has acknowledged, and no others.

    Memory: 64 KiB, and the longest line.
    """

    __module__ = "trio_ingest.eventlog"

    def __init__(
        self, path: str | os.PathLike[str], *, codec: EventCodec | None = None
    ) -> None:
        self._path = os.fspath(path)
        self._lines = EventLines(
            self._path, who="which is to be recorded to", mend=_MEND, codec=codec
        )
        self._was_opened = False

    def __enter__(self) -> Self:
        """Open the file.

        Raises:
            EventLogError: it cannot be written, or is no log, or another recorder has it.
        """
        if self._was_opened:
            raise EventLogError(
                f"The recorder of {self._path!r} was opened before. Make one for each block."
            )
        self._was_opened = True
        try:
            self._lines.open()
            self._lines.begin(append=True)
        except BaseException:
            with suppress(EventLogError):
                self._lines.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self._lines.close()
            return
        # The error that ended the block is the one to raise.
        with suppress(EventLogError):
            self._lines.close()

    def take(self, event: PipelineEvent) -> None:
        """Record an event.

        Args:
            event: the next one of the stream.

        Raises:
            EventLogError: the file cannot be written, as on a full disk, or the recorder is
                not open. What was written before is a valid log.
        """
        if not self._lines.is_open:
            raise EventLogError(
                f"The recorder of {self._path!r} is not open, so an event would be lost. Use "
                f"it inside its block: with Recorder(...) as recorder."
            )
        self._lines.take(event)

    def flush(self) -> None:
        """Hand over to the system what has been taken.

        Raises:
            EventLogError: as for ``take``.
        """
        self._lines.flush()

    def recording(self, events: AsyncIterable[Event]) -> AsyncIterator[Event]:
        """Return an iterator of the same events that records each before it gives it.

        Args:
            events: a stream, or any other iterable of events.

        Raises:
            EventLogError: as for ``take``, while it is iterated; so is what ``events`` raises.
        """
        return _Recording(self, events)


class _Recording(Generic[Event]):
    """The events that pass by a recorder.

    No generator: a loop that is left would have to close it.
    """

    def __init__(self, recorder: Recorder, events: AsyncIterable[Event]) -> None:
        self._take = recorder.take
        self._next = aiter(events).__anext__

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        event = await self._next()
        self._take(event)
        return event
