"""What was written is read as what it was, with either back end."""

from __future__ import annotations

import json
from typing import Any

import attrs
import hypothesis
import hypothesis.strategies as st
import jsonschema
import pytest

from tests.serialization.values import CODEC, CODECS, anything, completed, same, texts
from trio_ingest import Checkpoint, Cursor
from trio_ingest.testing.strategies import checkpoints, events, json_values

VALIDATOR = jsonschema.Draft202012Validator(CODEC.schema())


def check(item: Any) -> None:
    lines = {choice: codec.encode(item) for choice, codec in CODECS.items()}
    parsed = [json.loads(line, parse_constant=pytest.fail) for line in lines.values()]
    assert list(parsed[0])[:2] == ["type", "version"]
    for form in parsed:
        assert same(form, CODEC.to_dict(item))
    VALIDATOR.validate(parsed[0])
    for choice, line in lines.items():
        assert b"\n" not in line
        for codec in CODECS.values():
            found = codec.decode(line)
            assert same(found, item)
            assert same(codec.decode(line.decode()), found)
            assert same(codec.decode(line + b"\r\n"), found)
            assert same(codec.from_dict(CODEC.to_dict(item)), found)
        assert CODECS[choice].encode(found) == line


@hypothesis.given(events())
def test_any_event_of_the_engine_comes_back_as_it_was(event: Any) -> None:
    check(event)


@hypothesis.given(checkpoints() | st.builds(Cursor, json_values() | anything))
def test_any_checkpoint_and_cursor_comes_back_as_it_was(item: Any) -> None:
    check(item)


@hypothesis.given(anything, anything, texts)
def test_any_value_comes_back_as_it_was(raw: Any, value: Any, text: str) -> None:
    event = completed(raw, value=value)
    document = attrs.evolve(event.document, content=text)
    check(attrs.evolve(event, document=document, adapter_metadata={"a": value}))


@hypothesis.given(json_values(finite=False))
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    check(completed(value, value=value))


def test_a_checkpoint_is_what_the_checkpoint_itself_says() -> None:
    found = json.loads(CODEC.encode(Checkpoint(())))
    assert found == {"type": "Checkpoint", **Checkpoint(()).to_dict()}
