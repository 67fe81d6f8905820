"""What is written beside the sinks: every event, and the dead letters."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self

from trio_ingest import DocumentCompleted, DocumentFailed, PipelineEvent
from trio_ingest.delivery import Rejection

from ._dead_letter_file import DeadLetterFile
from ._event_file import EventFile
from ._ndjson import OutputClosed, OutputError


class Outputs:
    """The files of ``--events`` and ``--errors``, as far as they were asked for.

    Args:
        events: a path, or - for standard output.
        errors: the same.

    Memory: with ``errors``, the events of one batch.
    """

    def __init__(self, events: str | None, errors: str | None) -> None:
        self._events = None if events is None else EventFile(events)
        self._errors = None if errors is None else DeadLetterFile(errors)
        # Of the batch that is not committed yet: a rejection names the document alone.
        self._completed: dict[int, DocumentCompleted] = {}
        self.is_writing = False
        self.are_open = False

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
        with suppress(OutputClosed, OutputError):
            self.close()

    def open(self, *, resumed: bool) -> None:
        """Open them, before the run begins.

        Raises:
            OutputError: one cannot be written, or is somebody else's.
        """
        self.is_writing = True  # a named pipe makes us wait for its reader
        try:
            for file in (self._errors, self._events):
                if file is not None:
                    file.open(append=resumed)
        finally:
            self.is_writing = False
        self.are_open = True

    def take(self, event: PipelineEvent) -> None:
        """Write what is to be written of an event."""
        self.is_writing = True
        try:
            if self._events is not None:
                self._events.take(event)
            if self._errors is not None:
                if isinstance(event, DocumentFailed):
                    self._errors.failed(event)
                elif isinstance(event, DocumentCompleted):
                    self._completed[id(event.document)] = event
        finally:
            self.is_writing = False

    def rejected(self, rejection: Rejection) -> None:
        """Write the dead letter of a document that a sink did not take."""
        # Taken away: a second sink that rejects it adds no second letter.
        event = self._completed.pop(id(rejection.document), None)
        if self._errors is None or event is None:
            return
        self.is_writing = True
        try:
            self._errors.rejected(event, rejection)
        finally:
            self.is_writing = False

    def committed(self) -> None:
        """A batch is in every sink."""
        self._completed.clear()

    def close(self) -> None:
        """Write what is left."""
        self.is_writing = True
        try:
            with ExitStack() as stack:
                for file in (self._errors, self._events):
                    if file is not None:
                        stack.callback(file.close)
        finally:
            self.is_writing = False
