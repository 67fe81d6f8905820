"""What must be true of any list of events that one stream gave, written once for all tests.

Every check takes the events in the order in which the consumer received them, from the
first one on, and raises ``AssertionError`` with the event at fault.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TypeAlias

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
    Position,
)

Key: TypeAlias = tuple[str, str]
"""A source and the canonical JSON of its params: what keys a position."""

ENDS = (DocumentCompleted, DocumentFailed, DocumentSkipped)

NEXT_STATES: Mapping[str, set[str]] = {
    "pending": {"running", "cancelled"},
    "running": {"paused", "draining", "finished", "failed", "cancelled"},
    "paused": {"running", "draining", "failed", "cancelled"},
    "draining": {"finished", "failed", "cancelled"},
    "finished": set(),
    "failed": set(),
    "cancelled": set(),
}


def adapter_of(event: PipelineEvent) -> str:
    """The source of the adapter that a document's event is about."""
    if isinstance(event, DocumentCompleted):
        adapter: str = event.adapter_metadata["adapter"]
        return adapter
    assert isinstance(
        event, DocumentStarted | DocumentFailed | DocumentSkipped | DocumentRetrying
    )
    return event.adapter


def check_numbering(events: Sequence[PipelineEvent]) -> None:
    """0, 1, 2…, one pipeline id, and a timestamp that never goes back."""
    assert [event.sequence for event in events] == list(range(len(events)))
    assert len({event.pipeline_id for event in events}) <= 1
    stamps = [event.timestamp for event in events]
    assert stamps == sorted(stamps)


def check_shape(events: Sequence[PipelineEvent], *, whole: bool = True) -> None:
    """Each record: started, any retries, then exactly one end; ``whole``: none is left open."""
    retries: dict[tuple[str, int], int] = {}
    for event in events:
        if isinstance(event, DocumentStarted):
            key = event.adapter, event.record_number
            assert key not in retries, f"started twice: {event}"
            retries[key] = 0
        elif isinstance(event, DocumentRetrying):
            key = event.adapter, event.record_number
            assert key in retries, f"retried without a start: {event}"
            retries[key] += 1
            assert event.retry_count == retries[key], event
        elif isinstance(event, ENDS):
            key = adapter_of(event), event.record_number
            assert key in retries, f"ended without a start, or twice: {event}"
            count = retries.pop(key)
            if not isinstance(event, DocumentSkipped):
                assert event.retry_count == count, event
    assert not (whole and retries), f"never ended: {retries}"


def check_states(events: Sequence[PipelineEvent], *, whole: bool = True) -> None:
    """An adapter's states follow each other, and its documents lie between the first and last."""
    states: dict[str, str] = {}
    for event in events:
        if isinstance(event, AdapterStateChange):
            assert event.old_state == states.get(event.adapter, "pending"), event
            assert event.new_state in NEXT_STATES[event.old_state], event
            states[event.adapter] = event.new_state
        elif isinstance(event, (DocumentStarted, DocumentRetrying, *ENDS)):
            state = states.get(adapter_of(event))
            assert state in {"running", "paused", "draining"}, f"while {state}: {event}"
    if whole:
        assert set(states.values()) <= {"finished", "failed", "cancelled"}, states


def check_counts(events: Sequence[PipelineEvent], *, passed_over: int = 0) -> None:
    """A progress event counts what has a lower sequence, and in flight is what is in flight.

    ``passed_over``: at most so many records were known as done before any work, which
    no event tells.
    """
    completed = failed = skipped = in_flight = 0
    for event in events:
        if isinstance(event, DocumentStarted):
            in_flight += 1
        elif isinstance(event, ENDS):
            in_flight -= 1
            completed += isinstance(event, DocumentCompleted)
            failed += isinstance(event, DocumentFailed)
            skipped += isinstance(event, DocumentSkipped)
        elif isinstance(event, BatchProgress):
            counted = event.completed, event.failed, event.in_flight
            assert counted == (completed, failed, in_flight), event
            assert skipped <= event.skipped <= skipped + passed_over, event


