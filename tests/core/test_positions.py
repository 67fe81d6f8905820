"""A position is named by the canonical spelling of its params; a cursor's value is copied."""

from __future__ import annotations

import datetime
import decimal
import json
import pathlib
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest import SetupError
from trio_ingest._core.positions import canonical_parameters, snapshot_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FINITE = JSON.filter(lambda value: "Infinity" not in json.dumps(value))


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
