"""Whatever is killed wherever, each sink ends up with each document exactly once.

The sinks keep documents and checkpoint together, and have no key that would hide a double.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.memory_sinks import (
    Forgetful,
    Killed,
    Table,
    Trouble,
    deliver_case,
    lived,
    rows_of,
    tables,
)
from tests.promises.adapters import Plain
from tests.promises.checks import covered_by
from tests.promises.scripts import Case, cases
from tests.worlds import run
from trio_ingest import Cursor, IngestionPipeline
from trio_ingest.delivery import SinkState, Totals, deliver, resume_point
from trio_ingest.testing import Fail, FailTimes, SlowParse, cancel_everywhere

PLAIN = ["a", Fail(), "b", SlowParse(3), FailTimes(1), "c", SlowParse(2), "d", "e"]
CURSORS = [
    "a",
    Fail(),
    Cursor(2),
    SlowParse(3),
    "b",
    Cursor(5),
    Cursor(6),
    "c",
    "d",
    Cursor(9),
]
SCRIPTS = pytest.mark.parametrize("script", [PLAIN, CURSORS], ids=["plain", "cursors"])
TROUBLES: tuple[Trouble, ...] = ("fail", "before", "after")


def check_exactly_once(case: Case, sinks: list[Table]) -> None:
    """Each sink has each row once, and says so; then there is nothing left to do."""
    wanted = rows_of(case)
    completed = sum(text.isdigit() for _, _, text in wanted)
    failed = sum(text.startswith("bad") for _, _, text in wanted)
    skipped = sum(text.startswith("skipped") for _, _, text in wanted)
    totals = Totals(completed=completed, failed=failed, skipped=skipped)
    for sink in sinks:
        assert sorted(sink.rows) == wanted, sink.name
        assert sink.totals == totals, sink.name
        assert len(sink.letters) == failed
        assert sink.delivered.checkpoint.finished
    writes = [len(sink.batches) for sink in sinks]
    report = run(lambda: deliver_case(case, *sinks))
    assert report.totals == {sink.name: totals for sink in sinks}
    assert [sink.batches[-1].documents for sink in sinks] == [[]] * len(sinks)
    assert [len(sink.batches) for sink in sinks] == [count + 1 for count in writes]


def check_consistent(sinks: list[Table]) -> None:
    """At any moment a sink's checkpoint covers just the ends that it has."""
    for sink in sinks:
        if sink.stored is not None:
            covered = covered_by(sink.delivered.checkpoint).values()
            totals = sink.totals
            ended = totals.completed + totals.failed + totals.skipped
            assert sum(map(len, covered)) == len(sink.rows) == ended, sink.name


# -- two and three sinks in a chain --------------------------------------------------------


@pytest.mark.one_in(5)
@SCRIPTS
@pytest.mark.parametrize(
    ("workers", "ordered"), [(1, True), (3, True), (3, False)], ids=["one", "three", "mixed"]
)
def test_two_crashes_at_any_places_in_two_sinks_leave_each_document_once(
    script: list[Any], workers: int, ordered: bool
) -> None:
    case = Case(
        scripts=[script, "xy"],
        parts=2,
        workers=workers,
        ordered=ordered,
        attempts=2,
        done={"0"},  # the first of each, known after parsing
    )
    places = list(itertools.product(range(2), (0, 3), TROUBLES[1:]))
    reached = 0
    for first, second in itertools.product(places, places):
        sinks = tables(2)
        for life, (which, at, trouble) in enumerate([first, second]):
            sinks[which].trouble = {at: trouble}
            changed = attrs.evolve(case, workers=workers if life == 0 else 4 - workers)
            reached += not lived(changed, *sinks, batch_size=4)
            sinks[which].trouble = {}
            check_consistent(sinks)
        assert lived(case, *sinks, batch_size=3)
        check_exactly_once(case, sinks)
    assert reached > len(places) ** 2


LIVES = st.lists(
    st.fixed_dictionaries(
        {
            "which": st.integers(0, 2),
            "at": st.integers(0, 5),
            "trouble": st.sampled_from(TROUBLES),
            "batch_size": st.sampled_from([1, 2, 3, 1000]),
            "workers": st.integers(1, 4),
            "ordered": st.booleans(),
            "buffer_size": st.sampled_from([1, 2, 100]),
        }
    ),
    max_size=6,
)


@given(cases(bare=False, crash=False), LIVES, st.integers(2, 3), st.booleans())
def test_any_chain_of_crashes_leaves_each_document_once_in_each_sink(
    case: Case, lives: list[dict[str, Any]], count: int, impatient: bool
) -> None:
    # Records that are known as done before any work would be covered and never come.
    case = attrs.evolve(case, names=False)
    sinks = tables(count)
    wait = 0 if impatient else 5
    for life in lives:
        sink = sinks[life["which"] % count]
        sink.trouble = {life["at"]: life["trouble"]}
        changed = attrs.evolve(
            case,
            workers=life["workers"],
            ordered=life["ordered"],
            buffer_size=life["buffer_size"],
        )
        lived(changed, *sinks, batch_size=life["batch_size"], max_wait_seconds=wait)
        sink.trouble = {}
        check_consistent(sinks)
    assert lived(case, *sinks)
    check_exactly_once(case, sinks)


@given(cases(bare=False, crash=False), LIVES)
def test_sink_that_is_left_out_of_some_lives_lacks_nothing_at_the_end(
    case: Case, lives: list[dict[str, Any]]
) -> None:
    case = attrs.evolve(case, names=False, done=None)
    sinks = tables(3)
    for life in lives:
        sink = sinks[life["which"]]
        sink.trouble = {life["at"]: life["trouble"]}
        # Those that are there, in another order each time.
        there = sinks[life["at"] % 3 :] if life["ordered"] else sinks[::-1]
        lived(case, *there, batch_size=life["batch_size"])
        sink.trouble = {}
        check_consistent(sinks)
    assert lived(case, *sinks)
    check_exactly_once(case, sinks)


