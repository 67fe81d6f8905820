"""A file that version 0.1 has recorded, with an event of every kind, is read to its end."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.serialization.values import CODECS, EXTRA, Place, Visited
from trio_ingest import (
    Checkpoint,
    Cursor,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
)
from trio_ingest._core.events import ENGINE_EVENTS
from trio_ingest.serialization import OpaqueValue

LINES = Path(__file__).with_name("recorded-0.1.ndjson").read_bytes().splitlines()

pytestmark = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def test_every_line_is_an_event_and_stays_one(codec: Any) -> None:
    found = [codec.decode(line, line=number) for number, line in enumerate(LINES, 1)]
    kinds = {type(item) for item in found}
    assert kinds == {*ENGINE_EVENTS, Checkpoint, Cursor, *set(EXTRA) - {Place}}
    for item in found:
        again = codec.decode(codec.encode(item))
        assert codec.encode(again) == codec.encode(item)
        assert type(again) is type(item)


def test_an_error_that_was_an_object_is_its_message(codec: Any) -> None:
    found = [codec.decode(line) for line in LINES]
    [retrying] = [event for event in found if isinstance(event, DocumentRetrying)]
    assert (retrying.error, retrying.error_type) == ("too slow", "TimeoutError")
    failed = [event for event in found if isinstance(event, DocumentFailed)]
    assert (failed[0].error, failed[0].error_type) == ("'text'", "KeyError")
    assert failed[1].raw == OpaqueValue("ValueError", "in a record")
    [visited] = [event for event in found if isinstance(event, Visited)]
    assert visited.place == Place("x")
    assert visited.when.utcoffset() == datetime.timedelta(hours=1)


def test_each_value_is_what_it_was(codec: Any) -> None:
    found = [codec.decode(line) for line in LINES]
    raw: Any = next(e for e in found if isinstance(e, DocumentCompleted)).document.raw
    assert raw["str"] == "half \ud800 \\"
    assert raw["int"] == 2**64
    assert raw["bytes"] == b"\xff\n"
    assert raw["folded"] == datetime.datetime(2026, 10, 25, 2, fold=1)  # noqa: DTZ001
    assert raw["folded"].fold == 1
    assert raw["timedelta"] == datetime.timedelta(-1, 2, 3)
    assert raw["tuple"] == (1, ("x",))
    assert raw["frozenset"] == frozenset({(1,)})
    assert raw["dict"] == {1: "x", None: 2.5}
    assert raw["our key"] == {"$": 1, "a": 2}
    assert raw["object"] == Place("x", 1.5, b"y")
    assert raw["opaque"] == OpaqueValue("__main__.Connection", "Connection('feed.example')")
