"""Classes of the user's own."""

from __future__ import annotations

import datetime
import enum
import pathlib
from typing import Annotated, Any, ClassVar, Literal

import attrs
import cattrs
import pytest

from tests.serialization.values import BACK_ENDS, EXTRA, PageRead, Place, Visited, completed
from trio_ingest import Checkpoint, DocumentStarted, PipelineEvent, SetupError
from trio_ingest.serialization import DecodeError, EventCodec, OpaqueValue

BACK_END: Any = pytest.mark.parametrize("choice", BACK_ENDS)
VISITED = Visited(
    when=datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    place=Place("x", 1.5, {1: b"x"}),
    former=None,
    path=pathlib.Path("a"),
    sizes=[1, 2],
    corner=(1, 2),
    words=frozenset({"a"}),
    number_or_text="x",
    ratio=0.5,
    is_open=True,
    data=b"x",
    error=None,
)


class Level(enum.Enum):
    LOW = 1
    HIGH = b"high"


@attrs.frozen(kw_only=True)
class Rated(PipelineEvent):
    level: Level
    stars: Literal[1, 2] | None
    mark: Annotated[int | None, "of ten"]
    checkpoint: Checkpoint
    other: Any = None


@attrs.define
class Node:
    name: str
    below: Node | None = None


@attrs.frozen(kw_only=True)
class Grown(PipelineEvent):
    tree: Node


@attrs.define
class Checked:
    size: int = attrs.field(validator=attrs.validators.gt(0))
    _hidden: str = "x"
    area: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.area = self.size**2


@BACK_END
def test_events_and_objects_of_ones_own_come_back(choice: Any) -> None:
    codec = EventCodec([*EXTRA, Rated, Level and Node, Grown, Checked], json=choice)
    for event in (
        VISITED,
        attrs.evolve(VISITED, former=Place("y"), number_or_text=5),
        PageRead(page=1, notes=[Place("x"), VISITED, DocumentStarted]),
        Rated(level=Level.HIGH, stars=2, mark=None, checkpoint=Checkpoint(())),
        Rated(level=Level.LOW, stars=None, mark=5, checkpoint=Checkpoint(()), other=b"x"),
        Grown(tree=Node("a", Node("b", Node("c")))),
        completed([Checked(5, "y"), Node("a")]),
    ):
        found = codec.decode(codec.encode(event))
        if isinstance(event, PageRead):
            assert type(found.notes.pop()) is OpaqueValue
            event.notes.pop()
        assert found == event
        assert codec.encode(found) == codec.encode(event)
    assert EventCodec([Checked], json=choice).to_dict(completed(Checked(5)))["document"][
        "raw"
    ]["value"] == {"size": 5, "_hidden": "x"}


@BACK_END
def test_an_exception_in_a_field_is_described(choice: Any) -> None:
    codec = EventCodec(EXTRA, json=choice)
    found = codec.decode(codec.encode(attrs.evolve(VISITED, error=ValueError("x"))))
    assert found == attrs.evolve(VISITED, error=OpaqueValue("ValueError", "ValueError('x')"))


@BACK_END
@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("when", "2026-01-02", "is '2026-01-02', not datetime"),
        (
            "place",
            {"$": "object", "class": "Document", "value": {}},
            "place.doc_id is missing",
        ),
        ("place", {"name": 5, "width": None, "inside": None}, "place.name is 5, not str"),
        ("sizes", "12", "is '12', not list[int]"),
        ("sizes", [1, "x"], "sizes[1] is 'x', not int"),
        ("corner", {"x": 1}, "is {'x': 1}, not tuple[int, int]"),
        ("corner", [1, 2, 3], "Too many values"),
        ("number_or_text", 1.5, "1.5 (<class 'float'>) not part of int | str"),
    ],
)
def test_a_field_is_held_to_its_annotation(
    choice: Any, field: str, value: Any, why: str
) -> None:
    codec = EventCodec(EXTRA, json=choice)
    with pytest.raises(DecodeError) as caught:
        codec.from_dict({**codec.to_dict(VISITED), field: value})
    assert why in str(caught.value)


@BACK_END
def test_a_class_may_refuse_what_was_written(choice: Any) -> None:
    codec = EventCodec([Checked, Rated], json=choice)
    form = codec.to_dict(completed(Checked(5)))
    form["document"]["raw"]["value"]["size"] = 0
    with pytest.raises(
        DecodeError, match=r"document\.raw is refused by its class: ValueError"
    ):
        codec.from_dict(form)
    rated = Rated(level=Level.LOW, stars=1, mark=1, checkpoint=Checkpoint(()))
    for field, value in {"level": 7, "stars": 3, "mark": "x"}.items():
        with pytest.raises(DecodeError, match=rf"Rated\.{field} is "):
            codec.from_dict({**codec.to_dict(rated), field: value})
    wrong = attrs.evolve(rated, level="low")
    assert type(codec.decode(codec.encode(wrong)).level) is OpaqueValue


def test_what_stands_in_the_way_is_refused() -> None:
    @attrs.frozen(kw_only=True)
    class Typed(PipelineEvent):
        type: str

    @attrs.frozen(kw_only=True)
    class Unversioned(PipelineEvent):
        version: ClassVar[int] = 0

    other = attrs.make_class("Place", ["x"])
    for extra, why in (
        ([Place, other], "Two classes are called Place"),
        ([Place, Place], "Two classes are called Place"),
        ([attrs.make_class("Checkpoint", ["x"])], "Two classes are called Checkpoint"),
        ([DocumentStarted], "Two classes are called DocumentStarted"),
        ([dict], "extra must hold classes made with attrs.frozen; got <class 'dict'>"),
        ([Place("x")], r"extra must hold classes made with attrs.frozen; got Place\("),
        ([Typed], "Typed has a field 'type', which a line needs"),
        ([Unversioned], "Unversioned.version must be a whole number from 1; got 0"),
    ):
        with pytest.raises(SetupError, match=why):
            EventCodec(extra)  # type: ignore[arg-type] # on purpose


def test_only_what_is_a_line_is_encoded() -> None:
    codec = EventCodec(EXTRA)
    for item in (Place("x"), {}, None, "x", completed().document):
        with pytest.raises(SetupError, match=r"^Only an event, a Checkpoint or a Cursor"):
            codec.encode(item)  # type: ignore[arg-type]


def test_annotations_that_cannot_be_resolved_are_anything() -> None:
    class Inside:
        pass

    @attrs.frozen(kw_only=True)
    class Odd(PipelineEvent):
        inside: Inside
        missing: Missing  # type: ignore[name-defined] # noqa: F821 -- on purpose

    codec = EventCodec([Odd])
    event = Odd(inside=5, missing=b"x")  # type: ignore[arg-type]
    assert codec.decode(codec.encode(event)) == event


def test_the_converter_serves_structures_around_events() -> None:
    @attrs.frozen
    class Log:
        name: str
        events: list[PageRead]

    converter = EventCodec(EXTRA).converter
    assert isinstance(converter, cattrs.Converter)
    log = Log("x", [PageRead(page=1, notes=b"x")])
    form = converter.unstructure(log)
    assert form["events"][0]["notes"] == {"$": "bytes", "value": "eA=="}
    hints = {"PageRead": PageRead}
    attrs.resolve_types(Log, globalns=hints)
    assert converter.structure(form, Log) == log


def test_a_codec_of_ones_own_may_write_otherwise() -> None:
    class Loud(EventCodec):
        def encode(self, item: Any) -> bytes:
            return super().encode(item) + b"!"

    assert Loud().encode(completed()).endswith(b"}!")