def check_order(events: Iterable[PipelineEvent], *, ends: bool = True) -> None:
    """Records start in the order of the source, and, with ``ends``, end in it too."""
    started: dict[str, int] = defaultdict(lambda: -1)
    ended: dict[str, int] = defaultdict(lambda: -1)
    for event in events:
        if isinstance(event, DocumentStarted):
            # A second adapter run of the same source numbers from 0 again.
            if event.record_number == 0:
                started[event.adapter] = ended[event.adapter] = -1
            assert event.record_number > started[event.adapter], event
            started[event.adapter] = event.record_number
        elif ends and isinstance(event, ENDS):
            source = adapter_of(event)
            assert event.record_number > ended[source], event
            ended[source] = event.record_number


def covered(position: Position) -> set[int]:
    """The record numbers that a position says have ended."""
    numbers = set(range(position.watermark))
    for start, stop in position.ended:
        numbers.update(range(start, stop))
    return numbers


def covered_by(checkpoint: Checkpoint) -> dict[Key, set[int]]:
    """The same for a whole checkpoint."""
    return {(p.source, p.parameters): covered(p) for p in checkpoint.positions}


def ends_of(events: Iterable[PipelineEvent], keys: Sequence[Key]) -> dict[Key, set[int]]:
    """Which records ended in these events.

    ``keys`` are those of a checkpoint, in its order: an end names its source, and the
    adapter runs of one source follow each other.
    """
    runs: dict[str, list[Key]] = defaultdict(list)
    for key in keys:
        runs[key[0]].append(key)
    current: dict[str, int] = {}
    found: dict[Key, set[int]] = {key: set() for key in keys}
    names: dict[str, list[str]] = {source: [] for source in runs}
    for event in events:
        if isinstance(event, DocumentStarted):
            name = repr(event.parameters)
            if name not in names[event.adapter]:
                names[event.adapter].append(name)
            current[event.adapter] = names[event.adapter].index(name)
        elif isinstance(event, ENDS):
            source = adapter_of(event)
            found[runs[source][current[source]]].add(event.record_number)
    return found


def check_covers(
    checkpoint: Checkpoint,
    acknowledged: Iterable[PipelineEvent],
    *,
    before: Checkpoint | None = None,
) -> None:
    """It covers exactly the ends in ``acknowledged``, and what ``before`` covered already."""
    got = covered_by(checkpoint)
    wanted = ends_of(acknowledged, list(got))
    if before is not None:
        for key, numbers in covered_by(before).items():
            wanted[key] |= numbers
    assert got == wanted


def check_checkpoints(
    events: Sequence[PipelineEvent], *, before: Checkpoint | None = None
) -> None:
    """Each checkpoint in a progress event covers exactly the ends before that event."""
    for place, event in enumerate(events):
        if isinstance(event, BatchProgress) and event.checkpoint is not None:
            check_covers(event.checkpoint, events[:place], before=before)


def check_cursors(
    events: Sequence[PipelineEvent], script: Sequence[object], source: str
) -> None:
    """A cursor in a checkpoint is one whose records have all ended before that event."""
    for place, event in enumerate(events):
        if not isinstance(event, BatchProgress) or event.checkpoint is None:
            continue
        for position in event.checkpoint.positions:
            if position.source != source or position.cursor_record is None:
                continue
            ended = ends_of(events[:place], [(source, position.parameters)])
            assert set(range(position.cursor_record)) <= ended[source, position.parameters]
            assert isinstance(position.cursor, int) and position.cursor < len(script)


def documents_of(events: Iterable[PipelineEvent]) -> list[str]:
    """The ids of the completed documents, in order."""
    return [e.document.doc_id for e in events if isinstance(e, DocumentCompleted)]


def names_of(events: Iterable[PipelineEvent], *, without: Container[type] = ()) -> list[str]:
    """What happened, one word each: for reading a whole run at a glance."""
    return [
        event.new_state if isinstance(event, AdapterStateChange) else type(event).__name__
        for event in events
        if type(event) not in without
    ]
