"""What a pipeline or a run cannot be asked for is refused where it is asked, in words."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest import Checkpoint, RetryPolicy, SetupError
from trio_ingest._core.options import Policy, RunOptions

NOT_NUMBERS = [None, "3", True, float("nan"), float("inf"), -1, 1e30, [], 3 + 0j]


# -- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "name", "least"),
    [
        (RetryPolicy, "attempts", 1),
        (Policy, "workers", 1),
        (RunOptions, "buffer_size", 1),
        (RunOptions, "progress_interval", 1),
        (RunOptions, "checkpoint_interval", 1),
        (RunOptions, "estimated_total", 0),
    ],
    ids=str,
)
def test_count_must_be_a_whole_number_that_is_large_enough(
    make: Any, name: str, least: int
) -> None:
    for value in (least, least + 1, 10**9):
        assert getattr(make(**{name: value}), name) == value
    for value in (least - 1, least + 0.5, float(least), *NOT_NUMBERS):
        if name == "estimated_total" and value is None:
            continue
        with pytest.raises(SetupError, match=rf"{name} must be a whole number of at least"):
            make(**{name: value})


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (RetryPolicy, "base_seconds"),
        (RetryPolicy, "max_seconds"),
        (Policy, "cleanup_grace_seconds"),
    ],
    ids=str,
)
def test_seconds_must_be_a_number_that_is_not_negative(make: Any, name: str) -> None:
    for value in (0, 0.25, 3, 1e9):
        assert getattr(make(**{name: value}), name) == value
    for value in NOT_NUMBERS:
        with pytest.raises(SetupError, match=rf"{name} must be a number of at least 0"):
            make(**{name: value})


def test_refusal_names_the_value_and_stays_a_sentence() -> None:
    with pytest.raises(SetupError, match=r"got 'x+\.\.\.\.") as caught:
        RunOptions(buffer_size="x" * 500)  # type: ignore[arg-type]
    assert len(str(caught.value)) < 200


def test_setup_error_is_a_value_error_too() -> None:
    with pytest.raises(ValueError, match="buffer_size"):
        RunOptions(buffer_size=0)


# -- the pipeline's policies --------------------------------------------------------------


def test_defaults_are_the_documented_ones() -> None:
    policy, options, retry = Policy(), RunOptions(), RetryPolicy()
    assert (policy.workers, policy.ordered, policy.cleanup_grace_seconds) == (1, True, 5.0)
    assert policy.clock is time.time
    assert (retry.attempts, retry.base_seconds, retry.max_seconds) == (1, 0.5, 30.0)
    assert options.params == ({},)
    assert (options.buffer_size, options.progress_interval) == (100, 100)
    assert options.checkpoint_interval == 1000
    assert options.completed_ids is options.resume_from is options.estimated_total is None


@pytest.mark.parametrize("retry", [None, 3, {"attempts": 3}, RetryPolicy])
def test_retry_must_be_a_policy(retry: Any) -> None:
    with pytest.raises(SetupError, match="retry must be a RetryPolicy"):
        Policy(retry=retry)


@pytest.mark.parametrize("name", ["clock", "new_pipeline_id"])
@pytest.mark.parametrize("value", [None, 3.0, "text"])
def test_clock_and_id_source_must_be_callable(name: str, value: Any) -> None:
    with pytest.raises(SetupError, match=f"{name} must be callable"):
        Policy(**{name: value})


def test_policies_cannot_be_changed() -> None:
    for thing, name in ((RetryPolicy(), "attempts"), (Policy(), "workers")):
        with pytest.raises(AttributeError):
            setattr(thing, name, 5)


def test_pipeline_ids_differ() -> None:
    new_id = Policy().new_pipeline_id
    assert len({new_id() for _ in range(1_000)}) == 1_000


# -- the run's params ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"since": 1}, "must be a list"),
        ("since", "must be a list"),
        (None, "must be a list"),
        (3, "must be a list"),
        ([], "empty list"),
        pytest.param(iter(()), "empty list", id="iterator"),
        ([1], "must be a mapping with string keys"),
        (["since"], "must be a mapping with string keys"),
        ([{"since": 1}, None], "must be a mapping with string keys"),
        ([{1: 2}], "must be a mapping with string keys"),
        ([{"cursor": 3}], "must not name `cursor`"),
    ],
    ids=str,
)
def test_params_of_the_wrong_form_are_refused(params: Any, message: str) -> None:
    with pytest.raises(SetupError, match=message):
        RunOptions(params=params)


@pytest.mark.parametrize("kind", [list, tuple, iter])
def test_params_may_be_any_iterable_of_mappings(kind: Any) -> None:
    options = RunOptions(params=kind([{"part": 1}, {"part": 2}]))
    assert options.params == ({"part": 1}, {"part": 2})


def test_params_that_are_changed_later_change_nothing() -> None:
    inner = [1, 2]
    mapping: dict[str, Any] = {"ids": inner, "since": datetime.date(2026, 1, 1)}
    options = RunOptions(params=[mapping])
    inner.append(3)
    mapping["more"] = 1
    assert options.params == ({"ids": [1, 2], "since": datetime.date(2026, 1, 1)},)


@given(st.lists(st.dictionaries(st.text(), st.integers()), min_size=1))
def test_params_are_taken_as_they_are(params: list[dict[str, int]]) -> None:
    if any("cursor" in mapping for mapping in params):
        return
    assert list(RunOptions(params=params).params) == params


# -- completed_ids and resume_from --------------------------------------------------------


class Ledger:
    """Knows an id without being able to list any."""

    def __contains__(self, doc_id: object) -> bool:
        return doc_id == "1"


@pytest.mark.parametrize("ids", [set(), {"1"}, ["1"], {"1": 0}, Ledger(), frozenset()])
def test_completed_ids_may_be_anything_with_in(ids: Any) -> None:
    assert RunOptions(completed_ids=ids).completed_ids is ids


@pytest.mark.parametrize("ids", ["abc", "", 3, object()])
def test_completed_ids_without_in_and_plain_strings_are_refused(ids: Any) -> None:
    # "a" in "abc" is true, and never what was meant.
    with pytest.raises(SetupError, match="completed_ids must support `in`"):
        RunOptions(completed_ids=ids)


def test_completed_ids_that_would_match_nothing_or_everything_are_refused() -> None:
    class Later:
        async def __contains__(self, doc_id: object) -> bool:
            return False

    for ids in ({1, 2}, [1], {1: "a"}):
        with pytest.raises(SetupError, match=r"completed_ids holds 1.*are strings"):
            RunOptions(completed_ids=ids)
    with pytest.raises(SetupError, match="async __contains__"):
        RunOptions(completed_ids=Later())  # type: ignore[arg-type]


@pytest.mark.parametrize("point", [{}, {"version": 1, "positions": []}, "text", 3])
def test_checkpoint_as_json_is_refused_with_the_way_to_read_it(point: Any) -> None:
    with pytest.raises(SetupError, match=r"Checkpoint\.from_dict"):
        RunOptions(resume_from=point)


def test_checkpoint_is_taken() -> None:
    assert RunOptions(resume_from=Checkpoint(())).resume_from == Checkpoint(())
