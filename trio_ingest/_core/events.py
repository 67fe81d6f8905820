"""The events of a stream: seven immutable classes, and the builder of each.

An event is a slotted attrs class, immutable at run time and keyword-only. The engine makes
two for each document, so it builds them by position, with ``frozen_builder``, and fills every
field. The defaults are for events made by hand.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import attrs

from .checkpoints import Checkpoint
from .documents import Document
from .frozen_builder import builder_of
from .reprs import in_one_line, one_line, summary

AdapterState: TypeAlias = Literal[
    "pending", "running", "paused", "draining", "finished", "failed", "cancelled"
]


@attrs.frozen(kw_only=True)
class PipelineEvent:
    """Base of all events, and of the classes of an adapter's own events.

    An adapter need not fill these three: the engine stamps them when the event
    takes its place in the stream.

    Args:
        timestamp: when it was emitted, in seconds since the epoch (the
            pipeline's wall clock).
        pipeline_id: which run it belongs to.
        sequence: its place in the stream: 0, 1, 2…; a gap shows that a filter
            was at work, or a loss.
    """

    __module__ = "trio_ingest"

    version: ClassVar[int] = 1

    # The repr that attrs makes for an adapter's own event is short without these two.
    timestamp: float = attrs.field(default=0.0, repr=False)
    pipeline_id: str = attrs.field(default="", repr=False)
    sequence: int = 0

    def __repr__(self) -> str:
        return summary(self, lambda: f" {self.sequence}{self._details()}")

    def _details(self) -> str:
        return ""


@attrs.frozen(kw_only=True, repr=False)
class DocumentStarted(PipelineEvent):
    """Work on a record is about to begin.

    Args:
        doc_id: what ``identify`` says, or ``"<source>#<record_number>"``.
        adapter: the ``source`` of the adapter.
        parameters: the params of this adapter run.
        record_number: ties this event to the end of the same record.
    """

    __module__ = "trio_ingest"

    doc_id: str
    adapter: str
    parameters: Mapping[str, Any]
    record_number: int = 0

    def _details(self) -> str:
        return f" {one_line(self.doc_id)}"


@attrs.frozen(kw_only=True, repr=False)
class DocumentCompleted(PipelineEvent):
    """A record became a document.

    Args:
        document: the document.
        duration: seconds of work on it, waiting for the consumer not included.
        adapter_metadata: ``{"adapter": source, "parameters": params}``, one
            mapping shared by all documents of an adapter run.
        record_number: ties this event to its start.
        retry_count: attempts minus one.
    """

    __module__ = "trio_ingest"

    document: Document
    duration: float
    adapter_metadata: Mapping[str, Any]
    record_number: int = 0
    retry_count: int = 0

    def _details(self) -> str:
        return f" {one_line(self.document.doc_id)}"


@attrs.frozen(kw_only=True, repr=False)
class DocumentFailed(PipelineEvent):
    """A record could not become a document; the run goes on.

    Args:
        doc_id: what ``identify`` says, or None when it is unknown.
        error: the text of the exception of the last attempt.
        error_type: its class, with its module unless built in.
        retry_count: attempts minus one.
        is_retryable: whether trying again later could help.
        traceback: the formatted traceback, or None when there is none.
        adapter: the ``source`` of the adapter.
        record_number: ties this event to its start.
        raw: the record itself, for the dead letter.
    """

    __module__ = "trio_ingest"

    doc_id: str | None
    error: str
    error_type: str
    retry_count: int
    is_retryable: bool
    traceback: str | None = None
    adapter: str = ""
    record_number: int = 0
    raw: Any = None

    def _details(self) -> str:
        place = f"{self.adapter}#{self.record_number}" if self.doc_id is None else self.doc_id
        return f" {one_line(place)}: {self.error_type}: {in_one_line(self.error)}"


@attrs.frozen(kw_only=True, repr=False)
class DocumentSkipped(PipelineEvent):
    """A document turned out, after parsing, to be done already.

    Args:
        doc_id: the document's id.
        adapter: the ``source`` of the adapter.
        record_number: ties this event to its start.
        reason: why it was skipped.
    """

    __module__ = "trio_ingest"

    doc_id: str
    adapter: str
    record_number: int = 0
    reason: str = ""

    def _details(self) -> str:
        return f" {one_line(self.doc_id)}: {self.reason}"


@attrs.frozen(kw_only=True, repr=False)
class DocumentRetrying(PipelineEvent):
    """An attempt failed and another will follow.

    Args:
        doc_id: as in the started event.
        adapter: the ``source`` of the adapter.
        error: the text of the exception of this attempt.
        error_type: its class, with its module unless built in.
        retry_count: which retry this announces, from 1.
        delay_seconds: how long until the next attempt.
        record_number: ties this event to its start.
    """

    __module__ = "trio_ingest"

    doc_id: str
    adapter: str
    error: str
    error_type: str = ""
    retry_count: int
    delay_seconds: float = 0.0
    record_number: int = 0

    def _details(self) -> str:
        when = f"retry {self.retry_count} in {self.delay_seconds:.3g} s"
        return (
            f" {one_line(self.doc_id)}, {when}: {self.error_type}: {in_one_line(self.error)}"
        )


@attrs.frozen(kw_only=True, repr=False)
class BatchProgress(PipelineEvent):
    """Progress of the run: by count, at least once a second, and once at the end.

    Args:
        completed: documents completed.
        failed: documents failed.
        in_flight: documents started and not ended.
        estimated_total: how many records are expected in all, or None.
        eta_seconds: time left at the recent rate, or None rather than a guess.
        skipped: records that were done already.
        queue_depth: events waiting for the consumer.
        buffer_size: how many may wait.
        fetch_seconds: time spent in ``fetch``, summed over tasks like the next three.
        parse_seconds: time spent in ``parse``.
        consumer_seconds: time spent waiting for the consumer.
        throttle_seconds: time spent held back on purpose: paused, or between retries.
        checkpoint: covers exactly the ends with a lower ``sequence``, or None.
            Asking for this event has acknowledged them all.
    """

    __module__ = "trio_ingest"

    completed: int
    failed: int
    in_flight: int
    estimated_total: int | None = None
    eta_seconds: float | None = None
    skipped: int = 0
    queue_depth: int = 0
    buffer_size: int = 0
    fetch_seconds: float = 0.0
    parse_seconds: float = 0.0
    consumer_seconds: float = 0.0
    throttle_seconds: float = 0.0
    checkpoint: Checkpoint | None = None

    def _details(self) -> str:
        total, eta = self.estimated_total, self.eta_seconds
        expected = "" if total is None else f", {total:,} expected"
        left = "" if eta is None else f", {eta:,.0f} s left"
        return (
            f": {self.completed:,} completed, {self.failed:,} failed, "
            f"{self.in_flight:,} in flight{expected}{left}"
        )


@attrs.frozen(kw_only=True, repr=False)
class AdapterStateChange(PipelineEvent):
    """An adapter moved from one state to the next.

    Args:
        adapter: its ``source``.
        old_state: where it was.
        new_state: where it is.
        reason: why, or None when that is the ordinary course.
    """

    __module__ = "trio_ingest"

    adapter: str
    old_state: AdapterState
    new_state: AdapterState
    reason: str | None = None

    def _details(self) -> str:
        reason = "" if self.reason is None else f" ({self.reason})"
        return f" {one_line(self.adapter)}: {self.old_state} -> {self.new_state}{reason}"


EngineEvent: TypeAlias = (
    DocumentStarted
    | DocumentCompleted
    | DocumentFailed
    | DocumentSkipped
    | DocumentRetrying
    | BatchProgress
    | AdapterStateChange
)
"""The events that the engine itself emits; an adapter's own come beside them."""

ENGINE_EVENTS: tuple[type[PipelineEvent], ...] = get_args(EngineEvent)


# Positional, in the order of the fields: base first, then as declared above.
build_started: Callable[..., DocumentStarted] = builder_of(DocumentStarted)
build_completed: Callable[..., DocumentCompleted] = builder_of(DocumentCompleted)
build_failed: Callable[..., DocumentFailed] = builder_of(DocumentFailed)
build_skipped: Callable[..., DocumentSkipped] = builder_of(DocumentSkipped)
build_retrying: Callable[..., DocumentRetrying] = builder_of(DocumentRetrying)
build_progress: Callable[..., BatchProgress] = builder_of(BatchProgress)
build_state_change: Callable[..., AdapterStateChange] = builder_of(AdapterStateChange)
