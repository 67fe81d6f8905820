"""Classes and lines that were taken for something else."""

from __future__ import annotations

import datetime
import enum
import itertools
import json
from typing import Any, Literal

import attrs
import jsonschema
import pytest

from tests.serialization.named_apart import Placed, Position
from tests.serialization.values import CODECS, completed
from trio_ingest import Cursor, DocumentSkipped, DocumentStarted, PipelineEvent
from trio_ingest.serialization import DecodeError, EventCodec, OpaqueValue
from trio_ingest.serialization import UnknownEvent as Kept

CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


class Odd(enum.Enum):
    ONE = 1
    NAN = float("nan")
    WITH_CODE = (1, len)

    @classmethod
    def _missing_(cls, value: object) -> Any:
        raise KeyError(value)


@attrs.frozen(kw_only=True)
class Numbered(PipelineEvent):
    odd: Odd
    same: Literal[Odd.ONE] = Odd.ONE
    data: Literal[b"x"] = b"x"


@attrs.frozen(kw_only=True)
class Typed(PipelineEvent):
    type: str
    version: int = 3  # type: ignore[misc]


def test_a_name_in_the_module_of_a_class_is_what_it_is_there() -> None:
    codec = EventCodec([Placed])
    event = Placed(at=Position.TOP, count=1)
    assert codec.decode(codec.encode(event)) == event
    line = codec.encode(event).replace(b'"count":1', b'"count":"x"')
    with pytest.raises(DecodeError, match=r"Placed\.count is 'x', not int"):
        codec.decode(line)


@pytest.mark.parametrize("odd", Odd)
def test_a_member_that_would_not_come_back_is_described(odd: Odd) -> None:
    codec = EventCodec([Numbered])
    json.dumps(codec.schema())
    found = codec.decode(codec.encode(Numbered(odd=odd)))
    assert isinstance(found, Numbered)
    assert found.same is Odd.ONE
    assert found.data == b"x"
    as_found: object = found.odd
    assert as_found is odd if odd is Odd.ONE else type(as_found) is OpaqueValue


@pytest.mark.parametrize("value", ["true", "1.0", "2", "[]"])
def test_a_value_of_no_member_is_refused_whatever_its_class_does(value: str) -> None:
    codec = EventCodec([Numbered])
    line = codec.encode(Numbered(odd=Odd.ONE)).replace(b'"odd":1', f'"odd":{value}'.encode())
    with pytest.raises(DecodeError, match=r"Numbered\.odd is "):
        codec.decode(line)


def test_an_event_that_was_not_told_does_not_pose_as_another() -> None:
    line = json.loads(EventCodec().encode(Typed(type="Cursor")))
    assert line["type"] == "Typed"
    assert line["version"] == 1
    assert (line["type_"], line["version_"]) == ("Cursor", 3)


@pytest.mark.parametrize("name", ["value", "mapping", "error"])
def test_a_class_may_be_called_as_a_part_of_the_schema(name: str) -> None:
    made = attrs.make_class(
        name, {"x": attrs.field(type=int)}, bases=(PipelineEvent,), kw_only=True
    )
    codec = EventCodec([made])
    validator = jsonschema.Draft202012Validator(codec.schema())
    line = json.loads(codec.encode(made(x=1)))
    assert validator.is_valid(line)
    assert not validator.is_valid({**line, "x": "no"})
    assert validator.is_valid(json.loads(codec.encode(completed({"a": [1]}))))


@pytest.mark.parametrize(("levels", "width"), [(110, 1), (12, 3)])
def test_classes_within_classes_make_no_more_code_than_python_takes(
    levels: int, width: int
) -> None:
    made: list[Any] = [attrs.frozen(type("C0", (), {"__annotations__": {"x": int}}))]
    for number in range(1, levels):
        names = [f"f{n}" for n in range(width)]
        hints = dict.fromkeys(names, made[-1] | None)
        space = {"__annotations__": hints, **dict.fromkeys(names)}
        made.append(attrs.frozen(type(f"C{number}", (), space)))
    space = {"__annotations__": {"c": made[-1]}}
    event = attrs.frozen(kw_only=True)(type("Chain", (PipelineEvent,), space))
    codec = EventCodec([*made, event])
    value = made[40 if levels > 40 else -1]()
    assert codec.decode(codec.encode(Cursor(value))) == Cursor(value)


@CODEC
def test_no_mapping_is_not_taken_for_the_last_one(codec: Any) -> None:
    for parameters in (None, {"many": list(range(200))}, None):
        event = DocumentStarted(
            doc_id="a",
            adapter="feed",
            parameters=parameters,  # type: ignore[arg-type]
            record_number=0,
        )
        found = codec.decode(codec.encode(event))
        is_none = type(found.parameters) is OpaqueValue
        assert is_none if parameters is None else found == event


