"""A checkpoint comes back from JSON as it was; a damaged or newer one is refused in words."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest import Checkpoint, CheckpointError, Cursor, Position
from trio_ingest._core.checkpoints import CHECKPOINT_VERSION
from trio_ingest._core.positions import canonical_parameters

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FINITE = JSON.filter(lambda value: "Infinity" not in json.dumps(value))


@st.composite
def positions(draw: st.DrawFn) -> Position:
    watermark = draw(st.integers(0, 10**12))
    edges, edge = [], watermark
    for gap, length in draw(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)))):
        edges.append((edge + gap, edge + gap + length))
        edge += gap + length
    cursor_record = draw(st.none() | st.integers(0, watermark))
    return Position(
        source=draw(st.text(min_size=1)),
        parameters=canonical_parameters(draw(st.dictionaries(st.text(), FINITE, max_size=3))),
        watermark=watermark,
        ended=tuple(edges),
        cursor=None if cursor_record is None else draw(FINITE),
        cursor_record=cursor_record,
        finished=draw(st.booleans()),
    )


@given(st.lists(positions(), max_size=4, unique_by=lambda p: (p.source, p.parameters)))
def test_checkpoint_comes_back_from_json_as_it_was(items: list[Position]) -> None:
    checkpoint = Checkpoint(tuple(items))
    text = json.dumps(checkpoint.to_dict(), allow_nan=False)
    assert Checkpoint.from_dict(json.loads(text)) == checkpoint
    assert Checkpoint.from_dict(checkpoint.to_dict()) == checkpoint


GOOD: dict[str, Any] = {
    "version": 1,
    "positions": [
        {
            "source": "feed",
            "parameters": "{}",
            "watermark": 5,
            "ended": [[7, 9], [12, 13]],
            "cursor": "page 2",
            "cursor_record": 4,
            "finished": False,
        }
    ],
}


def damaged(**changes: Any) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    data["positions"][0].update(changes)
    return data


def test_undamaged_one_is_read() -> None:
    (position,) = Checkpoint.from_dict(GOOD).positions
    assert position == Position("feed", "{}", 5, ((7, 9), (12, 13)), "page 2", 4)


@pytest.mark.parametrize("key", list(GOOD["positions"][0]))
def test_position_that_lacks_a_part_is_refused(key: str) -> None:
    data = copy.deepcopy(GOOD)
    del data["positions"][0][key]
    with pytest.raises(CheckpointError, match=f"damaged.*{key}"):
        Checkpoint.from_dict(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"source": None},
        {"source": 3},
        {"parameters": {}},
        {"watermark": -1},
        {"watermark": "5"},
        {"watermark": 5.0},
        {"watermark": True},
        {"finished": 1},
        {"finished": None},
        {"cursor_record": -1},
        {"cursor_record": 6},  # beyond the watermark
        {"cursor_record": "4"},
        {"ended": None},
        {"ended": 7},
        {"ended": [7, 9]},
        {"ended": [[7]]},
        {"ended": [[7, 8, 9]]},
        {"ended": [[9, 7]]},
        {"ended": [[7, 7]]},
        {"ended": [[3, 4]]},  # below the watermark
        {"ended": [[5, 6]]},  # touching it: the watermark would be higher
        {"ended": [[7, 9], [9, 10]]},  # touching each other
        {"ended": [[7, 9], [8, 10]]},
        {"ended": [["7", "9"]]},
        {"ended": [[7.0, 9.0]]},
    ],
    ids=str,
)
def test_position_that_cannot_be_true_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(CheckpointError, match="damaged"):
        Checkpoint.from_dict(damaged(**changes))


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        "text",
        7,
        {},
        {"version": 1},
        {"positions": []},
        {"version": 1, "positions": None},
        {"version": 1, "positions": ["text"]},
        {"version": 1, "positions": [None]},
        {"version": "1", "positions": []},
        {"version": 0, "positions": []},
        {"version": True, "positions": []},
        {"version": 1.0, "positions": []},
    ],
    ids=str,
)
def test_what_is_no_checkpoint_is_refused(data: Any) -> None:
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        Checkpoint.from_dict(data)


@given(JSON | st.dictionaries(st.sampled_from(["version", "positions"]), JSON))
def test_any_json_is_a_checkpoint_or_a_checkpoint_error(data: Any) -> None:
    try:
        Checkpoint.from_dict(data)
    except CheckpointError:
        pass
    else:
        assert data["version"] == 1
        assert len(data["positions"]) == 0


def test_newer_version_is_refused_without_reading_it() -> None:
    data = {"version": CHECKPOINT_VERSION + 1, "places": "quite another form"}
    with pytest.raises(CheckpointError, match=r"version 2; .*Upgrade trio_ingest"):
        Checkpoint.from_dict(data)


def test_checkpoint_and_cursor_cannot_be_changed() -> None:
    for thing, name in ((Checkpoint(()), "version"), (Cursor(1), "value")):
        with pytest.raises(AttributeError):
            setattr(thing, name, 7)
