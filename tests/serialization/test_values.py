"""How each kind of value is written."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import math
import pathlib
import types
import uuid
from typing import Any, NamedTuple

import attrs
import pytest

from tests.serialization.values import CODECS, Place, completed, same
from trio_ingest import Checkpoint, Document
from trio_ingest.serialization import OpaqueValue

BERLIN = datetime.timezone(datetime.timedelta(hours=1))


class Colour(enum.Enum):
    RED = "red"
    BLUE = b"blue"


class Size(enum.StrEnum):
    BIG = "big"


class Number(enum.IntEnum):
    TWO = 2


class Name(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


class Count(int):
    def __repr__(self) -> str:
        return "many"


class Length(float):
    def __repr__(self) -> str:
        return "long"


class Pair(NamedTuple):
    one: int
    two: str


class Numeric:
    """As numpy's whole numbers are: registered, and no subclass of int."""

    def __int__(self) -> int:
        return 7


@pytest.fixture(autouse=True, scope="module")
def _registered() -> None:
    import numbers

    numbers.Integral.register(Numeric)


def tag(name: str, value: Any) -> dict[str, Any]:
    return {"$": name, "value": value}


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize(
    ("value", "form"),
    [
        (None, None),
        ([True, 1, -0.0, "x", {"a": []}], [True, 1, -0.0, "x", {"a": []}]),
        (b"\xff\n", tag("bytes", "/wo=")),
        (
            datetime.datetime(2026, 1, 2, tzinfo=BERLIN),
            tag("datetime", "2026-01-02T00:00:00+01:00"),
        ),
        (
            datetime.datetime(2026, 10, 25, 2, fold=1),  # noqa: DTZ001 -- on purpose
            {**tag("datetime", "2026-10-25T02:00:00"), "fold": 1},
        ),
        (datetime.date(2026, 1, 2), tag("date", "2026-01-02")),
        (datetime.time(1, 2, 3, 4), tag("time", "01:02:03.000004")),
        (datetime.timedelta(-1, 2, 3), tag("timedelta", [-1, 2, 3])),
        (decimal.Decimal("1.50"), tag("Decimal", "1.50")),
        (uuid.UUID(int=1), tag("UUID", "00000000-0000-0000-0000-000000000001")),
        (pathlib.Path("a/b"), tag("Path", "a/b")),
        (pathlib.PurePosixPath("a"), tag("PurePosixPath", "a")),
        (pathlib.PureWindowsPath("a/b"), tag("PureWindowsPath", "a\\b")),
        ((1, "x"), tag("tuple", [1, "x"])),
        ({"b", "a", 1}, tag("set", ["a", "b", 1])),
        (frozenset({(1,)}), tag("frozenset", [tag("tuple", [1])])),
        (math.nan, tag("float", "nan")),
        (-math.inf, tag("float", "-inf")),
        ("half \ud800 \\", tag("str", "half \\ud800 \\\\")),
        (2**64 - 1, 2**64 - 1),
        (2**64, tag("int", "0x10000000000000000")),
        (-(2**63), -(2**63)),
        (-(2**63) - 1, tag("int", "-0x8000000000000001")),
        (10**5000, tag("int", hex(10**5000))),
        ({1: "x", None: 2.5}, tag("dict", [[1, "x"], [None, 2.5]])),
        ({"$": 1, "a": 2}, tag("dict", [["$", 1], ["a", 2]])),
        ({"\ud800": 1}, tag("dict", [[tag("str", "\\ud800"), 1]])),
        ({"a": {"$": 1}}, {"a": tag("dict", [["$", 1]])}),
        (
            Place("x", 1.5),
            {
                "$": "object",
                "class": "Place",
                "value": {"name": "x", "width": 1.5, "inside": None},
            },
        ),
        (
            Checkpoint(()),
            {"$": "object", "class": "Checkpoint", "value": {"version": 1, "positions": []}},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_is_written_so_and_comes_back(codec: Any, value: Any, form: Any) -> None:
    event = completed(value, value=value)
    found = codec.to_dict(event)["document"]
    assert same(found["raw"], form)
    assert same(found["metadata"]["value"], form)
    assert same(codec.decode(codec.encode(event)), event)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ([Colour.RED, Colour.BLUE, Size.BIG, Number.TWO], ["red", b"blue", "big", 2]),
        ([Name("x"), Count(3), Length(0.5), Numeric()], ["x", 3, 0.5, 7]),
        ({Name("x"): Size.BIG, Size.BIG: 1}, {"x": "big", "big": 1}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.Counter("aab"), {"a": 2, "b": 1}),
        (collections.defaultdict(list, {1: []}), {1: []}),
        (types.MappingProxyType({"a": 1}), {"a": 1}),
        (Pair(1, "x"), (1, "x")),
        (bytearray(b"x"), b"x"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_a_kind_of_something_is_written_as_that(
    codec: Any, value: Any, plain: Any
) -> None:
    assert codec.encode(completed(value)) == codec.encode(completed(plain))
    document = codec.decode(codec.encode(completed(value, value=value))).document
    assert same(document.raw, plain)
    assert same(document.metadata["value"], plain)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_each_value_in_a_field_of_its_own_comes_back(codec: Any) -> None:
    # Where a back end would take a tuple for a list, and NaN for null, without a word.
    event = completed(0, n=math.nan)
    for name, value in {"duration": math.inf, "adapter_metadata": {"n": math.nan}}.items():
        changed = attrs.evolve(event, **{name: value})
        assert same(codec.decode(codec.encode(changed)), changed)


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_what_the_field_may_not_hold_is_described(codec: Any) -> None:
    event = completed()
    for content in (None, b"text", 5, ("a",), uuid.UUID(int=1), ["a"]):
        document = Document("a", "feed", content, None, {})  # type: ignore[arg-type]
        found = codec.decode(codec.encode(attrs.evolve(event, document=document))).document
        assert type(found.content) is OpaqueValue
        assert found.content.type_name in {type(content).__name__, "uuid.UUID"}
    for metadata in (None, [], "text"):
        document = Document("a", "feed", "text", None, metadata)  # type: ignore[arg-type]
        found = codec.decode(codec.encode(attrs.evolve(event, document=document))).document
        assert type(found.metadata) is OpaqueValue
    for number in (True, 0.5, None):
        changed = attrs.evolve(event, record_number=number)
        assert type(codec.decode(codec.encode(changed)).record_number) is OpaqueValue
    assert codec.decode(codec.encode(attrs.evolve(event, duration=1))).duration == 1


@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_a_mapping_that_many_events_share_is_looked_at_when_it_changes(codec: Any) -> None:
    shared: dict[str, Any] = {"adapter": "feed", "parameters": {"n": 1}}
    for value in (1, True, 1.0, (1,), math.nan, "x", Number.TWO, [1], uuid.UUID(int=1)):
        shared["parameters"]["n"] = value
        event = attrs.evolve(completed(), adapter_metadata=shared)
        found = codec.decode(codec.encode(event)).adapter_metadata["parameters"]["n"]
        assert same(found, 2 if value is Number.TWO else value)


def test_an_exception_is_described_as_any_object_is() -> None:
    for codec in CODECS.values():
        found = codec.decode(codec.encode(completed(KeyError("text")))).document.raw
        assert found == OpaqueValue("KeyError", "KeyError('text')")
