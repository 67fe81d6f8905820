"""What must be true of any list of events that one stream gave, written once for all tests.

Every check takes the events in the order in which the consumer received them, from the
first one on, and raises ``AssertionError`` with the event at fault.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from tests import worlds
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
from trio_ingest._core.run import NEXT_STATES

Key: TypeAlias = tuple[str, str]
"""A source and the canonical JSON of its params: what keys a position."""
RecordKey: TypeAlias = tuple[str, str, int]
"""The same and a record number: what names a record in one run."""

ENDS = (DocumentCompleted, DocumentFailed, DocumentSkipped)


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


def canonical(parameters: Mapping[str, object]) -> str:
    """The one spelling of some params, as a checkpoint's positions have it."""
    return json.dumps(dict(parameters), sort_keys=True, separators=(",", ":"), default=str)


def keyed(events: Iterable[PipelineEvent]) -> Iterator[tuple[RecordKey, PipelineEvent]]:
    """The events about documents, each with what names its record.

    An end names its source alone: the adapter runs of one source follow each other, so it
    belongs to the one that started a record last.
    """
    current: dict[str, str] = {}
    for event in events:
        if isinstance(event, DocumentStarted):
            current[event.adapter] = canonical(event.parameters)
            yield (event.adapter, current[event.adapter], event.record_number), event
        elif isinstance(event, (DocumentRetrying, *ENDS)):
            source = adapter_of(event)
            yield (source, current.get(source, "?"), event.record_number), event


def stories_of(events: Iterable[PipelineEvent]) -> dict[RecordKey, list[str]]:
    """What happened to each record, one word for each event."""
    stories: dict[RecordKey, list[str]] = defaultdict(list)
    for key, event in keyed(events):
        stories[key].append(type(event).__name__.removeprefix("Document"))
    return dict(stories)


def check_shape(events: Sequence[PipelineEvent], *, whole: bool = True) -> None:
    """Each record: started, any retries, then one end; ``whole``: none is left open."""
    retries: dict[RecordKey, int] = {}
    ended: set[RecordKey] = set()
    for key, event in keyed(events):
        if isinstance(event, DocumentStarted):
            assert key not in retries, f"started twice: {event}"
            assert key not in ended, f"started after its end: {event}"
            retries[key] = 0
        elif isinstance(event, DocumentRetrying):
            assert key in retries, f"retried without a start: {event}"
            retries[key] += 1
            assert event.retry_count == retries[key], event
        else:
            assert key in retries, f"ended without a start, or twice: {event}"
            count = retries.pop(key)
            ended.add(key)
            if isinstance(event, DocumentCompleted | DocumentFailed):
                assert event.retry_count == count, event
    assert not (whole and retries), f"never ended: {retries}"


def check_states(events: Sequence[PipelineEvent], *, whole: bool = True) -> None:
    """An adapter's states follow each other, and its documents lie in between."""
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


def check_counts(events: Sequence[PipelineEvent], *, already_done: int = 0) -> None:
    """A progress event counts what has a lower sequence, and in flight is what is in flight.

    ``already_done``: at most so many records were known as done before any work, which
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
            assert skipped <= event.skipped <= skipped + already_done, event


def check_order(events: Iterable[PipelineEvent], *, ends: bool = True) -> None:
    """Records start in the order of the source, and, with ``ends``, end in it too."""
    started: dict[Key, int] = defaultdict(lambda: -1)
    ended: dict[Key, int] = defaultdict(lambda: -1)
    for (source, parameters, number), event in keyed(events):
        key = source, parameters
        if isinstance(event, DocumentStarted):
            assert number > started[key], event
            started[key] = number
        elif ends and isinstance(event, ENDS):
            assert number > ended[key], event
            ended[key] = number


def covered(position: Position) -> set[int]:
    """The record numbers that a position says have ended."""
    numbers = set(range(position.watermark))
    for start, stop in position.ended:
        numbers.update(range(start, stop))
    return numbers


def covered_by(checkpoint: Checkpoint) -> dict[Key, set[int]]:
    """The same for a whole checkpoint."""
    return {(p.source, p.parameters): covered(p) for p in checkpoint.positions}


def ends_of(events: Iterable[PipelineEvent]) -> dict[Key, set[int]]:
    """Which records ended in these events."""
    found: dict[Key, set[int]] = defaultdict(set)
    for (source, parameters, number), event in keyed(events):
        if isinstance(event, ENDS):
            found[source, parameters].add(number)
    return found


def check_covers(
    checkpoint: Checkpoint,
    acknowledged: Iterable[PipelineEvent],
    *,
    before: Checkpoint | None = None,
    already_done: Mapping[Key, set[int]] | None = None,
) -> None:
    """It covers exactly the ends in ``acknowledged``, and what ``before`` did already.

    ``already_done``: records known as done before any work, which no event tells; they may
    be covered besides.
    """
    got = covered_by(checkpoint)
    earlier = {} if before is None else covered_by(before)
    ended = ends_of(acknowledged)
    assert set(ended) <= set(got)
    for key, numbers in got.items():
        wanted = ended.get(key, set()) | earlier.get(key, set())
        assert wanted <= numbers, f"{key} lacks {wanted - numbers}"
        rest = numbers - wanted - (already_done or {}).get(key, set())
        assert not rest, f"{key} claims {rest}"


def check_checkpoints(
    events: Sequence[PipelineEvent],
    *,
    before: Checkpoint | None = None,
    already_done: Mapping[Key, set[int]] | None = None,
) -> None:
    """Each checkpoint in a progress event covers exactly the ends before that event."""
    for place, event in enumerate(events):
        if isinstance(event, BatchProgress) and event.checkpoint is not None:
            check_covers(
                event.checkpoint, events[:place], before=before, already_done=already_done
            )


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
            ended = ends_of(events[:place])[source, position.parameters]
            assert set(range(position.cursor_record)) <= ended
            assert position.cursor in range(len(script))


def documents_of(events: Iterable[PipelineEvent]) -> list[str]:
    """The ids of the completed documents, in order."""
    return [e.document.doc_id for e in events if isinstance(e, DocumentCompleted)]


def names_of(events: Sequence[PipelineEvent], *, without: Container[type] = ()) -> list[str]:
    """What happened, one word each: for reading a whole run at a glance.

    Across the bridge, of the progress events the last one alone: the other clock does not
    wait for the consumer, so those by time may come anywhere.
    """
    one_clock = worlds.current.name != "bridge"
    return [
        event.new_state if isinstance(event, AdapterStateChange) else type(event).__name__
        for event in events
        if type(event) not in without
        and (one_clock or event is events[-1] or not isinstance(event, BatchProgress))
    ]
