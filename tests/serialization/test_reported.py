"""Values that were reported to come back as others, and lines that were refused or changed."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Generic, TypeVar

import attrs
import pytest

from tests.serialization.values import BACK_ENDS
from trio_ingest import Cursor, Document, DocumentCompleted, PipelineEvent, UnknownEventError
from trio_ingest.serialization import EventCodec, OpaqueValue, UnknownEvent

BACK_END: Any = pytest.mark.parametrize("choice", BACK_ENDS)
Item = TypeVar("Item")


@attrs.frozen(kw_only=True)
class Merged(PipelineEvent):
    first: Document
    second: Document | None = None
    third: Document | None = None


@BACK_END
def test_each_document_of_an_event_is_its_own(choice: Any) -> None:
    codec = EventCodec([Merged], json=choice)
    a, b, c = (Document(name, "s", name.upper()) for name in "abc")
    for event in (
        Merged(first=a),
        Merged(first=a, second=b),
        Merged(first=a, third=c),
        Merged(first=a, second=b, third=c),
    ):
        assert codec.decode(codec.encode(event)) == event


@attrs.frozen
class Translated(Document):
    language: str = "en"


@BACK_END
def test_of_a_kind_of_document_the_document_is_written(choice: Any) -> None:
    codec = EventCodec(json=choice)
    event = DocumentCompleted(
        document=Translated("a", "s", "text", {"x": 1}), duration=0.5, adapter_metadata={}
    )
    found: Any = codec.decode(codec.encode(event))
    assert found.document == Document("a", "s", "text", {"x": 1})
    told = EventCodec([Translated], json=choice)
    assert told.decode(told.encode(event)) == event


@attrs.frozen
class Box(Generic[Item]):
    contents: Item


@attrs.frozen(kw_only=True)
class Boxed(PipelineEvent):
    box: Box[int]
    any_box: Box[Any]


@BACK_END
def test_a_generic_class_is_read_again(choice: Any) -> None:
    codec = EventCodec([Box, Boxed], json=choice)
    for item in (Cursor(Box(1)), Boxed(box=Box(1), any_box=Box(Box((2, b"x"))))):
        assert codec.decode(codec.encode(item)) == item


@attrs.frozen(kw_only=True)
class Held(PipelineEvent):
    items: Sequence[str]
    words: AbstractSet[str]
    counts: Mapping[str, int]


@BACK_END
@pytest.mark.parametrize("items", [["a"], ("a",)], ids=repr)
@pytest.mark.parametrize("words", [{"a"}, frozenset({"a"})], ids=repr)
def test_a_container_stays_of_its_class(choice: Any, items: Any, words: Any) -> None:
    codec = EventCodec([Held], json=choice)
    event = Held(items=items, words=words, counts={"a": 1})
    found: Any = codec.decode(codec.encode(event))
    assert found == event
    assert (type(found.items), type(found.words)) == (type(items), type(words))


@attrs.frozen(kw_only=True)
class FeedFailed(PipelineEvent):
    error: Any
    error_type: str


@BACK_END
def test_an_error_of_ones_own_is_left_alone(choice: Any) -> None:
    codec = EventCodec([FeedFailed], json=choice)
    event = FeedFailed(error={"code": 5, "message": "no"}, error_type="x")
    assert codec.decode(codec.encode(event)) == event


class Headers(Mapping[str, str]):
    """As those of HTTP, of which a name may come twice."""

    def __getitem__(self, name: str) -> str:
        return "a=1"

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Any:
        return iter(["Set-Cookie", "Set-Cookie"])

    def items(self) -> Any:
        return [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]


@BACK_END
def test_a_name_that_comes_twice_is_not_lost_silently(choice: Any) -> None:
    codec = EventCodec(json=choice)
    found: Any = codec.decode(codec.encode(Cursor(Headers())))
    assert type(found.value) is OpaqueValue


@BACK_END
def test_a_newer_line_with_a_new_tag_is_known_as_newer(choice: Any) -> None:
    line = '{"type":"Cursor","version":2,"value":{"$":"complex","value":"1j"}}'
    with pytest.raises(UnknownEventError, match="has the version 2"):
        EventCodec(json=choice).decode(line)
    kept = EventCodec(json=choice, unknown_events="keep")
    found: Any = kept.decode(line)
    assert type(found) is UnknownEvent
    assert json.loads(kept.encode(found)) == json.loads(line)


@BACK_END
@pytest.mark.parametrize("version", ["2.1", 1.0, None, True])
def test_an_unknown_line_is_written_as_it_came(choice: Any, version: Any) -> None:
    kept = EventCodec(json=choice, unknown_events="keep")
    form = {"type": "Moved", "version": version, "sequence": 3}
    found: Any = kept.decode(json.dumps(form))
    assert json.loads(kept.encode(found)) == form
    assert kept.decode(kept.encode(found)) == found


class Nobodys(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other

    __hash__: Any = None


class WithoutHash(metaclass=Nobodys):
    pass


class Half(enum.Enum):
    ONE = 1


@BACK_END
def test_nothing_that_a_record_holds_makes_it_fail(choice: Any) -> None:
    codec = EventCodec(json=choice)
    half_made = object.__new__(OpaqueValue)
    for value in (WithoutHash(), half_made, {"a": [WithoutHash(), half_made, Half.ONE]}):
        assert codec.decode(codec.encode(Cursor(value))) is not None


@BACK_END
def test_a_line_may_be_in_any_buffer(choice: Any) -> None:
    codec = EventCodec(json=choice)
    line = codec.encode(Cursor(b"x"))
    for data in (line, bytearray(line), memoryview(line), line.decode()):
        assert codec.decode(data) == Cursor(b"x")  # type: ignore[arg-type]


@BACK_END
def test_as_many_parts_are_written_by_either_way(
    choice: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trio_ingest.serialization._values.MOST_PARTS", 1000)
    codec = EventCodec(json=choice)
    whole, more = [{"id": i} for i in range(490)], [{"id": i} for i in range(510)]
    assert codec.decode(codec.encode(Cursor(whole))) == Cursor(whole)
    assert b"with too many parts around it" in codec.encode(Cursor(more))
