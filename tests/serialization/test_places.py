"""A value that JSON has no form for comes back from wherever it stands in an event.

The fast way looks at each of these places by itself, so each is tried with each value.
"""

from __future__ import annotations

import datetime
import decimal
import math
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from tests.serialization.values import BACK_ENDS, CODECS, PageRead, completed, failed, same
from trio_ingest import BatchProgress, Checkpoint, DocumentStarted, PipelineEvent, Position

VALUES: dict[str, Any] = {
    "NaN": math.nan,
    "infinity": math.inf,
    "minus infinity": -math.inf,
    "tuple": (1, 2),
    "set": {1, 2},
    "bytes": b"\xff",
    "UUID": uuid.UUID(int=7),
    "Decimal": decimal.Decimal("1.50"),
    "datetime": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    "huge": 2**70,
    "surrogate": "half \ud83d of one",
    "our key": {"$": "bytes", "value": "YQ=="},
    "other keys": {1: "one", None: 2},
    "plain": {"a": [1, 2.5, None, True, "x", {"b": []}]},
}


def progress(cursor: Any) -> BatchProgress:
    event = BatchProgress(
        **dict.fromkeys(("completed", "failed", "in_flight", "skipped", "queue_depth"), 0),
        estimated_total=None,
        eta_seconds=None,
        buffer_size=1,
        fetch_seconds=0.0,
        parse_seconds=0.0,
        consumer_seconds=0.0,
        throttle_seconds=0.0,
        checkpoint=None,
    )
    position = Position("feed", "{}", 3, (), cursor, 3)
    return attrs.evolve(event, checkpoint=Checkpoint((position,)))


def started(parameters: dict[str, Any]) -> DocumentStarted:
    return DocumentStarted(doc_id="a", adapter="a", parameters=parameters, record_number=0)


PLACES: dict[str, Callable[[Any], PipelineEvent]] = {
    "raw": completed,
    "in raw": lambda value: completed({"text": "x", "it": value, "n": 1}),
    "in a list in raw": lambda value: completed({"text": "x", "it": ["y", value]}),
    "in a mapping in raw": lambda value: completed({"it": {"text": "x", "deep": value}}),
    "deep in raw": lambda value: completed([{"a": [{"b": [value]}]}]),
    "in a list that is raw": lambda value: completed(["x", value, 1]),
    "metadata": lambda value: completed(text="x", it=value),
    "in metadata": lambda value: completed(it=[{"x": value}]),
    "parameters": lambda value: started({"since": value, "n": 1}),
    "adapter_metadata": lambda value: attrs.evolve(
        completed(), adapter_metadata={"adapter": "a", "parameters": {"since": value}}
    ),
    "a failed record": lambda value: failed(raw={"it": value}),
    "an own field": lambda value: PageRead(page=1, notes={"it": [value]}),
}


@pytest.mark.parametrize("back_end", BACK_ENDS)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", VALUES)
def test_a_value_comes_back_from_every_place(name: str, place: str, back_end: str) -> None:
    codec = CODECS[back_end]
    event = PLACES[place](VALUES[name])
    line = codec.encode(event)
    found = codec.decode(line)
    assert same(found, event)
    # Written a second time it is the same, and the other back end reads the same.
    assert codec.encode(found) == line
    for other in CODECS.values():
        assert other.encode(other.decode(line)) == other.encode(found)


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_a_cursor_of_json_comes_back(back_end: str) -> None:
    codec = CODECS[back_end]
    for value in (VALUES["plain"], "page 7", 7, None, [1, {"a": 1.5}]):
        event = progress(value)
        assert same(codec.decode(codec.encode(event)), event)
