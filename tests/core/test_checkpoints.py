"""A checkpoint comes back from JSON as it was; a damaged or newer one is refused in words."""

from __future__ import annotations

import copy
import datetime
import decimal
import json
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest import Checkpoint, CheckpointError, Cursor, Position, SetupError
from trio_ingest._core.checkpoints import CHECKPOINT_VERSION, canonical_parameters, snapshot_of

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


# -- the spelling of params --------------------------------------------------------------


@given(st.dictionaries(st.text(), FINITE))
def test_order_of_params_does_not_change_their_spelling(params: dict[str, Any]) -> None:
    turned = dict(reversed(params.items()))
    assert canonical_parameters(turned) == canonical_parameters(params)


@given(st.dictionaries(st.text(), FINITE), st.dictionaries(st.text(), FINITE))
def test_different_params_are_spelled_differently(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = canonical_parameters(one) == canonical_parameters(other)
    assert same == (
        json.loads(canonical_parameters(one)) == json.loads(canonical_parameters(other))
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (datetime.date(2026, 1, 2), "date:2026-01-02"),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), "datetime:2026-01-02 03:00"),
        (datetime.time(3, 4), "time:03:04:00"),
        (decimal.Decimal("1.50"), "Decimal:1.50"),
        (uuid.UUID(int=1), "UUID:00000000-"),
        (pathlib.PurePosixPath("a/b"), "path:a/b"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_dates_decimals_uuids_and_paths_are_named_by_their_text(value: Any, text: str) -> None:
    assert json.loads(canonical_parameters({"p": [value]}))["p"][0].startswith(text)


@pytest.mark.parametrize("value", [b"x", {1}, object(), float("nan"), float("inf"), 1j])
def test_param_without_a_spelling_is_refused(value: Any) -> None:
    with pytest.raises(SetupError, match="params must be made of JSON values"):
        canonical_parameters({"p": value})


# -- cursors -----------------------------------------------------------------------------


@given(FINITE)
def test_snapshot_equals_the_value_and_shares_nothing_with_it(value: Any) -> None:
    taken = snapshot_of(value)
    assert taken == value
    if isinstance(value, dict | list):
        assert taken is not value


def test_snapshot_is_what_comes_back_from_a_stored_checkpoint() -> None:
    # A tuple that became a list only after storing would be two kinds of cursor.
    assert snapshot_of((1, ("a", 2))) == [1, ["a", 2]]
    assert snapshot_of({1: "a"}) == {"1": "a"}


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], b"x", {"a": {1}}, object()])
def test_value_without_a_json_form_has_no_snapshot(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        snapshot_of(value)
