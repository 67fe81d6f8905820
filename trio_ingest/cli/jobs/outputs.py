"""The files beside the sinks: every event, and the dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Self

from trio_ingest import DocumentCompleted, DocumentFailed, PipelineEvent
from trio_ingest.delivery import Rejection
from trio_ingest.eventlog import EventLogError
from trio_ingest.storage import JsonLinesFile, OutputClosedError

from .dead_letter_file import DeadLetterFile
from .event_file import event_file


class Outputs:
    """The files of ``--events`` and ``--errors``, as far as they were asked for.

    Args:
        events: a path, or - for standard output.
        errors: the same.
        has_sinks: whether any sink may reject a document.

    Memory: with ``errors`` and sinks, the events of one batch.
    """

    def __init__(
        self, events: str | None, errors: str | None, *, has_sinks: bool = True
    ) -> None:
        self._events = None if events is None else event_file(events)
        self._errors = None if errors is None else DeadLetterFile(errors)
        self._has_sinks = has_sinks
        # Of the batch that is not committed yet: a rejection names the document alone.
        self._completed: dict[int, DocumentCompleted] = {}
        self._rejected: list[tuple[DocumentCompleted, Rejection]] = []
        self.is_writing = False
        self.have_begun = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        # What ended the run is what people must hear of.
        with suppress(OutputClosedError, EventLogError):
            self.close()

    def open(self) -> None:
        """Open them, before anything else is made; what is in them stays.

        Raises:
            EventLogError: one cannot be written, or another program wrote it.
        """
        with self._writing():  # a named pipe makes us wait for its reader
            for file in self._files():
                file.open()

    def begin(self, *, resumed: bool) -> None:
        """Make ready for the first event, when nothing refuses the run any more.

        Args:
            resumed: whether to add to what an earlier run of the job wrote.

        Raises:
            EventLogError: the disk fails.
        """
        for file in self._files():
            file.begin(append=resumed)
        self.have_begun = True

    def take(self, event: PipelineEvent) -> None:
        """Write what is to be written of an event."""
        self.is_writing = True  # spelled out: it is called for every event
        try:
            if self._events is not None:
                self._events.take(event)
            if self._errors is not None and isinstance(event, DocumentFailed):
                self._errors.failed(event)
        finally:
            self.is_writing = False
        if self._errors is not None and self._has_sinks and type(event) is DocumentCompleted:
            self._completed[id(event.document)] = event

    def rejected(self, rejection: Rejection) -> None:
        """Remember that a sink did not take a document, until its batch is in all of them."""
        # Taken away: a second sink that rejects it adds no second letter.
        event = self._completed.pop(id(rejection.document), None)
        if event is not None:
            self._rejected.append((event, rejection))

    def committed(self) -> None:
        """Write the letters of what was rejected: the batch is in every sink."""
        rejected, self._rejected = self._rejected, []
        self._completed.clear()
        if self._errors is not None:
            with self._writing():
                for event, rejection in rejected:
                    self._errors.rejected(event, rejection)

    def flush(self) -> None:
        """Write what waits, so that no sink is ahead of it."""
        with self._writing():
            for file in self._files():
                file.flush()

    def close(self) -> None:
        """Write what is left."""
        with self._writing(), ExitStack() as stack:
            for file in self._files():
                stack.callback(file.close)

    def _files(self) -> list[JsonLinesFile]:
        return [file for file in (self._errors, self._events) if file is not None]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self.is_writing = True
        try:
            yield
        finally:
            self.is_writing = False
