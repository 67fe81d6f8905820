"""An event is an immutable value, whether the engine built it or somebody else did."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
)
from trio_ingest._core import events as built
from trio_ingest._core.events import ENGINE_EVENTS

ERROR = ValueError("bad")
BASE: dict[str, Any] = {"timestamp": 1.5, "pipeline_id": "run", "sequence": 7}
FIELDS: dict[type[PipelineEvent], dict[str, Any]] = {
    DocumentStarted: {
        "doc_id": "d",
        "adapter": "feed",
        "parameters": {"since": 1},
        "record_number": 3,
    },
    DocumentCompleted: {
        "document": Document("d", "feed", "text"),
        "duration": 0.5,
        "adapter_metadata": {"adapter": "feed", "parameters": {}},
        "record_number": 3,
        "retry_count": 1,
    },
    DocumentFailed: {
        "doc_id": None,
        "error": ERROR,
        "error_type": "ValueError",
        "retry_count": 0,
        "is_retryable": False,
        "traceback": "Traceback",
        "adapter": "feed",
        "record_number": 3,
        "raw": {"raw": 1},
    },
    DocumentSkipped: {
        "doc_id": "d",
        "adapter": "feed",
        "record_number": 3,
        "reason": "already completed",
    },
    DocumentRetrying: {
        "doc_id": "d",
        "adapter": "feed",
        "error": ERROR,
        "error_type": "ValueError",
        "retry_count": 1,
        "delay_seconds": 0.25,
        "record_number": 3,
    },
    BatchProgress: {
        "completed": 1,
        "failed": 2,
        "in_flight": 3,
        "estimated_total": 4,
        "eta_seconds": 5.0,
        "skipped": 6,
        "queue_depth": 7,
        "buffer_size": 8,
        "fetch_seconds": 9.0,
        "parse_seconds": 10.0,
        "consumer_seconds": 11.0,
        "throttle_seconds": 12.0,
        "checkpoint": Checkpoint(()),
    },
    AdapterStateChange: {
        "adapter": "feed",
        "old_state": "pending",
        "new_state": "running",
        "reason": None,
    },
}
BUILDERS: dict[type[PipelineEvent], Callable[..., Any]] = {
    DocumentStarted: built.build_started,
    DocumentCompleted: built.build_completed,
    DocumentFailed: built.build_failed,
    DocumentSkipped: built.build_skipped,
    DocumentRetrying: built.build_retrying,
    BatchProgress: built.build_progress,
    AdapterStateChange: built.build_state_change,
}
EVERY = pytest.mark.parametrize("kind", ENGINE_EVENTS)
EITHER = pytest.mark.parametrize("by_engine", [True, False], ids=["built", "keywords"])


def make(kind: type[PipelineEvent], *, by_engine: bool, **changes: Any) -> Any:
    fields = BASE | FIELDS[kind] | changes
    return BUILDERS[kind](*fields.values()) if by_engine else kind(**fields)


def test_every_engine_event_is_tested_here() -> None:
    assert set(ENGINE_EVENTS) == set(FIELDS) == set(BUILDERS)


@EVERY
def test_fields_are_the_documented_ones_in_the_documented_order(
    kind: type[PipelineEvent],
) -> None:
    assert [f.name for f in attrs.fields(kind)] == [*BASE, *FIELDS[kind]]
    assert kind.version == 1


@EVERY
@EITHER
def test_event_has_what_it_was_made_of(kind: type[PipelineEvent], by_engine: bool) -> None:
    event = make(kind, by_engine=by_engine)
    assert type(event) is kind
    assert attrs.asdict(event, recurse=False) == BASE | FIELDS[kind]


@EVERY
def test_engines_event_is_equal_to_anybody_elses(kind: type[PipelineEvent]) -> None:
    event, other = make(kind, by_engine=True), make(kind, by_engine=False)
    assert event == other
    assert other == event
    assert repr(event) == repr(other)


@EVERY
@EITHER
def test_event_differs_when_any_field_differs(
    kind: type[PipelineEvent], by_engine: bool
) -> None:
    event = make(kind, by_engine=by_engine)
    for name in BASE | FIELDS[kind]:
        assert event != make(kind, by_engine=by_engine, **{name: "something else"}), name


@EVERY
@EITHER
def test_event_cannot_be_changed(kind: type[PipelineEvent], by_engine: bool) -> None:
    event = make(kind, by_engine=by_engine)
    for name in (*BASE, *FIELDS[kind], "version", "anything"):
        with pytest.raises(AttributeError):
            setattr(event, name, 1)
        with pytest.raises(AttributeError):
            delattr(event, name)
    assert event == make(kind, by_engine=by_engine)
    assert not hasattr(event, "__dict__")


@EVERY
@EITHER
def test_event_can_be_copied_pickled_and_evolved(
    kind: type[PipelineEvent], by_engine: bool
) -> None:
    event = make(kind, by_engine=by_engine)
    assert copy.copy(event) == event
    assert attrs.evolve(event, sequence=8) == make(kind, by_engine=by_engine, sequence=8)
    for other in (copy.deepcopy(event), pickle.loads(pickle.dumps(event))):
        assert type(other) is kind
        if hasattr(event, "error"):  # exceptions are equal to themselves alone
            assert repr(other) == repr(event)
        else:
            assert other == event
        with pytest.raises(AttributeError):
            other.sequence = 9


@EVERY
def test_event_is_made_with_keywords_only(kind: type[PipelineEvent]) -> None:
    with pytest.raises(TypeError):
        kind(*(BASE | FIELDS[kind]).values())
    with pytest.raises(TypeError):
        kind(**BASE, **FIELDS[kind], other=1)


# What whoever makes an event by hand has to say.
REQUIRED: dict[type[PipelineEvent], list[str]] = {
    DocumentStarted: ["doc_id", "adapter", "parameters"],
    DocumentCompleted: ["document", "duration", "adapter_metadata"],
    DocumentFailed: ["doc_id", "error", "error_type", "retry_count", "is_retryable"],
    DocumentSkipped: ["doc_id", "adapter"],
    DocumentRetrying: ["doc_id", "adapter", "error", "retry_count"],
    BatchProgress: ["completed", "failed", "in_flight"],
    AdapterStateChange: ["adapter", "old_state", "new_state"],
}


@EVERY
def test_only_what_the_specification_has_is_required(kind: type[PipelineEvent]) -> None:
    needed = {name: FIELDS[kind][name] for name in REQUIRED[kind]}
    event: Any = kind(**needed)
    assert (event.timestamp, event.pipeline_id, event.sequence) == (0.0, "", 0)
    for name in FIELDS[kind].keys() - needed.keys():
        assert getattr(event, name) in ("", 0, None)
    for name in needed:
        rest = {key: value for key, value in needed.items() if key != name}
        with pytest.raises(TypeError, match=name):
            kind(**rest)


@EVERY
def test_event_matches_by_class_and_by_field(kind: type[PipelineEvent]) -> None:
    match make(kind, by_engine=True):
        case DocumentStarted(doc_id="d") | DocumentCompleted(document=Document(doc_id="d")):
            found: set[type[PipelineEvent]] = {DocumentStarted, DocumentCompleted}
        case DocumentFailed(doc_id=None, error=ValueError()):
            found = {DocumentFailed}
        case DocumentSkipped(reason=str()) | DocumentRetrying(retry_count=1):
            found = {DocumentSkipped, DocumentRetrying}
        case BatchProgress(eta_seconds=5.0) | AdapterStateChange(old_state="pending"):
            found = {BatchProgress, AdapterStateChange}
        case _:
            found = set()
    assert kind in found


def test_adapters_own_event_class_inherits_what_makes_it_an_event() -> None:
    @attrs.frozen(kw_only=True)
    class Page(PipelineEvent):
        number: int

    page = Page(number=3)
    assert (page.number, page.sequence, page.version) == (3, 0, 1)
    assert not isinstance(page, ENGINE_EVENTS)
    with pytest.raises(AttributeError):
        page.number = 4  # type: ignore[misc]


@EVERY
def test_engine_fills_a_twin_that_neither_guards_nor_slows_a_field(
    kind: type[PipelineEvent],
) -> None:
    # Setting and deleting share one slot of a type, and the slower of the two decides.
    twin = BUILDERS[kind].__kwdefaults__["_twin"]
    assert twin.__setattr__ is object.__setattr__
    assert twin.__delattr__ is object.__delattr__
