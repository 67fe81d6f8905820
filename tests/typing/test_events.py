"""Checked by mypy and pyright, both strict, and run by pytest."""

from __future__ import annotations

from typing import assert_never

import attrs
import pytest

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    EngineEvent,
    PipelineEvent,
)

STARTED = DocumentStarted(doc_id="a", adapter="feed", parameters={}, record_number=0)
ONE_OF_EACH: list[EngineEvent] = [
    STARTED,
    DocumentCompleted(
        document=Document("a", "feed", "text"),
        duration=0.5,
        adapter_metadata={},
        record_number=0,
        retry_count=0,
    ),
    DocumentFailed(
        doc_id=None,
        error="no id",
        error_type="ValueError",
        retry_count=0,
        is_retryable=False,
        traceback=None,
        adapter="feed",
        record_number=0,
        raw=b"",
    ),
    DocumentSkipped(doc_id="a", adapter="feed", record_number=0, reason="done already"),
    DocumentRetrying(
        doc_id="a",
        adapter="feed",
        error="too slow",
        error_type="TimeoutError",
        retry_count=1,
        delay_seconds=0.5,
        record_number=0,
    ),
    BatchProgress(
        completed=1,
        failed=0,
        in_flight=0,
        estimated_total=None,
        eta_seconds=None,
        skipped=0,
        queue_depth=0,
        buffer_size=100,
        fetch_seconds=0.0,
        parse_seconds=0.0,
        consumer_seconds=0.0,
        throttle_seconds=0.0,
        checkpoint=None,
    ),
    AdapterStateChange(adapter="feed", old_state="pending", new_state="running", reason=None),
]


def told(event: EngineEvent) -> str:
    """Every event has a case, and the fields have the types that the cases use."""
    match event:
        case DocumentStarted(doc_id=doc_id, adapter=adapter, record_number=number):
            return f"{adapter.upper()} {doc_id.upper()} {number + 1}"
        case DocumentCompleted(document=document, duration=seconds, retry_count=retries):
            return f"{document.doc_id.upper()} {seconds / 2} {retries + 1}"
        case DocumentFailed(doc_id=None, error=error, error_type=kind):
            return f"{kind.upper()} {error.upper()}"
        case DocumentFailed(doc_id=doc_id, traceback=traceback):
            return (doc_id or "?").upper() + (traceback or "")
        case DocumentSkipped(doc_id=doc_id, reason=reason):
            return doc_id.upper() + reason.upper()
        case DocumentRetrying(delay_seconds=seconds, retry_count=retries):
            return f"{seconds / 2} {retries + 1}"
        case BatchProgress(completed=completed, eta_seconds=eta, checkpoint=checkpoint):
            positions = checkpoint.positions if checkpoint else ()
            return f"{completed + 1} {(eta or 0.0) / 2} {len(positions)}"
        case AdapterStateChange(new_state="failed", reason=reason):
            return (reason or "").upper()
        case AdapterStateChange(old_state=old, new_state=new):
            return f"{old} {new}"
        case _:
            assert_never(event)


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: type(event).__name__)
def test_a_match_over_the_seven_events_is_exhaustive(event: EngineEvent) -> None:
    assert told(event)


def test_assigning_to_an_event_is_refused() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        STARTED.doc_id = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        STARTED.sequence = 1  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        del STARTED.doc_id  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError):
        STARTED.colour = "red"  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


def test_an_adapters_own_event_is_an_event() -> None:
    @attrs.frozen(kw_only=True)
    class PageTurned(PipelineEvent):
        page: int

    turned = PageTurned(page=7)
    assert (turned.page, turned.sequence) == (7, 0)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        turned.page = 8  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