# -- cancelled anywhere --------------------------------------------------------------------


@pytest.mark.one_in(2)
@pytest.mark.parametrize("workers", [2, 1])
def test_cancelled_at_any_point_and_resumed_gives_each_document_once(workers: int) -> None:
    case = Case(scripts=[["a", Fail(), SlowParse(1), "b"], "c"], workers=workers)
    again = attrs.evolve(case, workers=3 - workers, ordered=False)

    async def main() -> None:
        sinks = tables(2)
        try:
            await deliver_case(case, *sinks, batch_size=2)
        finally:
            with trio.CancelScope(shield=True):
                check_consistent(sinks)
                await deliver_case(again, *sinks, batch_size=3)
            for sink in sinks:
                assert sorted(sink.rows) == rows_of(case)
                assert sink.totals == Totals(completed=4, failed=1)

    report = cancel_everywhere(main)
    assert report.points > 30


# -- a sink that comes later, or forgets -----------------------------------------------------


@SCRIPTS
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "stopped"])
@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_sink_that_is_added_later_gets_everything(
    script: list[Any], finished: bool, first: bool
) -> None:
    case = Case(scripts=[script], attempts=2)
    old, new = tables(2)
    old.trouble = {} if finished else {2: "after"}
    assert lived(case, old, batch_size=2) == finished
    old.trouble = {}
    had = len(old.rows)
    sinks = [new, old] if first else [old, new]
    assert lived(case, *sinks, batch_size=3)
    assert had > 0
    check_exactly_once(case, sinks)


def test_sink_that_was_made_to_forget_gets_everything_again_and_the_other_nothing() -> None:
    case, sinks = Case(scripts=[PLAIN], attempts=2), tables(2)
    lived(case, *sinks)
    run(sinks[0].forget)
    sinks[0].rows.clear()
    assert lived(case, *sinks)
    check_exactly_once(case, sinks)


@given(LIVES)
def test_sink_that_remembers_nothing_gets_everything_at_least_once(
    lives: list[dict[str, Any]],
) -> None:
    case = Case(scripts=[PLAIN], attempts=2)
    table, forgetful = Table(), Forgetful()
    # In front of the one that remembers: behind it, a crash between them loses a batch.
    sinks = [forgetful, table]
    for life in lives:
        sink = sinks[life["which"] % 2]
        sink.trouble = {life["at"]: life["trouble"]}
        lived(case, *sinks, batch_size=life["batch_size"])
        sink.trouble = {}
    assert lived(case, *sinks)
    assert set(forgetful.rows) == set(rows_of(case))
    check_consistent([table])
    assert sorted(table.rows) == rows_of(case)


# -- without a stable order ----------------------------------------------------------------


class Pages(Plain):
    """Pages of three records that come in another order each time, a cursor behind each."""

    stable_order = False

    def __init__(self, seed: int) -> None:
        super().__init__("pages", count=12)
        self.draw = random.Random(seed)

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for page in range(cursor, 4):
            records = [3 * page, 3 * page + 1, 3 * page + 2]
            self.draw.shuffle(records)
            for record in records:
                yield record
                await trio.sleep(self.draw.random() / 10)
            yield Cursor(page + 1)

    async def parse(self, record: Any) -> Any:
        await trio.sleep(self.draw.random())
        return super().parse(record)


class Heap(Plain):
    """Twelve records in any order, and no cursor: only their ids tell what is done."""

    stable_order = False

    def __init__(self, seed: int) -> None:
        super().__init__("heap", count=12)
        self.draw = random.Random(seed)

    async def fetch(self) -> AsyncIterator[Any]:
        records = list(range(12))
        self.draw.shuffle(records)
        for record in records:
            yield record

    async def parse(self, record: Any) -> Any:
        await trio.sleep(self.draw.random())
        return super().parse(record)


@pytest.mark.parametrize("kind", [Pages, Heap], ids=["cursors", "completed_ids"])
@pytest.mark.parametrize("ordered", [True, False], ids=["ordered", "unordered"])
def test_adapter_without_a_stable_order_loses_nothing_in_any_crashes(
    kind: Any, ordered: bool
) -> None:
    @given(LIVES, st.integers(2, 3))
    def check(lives: list[dict[str, Any]], count: int) -> None:
        sinks = tables(count)

        async def life_of(seed: int, workers: int, **options: Any) -> None:
            pipeline = IngestionPipeline(kind(seed), workers=workers, ordered=ordered)
            stream = pipeline.stream_events(
                resume_from=await resume_point(*sinks),
                # What the last sink has, as a ledger would say it.
                completed_ids=set(sinks[-1].ids()) if kind is Heap else None,
            )
            with suppress(Killed, OSError):
                await deliver(stream, *sinks, **options)

        for seed, life in enumerate(lives):
            sink = sinks[life["which"] % count]
            sink.writes, sink.trouble = 0, {life["at"]: life["trouble"]}
            run(lambda n=seed, x=life: life_of(n, x["workers"], batch_size=x["batch_size"]))
            sink.trouble = {}
        run(life_of, 99, 2)
        for sink in sinks:
            got = Counter(text for text in sink.ids() if text.isdigit())
            assert set(got) == {str(number) for number in range(12)}, sink.name
            assert max(got.values()) <= 1 + len(lives)
            assert isinstance(sink.delivered, SinkState)

    check()
