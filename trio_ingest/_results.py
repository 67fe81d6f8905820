"""The documents of a stream alone, and everything of a run in one object."""

import warnings
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self

import attrs

from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.documents import Document
from trio_ingest._core.events import DocumentCompleted, DocumentFailed, PipelineEvent
from trio_ingest._core.reprs import html_table, summary
from trio_ingest._engine.runtime import ki_protected

from ._statistics import StreamStatistics
from ._stream import EventStream

# Past this many, holding every document is likely to be a mistake.
EAGER_LIMIT = 10_000


@attrs.frozen
class PipelineResult:
    """Everything an eager run gave.

    Args:
        documents: in the order of the adapters, and within one as they completed.
        errors: the failed documents' events, likewise.
        success_count: how many documents there are.
        failure_count: how many errors there are.
        started_at: seconds since the epoch.
        completed_at: seconds since the epoch.
    """

    __module__ = "trio_ingest"

    documents: list[Document]
    errors: list[DocumentFailed]
    success_count: int
    failure_count: int
    started_at: float
    completed_at: float

    def __repr__(self) -> str:
        return summary(
            self,
            lambda: (
                f": {self.success_count:,} documents, {self.failure_count:,} errors, "
                f"{self.completed_at - self.started_at:.3g} s"
            ),
        )

    def _repr_html_(self) -> str:
        counts = ("documents", self.success_count), ("errors", self.failure_count)
        return html_table("PipelineResult", [*counts, *(("", e) for e in self.errors[:5])])


class DocumentStream:
    """The documents of a stream, in the same two forms; made by ``iter_results``.

    Asking for the next document acknowledges the one before, and everything that came
    between them.

    Memory: as ``EventStream``.
    """

    __module__ = "trio_ingest"

    def __init__(self, events: EventStream[Document]) -> None:
        self._events = events

    @ki_protected
    async def __aenter__(self) -> Self:
        await self._events.__aenter__()
        return self

    @ki_protected
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self._events.__aexit__(exc_type, exc, tb)  # noqa: ASYNC102 -- bounded there

    async def aclose(self) -> None:
        """Close a stream that is iterated in the bare form; see ``EventStream.aclose``."""
        await self._events.aclose()

    def __aiter__(self) -> AsyncIterator[Document]:
        return aiter(self._events)

    async def __anext__(self) -> Document:
        return await anext(self._events)

    def drain(self) -> None:
        """Stop fetching and end normally; see ``EventStream.drain``."""
        self._events.drain()

    def pause(self) -> None:
        """Fetch nothing more until ``resume``; see ``EventStream.pause``."""
        self._events.pause()

    def resume(self) -> None:
        """Go on after ``pause``; see ``EventStream.resume``."""
        self._events.resume()

    def statistics(self) -> StreamStatistics:
        """Return the numbers of this moment; see ``EventStream.statistics``."""
        return self._events.statistics()

    def checkpoint(self) -> Checkpoint:
        """Return what has been acknowledged; see ``EventStream.checkpoint``."""
        return self._events.checkpoint()

    def __repr__(self) -> str:
        return repr(self._events).replace("EventStream", "DocumentStream", 1)

    def _repr_html_(self) -> str:
        return self._events._repr_html_().replace("EventStream", "DocumentStream", 1)


def is_document(event: PipelineEvent) -> bool:
    """Return whether the event brings a document."""
    return isinstance(event, DocumentCompleted)


def document_of(event: PipelineEvent) -> Document:
    """Return the document that an event brings.

    Raises:
        TypeError: it is no ``DocumentCompleted``.
    """
    if not isinstance(event, DocumentCompleted):
        raise TypeError(f"{type(event).__name__} brings no document")
    return event.document


class Collector:
    """The consumer behind ``run_async``.

    Memory: every document and every failure.
    """

    def __init__(self, sources: list[str], started_at: float) -> None:
        self._documents: dict[str, list[Document]] = {source: [] for source in sources}
        self._errors: dict[str, list[DocumentFailed]] = {source: [] for source in sources}
        self._started_at = started_at
        self.count = 0

    def take(self, event: PipelineEvent) -> None:
        """Keep the document or the failure that an event brings."""
        if isinstance(event, DocumentCompleted):
            self._documents[event.adapter_metadata["adapter"]].append(event.document)
            self.count += 1
            if self.count == EAGER_LIMIT + 1:
                warnings.warn(
                    f"run_async holds every document in memory, and there are more than "
                    f"{EAGER_LIMIT}: use stream_events or iter_results instead.",
                    RuntimeWarning,
                    stacklevel=4,
                )
        elif isinstance(event, DocumentFailed):
            self._errors[event.adapter].append(event)

    def result(self, completed_at: float) -> PipelineResult:
        """Return everything, in the order of the adapters."""
        documents = [d for group in self._documents.values() for d in group]
        errors = [e for group in self._errors.values() for e in group]
        return PipelineResult(
            documents, errors, len(documents), len(errors), self._started_at, completed_at
        )