class Vague(type):
    def __getattribute__(cls, name: str) -> Any:
        return 5 if name == "__qualname__" else type.__getattribute__(cls, name)


class Nameless(metaclass=Vague):
    pass


class Changed(set[int]):
    def __iter__(self) -> Any:
        return itertools.repeat(1)


class Posing(tuple[int]):  # noqa: SLOT001 -- a user's
    __class__ = list  # type: ignore[assignment]


@CODEC
def test_what_stands_for_a_value_may_itself_be_wrong(codec: Any) -> None:
    wrong: Any = 5
    for value in (Nameless(), OpaqueValue(wrong, wrong)):
        assert codec.decode(codec.encode(completed(value))).document.raw is not None
    assert codec.decode(codec.encode(completed(Changed({1})))).document.raw == {1}
    assert codec.decode(codec.encode(completed([Posing((1,))]))).document.raw == [(1,)]


def test_nothing_counts_as_a_part_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_ingest.serialization._values.MOST_PARTS", 1000)
    line = CODECS["json"].encode(Cursor([[None] * 900] * 900))
    assert b"with too many parts around it" in line
    assert line.count(b"null") < 1000


@CODEC
@pytest.mark.parametrize(
    "form",
    [
        {"$": "int", "value": "ff"},
        {"$": "int", "value": "0x_1"},
        {"$": "bytes", "value": "aGVsbG9="},
        {"$": "datetime", "value": "2026-01-02"},
        {"$": "datetime", "value": "2026-01-02T03:04:05Z"},
        {"$": "datetime", "value": "2026-01-02T03:04:05", "fold": 0},
        {"$": "datetime", "value": "2026-01-02T03:04:05", "fold": True},
        {"$": "date", "value": "20260102"},
        {"$": "time", "value": "03"},
        {"$": "timedelta", "value": [0, 100000, 0]},
        {"$": "Decimal", "value": "1_0"},
        {"$": "UUID", "value": "0" * 32},
        {"$": "str", "value": "\\u00e9"},
        {"$": "str", "value": "a"},
        {"$": "dict", "value": ["ab"]},
    ],
    ids=str,
)
def test_another_spelling_of_a_tag_is_refused(codec: Any, form: Any) -> None:
    line = json.dumps({"type": "Cursor", "version": 1, "value": form})
    with pytest.raises(DecodeError, match=rf"Cursor\.value is no {form['$']}: "):
        codec.decode(line)


@CODEC
def test_what_is_no_line_at_all_is_refused_with_its_place(codec: Any) -> None:
    for data, why in (
        (None, "is no JSON: cannot convert"),
        (b"\xef\xbb\xbf{}", "Unexpected UTF-8 BOM"),
    ):
        with pytest.raises(DecodeError, match=f"line 7: .*{why}"):
            codec.decode(data, line=7)
    with pytest.raises(DecodeError, match="line 7: the line is 5, not a JSON object"):
        codec.from_dict(5, line=7)
    with pytest.raises(
        DecodeError, match=r"Checkpoint has more than .*{'version': 1, 'positions': {}"
    ):
        codec.decode('{"type":"Checkpoint","version":1,"positions":{}}')
    text = type("Text", (str,), {})(codec.encode(Cursor(1)).decode())
    assert codec.decode(text) == Cursor(1)


@CODEC
def test_an_offset_of_less_than_a_second_is_kept_or_described(codec: Any) -> None:
    zone = datetime.timezone(-datetime.timedelta(microseconds=1))
    value = datetime.datetime(2026, 1, 2, tzinfo=zone)
    found = codec.decode(codec.encode(Cursor(value))).value
    assert type(found) is OpaqueValue or found.utcoffset() == value.utcoffset()


@CODEC
def test_an_unknown_event_that_was_made_up_can_be_read(codec: Any) -> None:
    keeping = EventCodec(unknown_events="keep")
    for fields in ({"type": 3, "version": 1}, {"type": "X", "version": "a"}):
        assert type(keeping.decode(codec.encode(Kept(fields=fields)))) is Kept


@attrs.define
class Envelope:
    event: PipelineEvent
    events: list[PipelineEvent]


def test_the_converter_knows_any_event_and_takes_no_other_for_one() -> None:
    converter = EventCodec().converter
    skipped = DocumentSkipped(doc_id="a", adapter="feed", record_number=4, reason="done")
    envelope = Envelope(skipped, [skipped])
    assert converter.structure(converter.unstructure(envelope), Envelope) == envelope
    with pytest.raises(DecodeError, match="is a Cursor, where a DocumentSkipped should be"):
        converter.structure(converter.unstructure(Cursor(1)), DocumentSkipped)
