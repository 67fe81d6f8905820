"""What the reader does not know: types, versions, fields."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import attrs
import pytest

from tests.serialization.values import BACK_ENDS, EXTRA, PageRead, Place, completed, same
from trio_ingest import Checkpoint, Document, PipelineEvent, Position, UnknownEventError
from trio_ingest.serialization import DecodeError, EventCodec, OpaqueValue, UnknownEvent

BACK_END: Any = pytest.mark.parametrize("choice", BACK_ENDS)
FOREIGN = {
    "type": "PageRead",
    "version": 1,
    "timestamp": 1.5,
    "pipeline_id": "p",
    "sequence": 3,
    "page": {"$": "bytes", "value": "eA=="},
    "more": [{"$": 1}, None],
}


@BACK_END
def test_an_unknown_type_is_an_error(choice: Any) -> None:
    with pytest.raises(
        UnknownEventError, match=r"^line 4: 'PageRead' is no type that is known here"
    ):
        EventCodec(json=choice).decode(json.dumps(FOREIGN), line=4)


@BACK_END
@pytest.mark.parametrize("name", ["Document", "Position", "Place"])
def test_what_is_only_a_part_of_a_line_is_no_type(choice: Any, name: str) -> None:
    with pytest.raises(UnknownEventError, match=f"'{name}' is no type"):
        EventCodec(EXTRA, json=choice).decode(json.dumps({"type": name, "version": 1}))


@BACK_END
def test_a_newer_version_is_refused(choice: Any) -> None:
    codec = EventCodec(json=choice)
    form = {**codec.to_dict(completed()), "version": 2, "news": 1}
    with pytest.raises(
        UnknownEventError, match="DocumentCompleted has the version 2, not one from 1 to 1"
    ):
        codec.decode(json.dumps(form))
    form = {"type": "Checkpoint", "version": 2, "positions": []}
    with pytest.raises(UnknownEventError, match="Checkpoint has the version 2"):
        codec.decode(json.dumps(form))


@BACK_END
def test_on_request_it_is_kept_as_it_came(choice: Any) -> None:
    codec = EventCodec(json=choice, unknown_events="keep")
    newer = {**codec.to_dict(completed()), "version": 2, "news": 1}
    for form in (FOREIGN, newer, {"version": 9, "sequence": "x", "type": "Other"}):
        event = codec.decode(json.dumps(form))
        assert isinstance(event, UnknownEvent)
        assert event.type_name == form["type"]
        assert event.fields == form
        again = json.loads(codec.encode(event))
        assert again == form
        assert list(again)[:2] == ["type", "version"]
        assert codec.decode(codec.encode(event)) == event
        assert codec.from_dict(codec.to_dict(event)) == event
    kept = codec.decode(json.dumps(FOREIGN))
    assert isinstance(kept, UnknownEvent)
    assert (kept.timestamp, kept.pipeline_id, kept.sequence) == (1.5, "p", 3)
    assert kept == EventCodec(unknown_events="keep", json="json").from_dict(FOREIGN)


@BACK_END
def test_what_was_kept_is_read_by_who_knows_it(choice: Any) -> None:
    event = PageRead(page=5, notes=b"x")
    keeping = EventCodec(json=choice, unknown_events="keep")
    kept = keeping.decode(EventCodec(EXTRA, json=choice).encode(event))
    assert isinstance(kept, UnknownEvent)
    assert EventCodec(EXTRA, json=choice).decode(keeping.encode(kept)) == event


@BACK_END
def test_an_object_that_nobody_told_of_makes_its_event_unknown(choice: Any) -> None:
    line = EventCodec(EXTRA, json=choice).encode(completed([Place("x")]))
    with pytest.raises(
        UnknownEventError, match=r"document\.raw\[0\] is of the class 'Place', which is not"
    ):
        EventCodec(json=choice).decode(line)
    kept = EventCodec(json=choice, unknown_events="keep").decode(line)
    assert isinstance(kept, UnknownEvent)
    assert kept.type_name == "DocumentCompleted"


@BACK_END
def test_an_unknown_event_of_anything_is_written_all_the_same(choice: Any) -> None:
    codec = EventCodec(json=choice, unknown_events="keep")
    for fields in (
        {},
        {"type": "X", "version": 1, "a": object()},
        {"type": "X", "version": b""},
    ):
        found = codec.decode(codec.encode(UnknownEvent(fields=fields)))
        assert isinstance(found, UnknownEvent)
        assert found.type_name == "UnknownEvent"
    large = {"type": "X", "version": 1, "a": 2**70, "b": [[]]}
    for _ in range(300):
        large["b"] = [large["b"]]
    assert json.loads(codec.encode(UnknownEvent(fields=large))) == large


@BACK_END
def test_an_event_that_nobody_told_of_is_written_and_read_as_unknown(choice: Any) -> None:
    codec = EventCodec(json=choice, unknown_events="keep")
    event = PageRead(page=5, notes=[Place("x"), b"x"])
    kept = codec.decode(codec.encode(event))
    assert isinstance(kept, UnknownEvent)
    assert kept.type_name == "PageRead"
    told = EventCodec(EXTRA, json=choice).decode(codec.encode(event))
    assert isinstance(told, PageRead)
    assert told.page == 5
    assert type(told.notes[0]) is OpaqueValue


@BACK_END
def test_an_untold_event_does_not_pass_for_one_of_ours(choice: Any) -> None:
    @attrs.frozen(kw_only=True)
    class DocumentStarted(PipelineEvent):
        page: int

    codec = EventCodec(json=choice, unknown_events="keep")
    kept = codec.decode(codec.encode(DocumentStarted(page=1)))
    assert isinstance(kept, UnknownEvent)
    assert kept.type_name.endswith("<locals>.DocumentStarted")


@BACK_END
@pytest.mark.parametrize(
    "path", ["colour", "document.colour", "adapter_metadata.colour"], ids=str
)
def test_an_unknown_field_is_refused(choice: Any, path: str) -> None:
    codec = EventCodec(json=choice)
    form = codec.to_dict(completed())
    *around, last = path.split(".")
    (form[around[0]] if around else form)[last] = {"$": "bytes", "value": "eA=="}
    line = json.dumps(form)
    if path.startswith("adapter_metadata"):
        # A mapping may have any key.
        found = codec.decode(line)
        assert same(
            found,
            attrs.evolve(
                completed(),
                adapter_metadata={**completed().adapter_metadata, "colour": b"x"},
            ),
        )
        return
    with pytest.raises(
        DecodeError, match=r"^line 5: DocumentCompleted.* 'colour' that there is"
    ):
        codec.decode(line, line=5)


@BACK_END
def test_an_unknown_field_of_a_position_is_not_passed_over(choice: Any) -> None:
    checkpoint = Checkpoint((Position("feed", "{}", 5),))
    event = {"type": "Checkpoint", **checkpoint.to_dict()}
    event["positions"][0]["colour"] = "red"
    line = json.dumps(event)
    with pytest.raises(
        DecodeError, match=r"^Checkpoint has more than a checkpoint has: .*positions"
    ):
        EventCodec(json=choice).decode(line)


@BACK_END
def test_an_older_version_may_lack_what_has_a_default(choice: Any) -> None:
    @attrs.frozen(kw_only=True)
    class Moved(PipelineEvent):
        version: ClassVar[int] = 2
        place: str
        speed: float = 1.5

    codec = EventCodec([Moved], json=choice)
    form = codec.to_dict(Moved(place="x"))
    assert form["version"] == 2
    del form["speed"]
    with pytest.raises(DecodeError, match=r"Moved\.speed is missing"):
        codec.decode(json.dumps(form))
    assert codec.decode(json.dumps({**form, "version": 1})) == Moved(place="x")
    with pytest.raises(DecodeError, match=r"Moved\.place is missing"):
        codec.decode(json.dumps({"type": "Moved", "version": 1}))


def test_a_document_read_is_one_of_its_own() -> None:
    codec = EventCodec()
    form = codec.to_dict(completed({"a": [1]}))
    event: Any = codec.from_dict(form)
    form["document"]["raw"]["a"].append(2)
    assert event.document == Document("a", "feed", "text", {"a": [1]}, {})
