"""The JSON Schema, by a real validator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from tests.serialization.test_decode_errors import CHECKPOINT, PROGRESS, STARTED, STATE
from tests.serialization.values import CODEC, EXTRA, PageRead, Place, completed, failed
from trio_ingest import Cursor
from trio_ingest.serialization import event_schema

FORMS = [
    CODEC.to_dict(item)
    for item in (
        *(STARTED, STATE, PROGRESS, CHECKPOINT, Cursor(b"x")),
        *(completed({1: (2.5, b"x")}, place=Place("x")), failed()),
        PageRead(page=1, notes=object()),
    )
]
VALIDATOR = jsonschema.Draft202012Validator(CODEC.schema())


def test_the_file_in_the_package_is_what_the_classes_say() -> None:
    shipped = files("trio_ingest.serialization").joinpath("events.schema.json")
    assert json.loads(shipped.read_text("utf-8")) == event_schema(), (
        "Run: python -m tests.docs.generated"
    )


@pytest.mark.parametrize("schema", [event_schema(), CODEC.schema()], ids=["ours", "extra"])
def test_it_is_a_schema(schema: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_that_of_the_codec_has_the_classes_it_was_told() -> None:
    assert CODEC.schema() == event_schema(EXTRA)
    names = event_schema(EXTRA)["$defs"].keys() - event_schema()["$defs"].keys()
    events, parts = {"PageRead", "Visited"}, {"PageRead", "Visited", "Place"}
    assert names == {
        *events,
        *(f"{name}.fields" for name in parts),
        *(f"object.{name}" for name in parts),
    }


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["type"])
def test_it_takes_what_is_written(form: Any) -> None:
    VALIDATOR.validate(form)


def damaged(form: Any) -> Iterator[Any]:
    """The same with a field left out, added, or of a type that no field has."""
    for key in form:
        yield {k: part for k, part in form.items() if k != key}
        if key not in {"notes", "raw", "cursor", "value"}:
            yield {**form, key: [["x"]]}
    yield {**form, "more": 1}
    yield {**form, "version": 2}
    yield {**form, "type": "Other"}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form["type"])
def test_it_refuses_what_is_not(form: Any) -> None:
    wrong = [one for one in damaged(form) if VALIDATOR.is_valid(one)]
    assert wrong == []


@pytest.mark.parametrize(
    "raw",
    [
        {"$": "bytes", "value": "?"},
        {"$": "float", "value": "1.5"},
        {"$": "set", "value": {}},
        {"$": "hex", "value": ""},
        {"$": "object", "class": "Nobody", "value": {}},
        {"a": [{"$": 1}]},
    ],
    ids=str,
)
def test_it_refuses_a_damaged_tag(raw: Any) -> None:
    form = CODEC.to_dict(completed())
    form["document"]["raw"] = raw
    assert not VALIDATOR.is_valid(form)


def test_every_event_is_described_in_words() -> None:
    definitions = event_schema()["$defs"]
    assert (
        definitions["DocumentStarted"]["description"] == "Work on a record is about to begin."
    )
