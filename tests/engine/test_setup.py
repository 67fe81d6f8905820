"""A run begins where its checkpoint says, or says why it cannot; and knows what to expect."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from typing import Any

import attrs
import pytest

from trio_ingest import Checkpoint, CheckpointError, Document, Position, SetupError
from trio_ingest._core.adapter_run import AdapterRun
from trio_ingest._core.adapters import AdapterPlan, plan_of
from trio_ingest._core.checkpoints import CHECKPOINT_VERSION
from trio_ingest._core.options import Policy, RunOptions
from trio_ingest._engine.runtime import TRIO
from trio_ingest._engine.setup import RunSetup, estimate_totals, failure_note, failure_of


class Counts:
    """Can be counted off, and knows no cursor."""

    stable_order = True

    def __init__(self, source: str = "feed") -> None:
        self.source = source

    async def fetch(self, *, part: int = 0) -> AsyncIterator[Any]:
        yield part

    def parse(self, record: Any) -> Document:
        return Document(str(record), self.source, "")


class Unstable(Counts):
    """Neither counted off nor resumed."""

    stable_order = False


class Pages(Unstable):
    """Resumes by cursor alone."""

    async def fetch(self, *, part: int = 0, cursor: Any = None) -> AsyncIterator[Any]:
        yield part, cursor


class AnyKeywords(Unstable):
    """Would take a cursor, and does not say that it knows what to do with one."""

    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        yield params


class StablePages(Pages):
    """Resumes by cursor, and what follows can be counted off."""

    stable_order = True


def begin(adapter: Any, position: Position | None = None, **options: Any) -> AdapterRun:
    """The one adapter run of one adapter, resumed from a position."""
    point = None if position is None else Checkpoint((position,))
    (adapter_run,) = setup([adapter], resume_from=point, **options).begin(0.0).adapter_runs
    return adapter_run


def setup(adapters: Sequence[Any], **options: Any) -> RunSetup:
    plans: list[AdapterPlan] = [plan_of(adapter) for adapter in adapters]
    return RunSetup(plans, Policy(), RunOptions(**options))


def ended(adapter_run: AdapterRun, most: int = 20) -> set[int]:
    return {n for n in range(most) if adapter_run.acknowledged.has_ended(n)}


HALF = Position("feed", "{}", watermark=5, ended=((7, 9),))
PAGED = attrs.evolve(HALF, cursor="page 2", cursor_record=4)


# -- where it begins -------------------------------------------------------------------


def test_without_a_checkpoint_everything_begins_at_the_start() -> None:
    adapter_runs = (
        setup([Counts("a"), Counts("b")], params=[{"part": 1}, {"part": 2}])
        .begin(0.0)
        .adapter_runs
    )
    assert [(r.source, r.parameters) for r in adapter_runs] == [
        ("a", {"part": 1}),
        ("a", {"part": 2}),
        ("b", {"part": 1}),
        ("b", {"part": 2}),
    ]
    for adapter_run in adapter_runs:
        assert adapter_run.next_record == 0
        assert not adapter_run.finished
        assert not ended(adapter_run)


def test_stable_order_is_counted_off_from_the_first_record() -> None:
    adapter_run = begin(Counts(), HALF)
    assert adapter_run.next_record == 0
    assert ended(adapter_run) == {0, 1, 2, 3, 4, 7, 8}
    assert adapter_run.resumed_until == 9
    assert adapter_run.acknowledged.cursor_record is None


def test_cursor_begins_at_its_own_record() -> None:
    adapter_run = begin(Pages(), PAGED)
    assert adapter_run.next_record == 4
    assert adapter_run.acknowledged.cursor == "page 2"


def test_behind_a_cursor_only_a_stable_order_is_counted_off() -> None:
    assert ended(begin(StablePages(), PAGED)) == {0, 1, 2, 3, 4, 7, 8}
    assert ended(begin(Pages(), PAGED)) == {0, 1, 2, 3}


def test_unstable_order_that_was_stopped_before_its_first_cursor_begins_again() -> None:
    adapter_run = begin(Pages(), HALF)
    assert adapter_run.next_record == 0
    assert not ended(adapter_run)


def test_stable_order_that_was_stopped_before_its_first_cursor_is_counted_off() -> None:
    assert ended(begin(StablePages(), HALF)) == {0, 1, 2, 3, 4, 7, 8}


def test_completed_ids_let_anything_begin_again() -> None:
    adapter_run = begin(Unstable(), HALF, completed_ids={"x"})
    assert adapter_run.next_record == 0
    assert not ended(adapter_run)


def test_position_in_which_nothing_had_ended_resumes_anything() -> None:
    assert begin(Unstable(), Position("feed", "{}")).next_record == 0


@pytest.mark.parametrize("adapter", [Counts(), Unstable(), Pages(), StablePages()])
def test_finished_adapter_run_stays_finished(adapter: Any) -> None:
    position = Position("feed", "{}", watermark=12, finished=True)
    adapter_run = begin(adapter, position)
    assert adapter_run.finished
    assert adapter_run.acknowledged.low == 12


def test_each_adapter_run_finds_its_own_position() -> None:
    positions = [
        Position(source, f'{{"part":{part}}}', watermark=watermark)
        for watermark, (source, part) in enumerate(
            [("b", 2), ("a", 1), ("b", 1), ("a", 2)], start=1
        )
    ]
    adapters, params = [Counts("a"), Counts("b")], [{"part": 1}, {"part": 2}]
    run = setup(adapters, params=params, resume_from=Checkpoint(tuple(positions))).begin(0.0)
    assert [r.acknowledged.low for r in run.adapter_runs] == [2, 4, 3, 1]


def test_order_of_the_params_keys_does_not_matter() -> None:
    class Both(Counts):
        async def fetch(self, *, a: int, b: int) -> AsyncIterator[Any]:
            yield a, b

    position = Position("feed", '{"a":1,"b":2}', watermark=3)
    assert begin(Both(), position, params=[{"b": 2, "a": 1}]).acknowledged.low == 3


# -- what is refused -------------------------------------------------------------------


@pytest.mark.parametrize("position", [HALF, attrs.evolve(HALF, watermark=0)])
@pytest.mark.parametrize("adapter", [Unstable(), AnyKeywords()])
def test_unstable_order_without_a_cursor_cannot_resume(
    adapter: Any, position: Position
) -> None:
    with pytest.raises(CheckpointError, match=r"'feed' cannot resume.*completed_ids"):
        begin(adapter, position)


def test_cursor_is_handed_to_a_fetch_that_takes_all_keywords() -> None:
    assert begin(AnyKeywords(), PAGED).acknowledged.cursor == "page 2"


def test_cursor_that_fetch_does_not_take_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r"cursor for the adapter 'feed'.*cursor=None"):
        begin(Counts(), PAGED)


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ((), "it lacks 'feed' with params {}"),
        (
            (HALF, Position("other", "{}")),
            "it has 'other' with params {}, which this run has not",
        ),
        (
            (Position("feed", '{"part":1}'),),
            (
                "it has 'feed' with params {\"part\":1}, which this run has not; it lacks "
                "'feed' with params {}"
            ),
        ),
    ],
    ids=["lacks", "has more", "other params"],
)
def test_checkpoint_of_another_pipeline_or_of_other_params_is_refused(
    positions: tuple[Position, ...], message: str
) -> None:
    with pytest.raises(CheckpointError, match=re.escape(message)):
        setup([Counts()], resume_from=Checkpoint(positions))


def test_checkpoint_of_a_newer_version_is_refused() -> None:
    point = Checkpoint((HALF,), version=CHECKPOINT_VERSION + 1)
    with pytest.raises(CheckpointError, match="Upgrade trio_ingest"):
        setup([Counts()], resume_from=point)


@pytest.mark.parametrize(
    "params",
    [
        [{"part": 1}, {"part": 1}],
        [{}, {}],
        [{"part": {"a": 1, "b": 2}}, {"part": {"b": 2, "a": 1}}],
    ],
    ids=str,
)
def test_two_equal_params_are_refused(params: list[dict[str, Any]]) -> None:
    with pytest.raises(SetupError, match="Two of params are equal"):
        setup([Counts()], params=params)


def test_params_that_one_of_several_adapters_does_not_take_are_refused() -> None:
    class Narrow(Counts):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 1

    with pytest.raises(SetupError, match="'narrow' cannot fetch"):
        setup([Counts(), Narrow("narrow")], params=[{"part": 1}])


def test_setup_gives_each_run_a_book_of_its_own() -> None:
    prepared = setup([Counts()], resume_from=Checkpoint((HALF,)))
    first, second = prepared.begin(0.0), prepared.begin(0.0)
    first.adapter_runs[0].acknowledged.end(5)
    assert first.pipeline_id != second.pipeline_id
    assert ended(second.adapter_runs[0]) == {0, 1, 2, 3, 4, 7, 8}


# -- how many to expect ----------------------------------------------------------------


class Estimating(Counts):
    def __init__(self, estimate: Any, source: str = "feed") -> None:
        super().__init__(source)
        self.estimate = estimate
        self.asked: list[dict[str, Any]] = []

    def estimate_total(self, **params: Any) -> Any:
        self.asked.append(params)
        if isinstance(self.estimate, Exception):
            raise self.estimate
        return self.estimate


class EstimatingLater(Estimating):
    async def estimate_total(self, **params: Any) -> Any:
        return super().estimate_total(**params)


async def total(*adapters: Any, **options: Any) -> int | None:
    prepared = setup(adapters, **options)
    return await estimate_totals(prepared, prepared.begin(0.0), TRIO)


PARTS = [{"part": 1}, {"part": 2}]


async def test_estimate_is_the_sum_over_adapters_and_params() -> None:
    adapters = Estimating(5, "a"), EstimatingLater(20, "b")
    assert await total(*adapters, params=PARTS) == 50
    assert adapters[0].asked == adapters[1].asked == PARTS


async def test_estimate_that_is_a_fraction_is_rounded() -> None:
    assert await total(Estimating(5.4, "a"), Estimating(5.6, "b")) == 11


async def test_what_the_caller_says_counts_more_than_any_estimate() -> None:
    adapter = Estimating(5)
    assert await total(adapter, estimated_total=7) == 7
    assert await total(adapter, estimated_total=0) == 0
    assert adapter.asked == []


async def test_one_adapter_without_an_estimate_leaves_all_without() -> None:
    assert await total(Estimating(5, "a"), Counts("b")) is None


@pytest.mark.parametrize("estimate", [None, -1, "5", [5], float("nan"), float("inf")])
@pytest.mark.parametrize("kind", [Estimating, EstimatingLater])
async def test_estimate_that_is_no_count_is_no_estimate(
    kind: type[Estimating], estimate: Any
) -> None:
    assert await total(kind(estimate)) is None


@pytest.mark.parametrize("kind", [Estimating, EstimatingLater])
async def test_estimate_that_fails_is_a_warning_and_not_a_failure(
    kind: type[Estimating],
) -> None:
    with pytest.warns(RuntimeWarning, match=r"'feed' failed.*OSError: no"):
        assert await total(kind(OSError("no"))) is None


# -- what it says at the end -----------------------------------------------------------


def test_no_failure_one_as_itself_and_several_in_a_group() -> None:
    first, second = OSError(), ValueError()
    assert failure_of([]) is None
    assert failure_of([first]) is first
    group = failure_of([first, second])
    assert isinstance(group, ExceptionGroup)
    assert group.exceptions == (first, second)


def test_note_says_how_far_the_adapter_came_and_with_which_params() -> None:
    adapter_run = begin(Counts(), params=[{"part": 1}])
    adapter_run.next_record = 7
    assert failure_note(adapter_run) == (
        "In the adapter 'feed', after 7 records, with the params {\"part\":1}."
    )
    assert failure_note(begin(Counts())) == "In the adapter 'feed', after 0 records."
