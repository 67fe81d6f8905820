"""A document that a sink does not take is counted and kept, and ends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.memory_sinks import (
    Forgetful,
    Table,
    Trouble,
    deliver_case,
    lived,
    rows_of,
    tables,
)
from tests.promises.scripts import Case, cases
from tests.worlds import run
from trio_ingest import Document
from trio_ingest.delivery import Batch, DeliveryReport, Rejection, SinkError, Totals
from trio_ingest.testing import Fail, SlowParse

CASE = Case(scripts=[["a", Fail(), "b", "c", SlowParse(1), "d"]], workers=2)


def odd(document: Document) -> bool:
    return int(document.doc_id) % 2 == 1


def test_rejected_documents_are_counted_kept_and_do_not_stop_the_run() -> None:
    sink = Table(rejects=lambda document: document.doc_id in "03")
    report = run(lambda: deliver_case(CASE, sink, batch_size=2))
    assert sorted(sink.rows) == rows_of(CASE, without={"0", "3"})
    totals = Totals(completed=5, failed=1, rejected=2)
    assert report.totals == {"table": totals}
    assert sink.totals == totals
    assert (totals.delivered, report.bad) == (3, 3)
    assert report.checkpoint.finished
    letters = [(letter.stage, letter.doc_id, letter.record_number) for letter in sink.letters]
    assert sorted(letters, key=lambda letter: letter[2]) == [
        ("sink", "0", 0),
        ("parse", None, 1),
        ("sink", "3", 3),
    ]


def test_rejecting_everything_is_a_run_that_comes_to_its_end() -> None:
    sink = Table(rejects=lambda _: True)
    report = run(deliver_case, CASE, sink)
    assert [text for text in sink.ids() if text.isdigit()] == []
    assert report.totals["table"].delivered == 0


def test_sink_behind_is_told_what_was_rejected_before_it_and_gets_it_all_the_same() -> None:
    one, two = Table(name="one", rejects=odd), Table(name="two")
    told: list[Any] = []

    def look(batch: Batch) -> None:
        told.extend(rejection.document.doc_id for rejection in batch.rejected)
        assert all(any(r.document is d for d in batch.documents) for r in batch.rejected)

    two.on_write = look
    report = run(lambda: deliver_case(CASE, one, two, batch_size=2))
    assert sorted(told) == ["3", "5"] if "5" in one.ids() + told else ["3"]
    assert sorted(two.rows) == rows_of(CASE)
    assert report.totals["one"].rejected == len(told)
    assert report.totals["two"].rejected == len(told)


@given(
    cases(bare=False, crash=False),
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.integers(0, 4),
            st.sampled_from(["fail", "before", "after"]),
            st.integers(1, 3),
        ),
        max_size=4,
    ),
)
def test_rejected_and_failed_records_do_not_come_again_after_any_crashes(
    case: Case, lives: list[tuple[int, int, Trouble, int]]
) -> None:
    case = attrs.evolve(case, names=False, done=None)
    one, two = tables(2)
    one.rejects = odd
    for which, at, trouble, batch_size in lives:
        (one, two)[which].trouble = {at: trouble}
        lived(case, one, two, batch_size=batch_size)
        one.trouble = two.trouble = {}
    assert lived(case, one, two)
    wanted = rows_of(case)
    rejected = [row for row in wanted if row[2].isdigit() and int(row[2]) % 2]
    failed = sum(text.startswith("bad") for _, _, text in wanted)
    assert sorted(one.rows) == [row for row in wanted if row not in rejected]
    assert sorted(two.rows) == wanted
    assert one.totals == Totals(
        completed=len(wanted) - failed, failed=failed, rejected=len(rejected)
    )
    assert sorted(letter.stage for letter in one.letters) == sorted(
        ["parse"] * failed + ["sink"] * len(rejected)
    )
    # Also when the first was ahead, and was not asked again.
    assert two.totals == one.totals


def test_totals_are_of_the_whole_job_and_each_sink_has_its_own() -> None:
    one, two = Table(name="one", rejects=odd), Table(name="two")
    one.trouble = {2: "fail"}
    lived(CASE, one, two, batch_size=2)
    one.trouble = {}
    reports: list[DeliveryReport] = []
    forgetful = Forgetful()
    run(
        lambda: deliver_case(CASE, forgetful, one, two, batch_size=1, on_commit=reports.append)
    )
    assert one.totals == Totals(completed=5, failed=1, rejected=2)
    assert reports[-1].totals["one"] == one.totals
    assert reports[-1].totals["two"] == two.totals
    # One that remembers nothing counts from where this run began.
    assert reports[-1].totals["forgetful"].completed < 5
    counts = [report.totals["one"].completed for report in reports]
    assert counts == sorted(counts)


@pytest.mark.parametrize(
    "result", [None, (), [], iter(())], ids=["None", "tuple", "list", "iterator"]
)
def test_sink_that_returns_nothing_has_rejected_nothing(result: Any) -> None:
    class Terse(Table):
        async def write(self, batch: Batch) -> Any:
            await super().write(batch)
            return result

    sink = Terse()
    assert run(deliver_case, CASE, sink).totals["table"].rejected == 0


def test_bad_counts_the_records_that_the_worst_sink_lacks() -> None:
    one, two = Table(name="one", rejects=odd), Table(name="two")
    assert run(deliver_case, CASE, one).bad == 1 + one.totals.rejected
    assert run(deliver_case, CASE, two).bad == 1


# -- what a sink may not reject ------------------------------------------------------------

ONE_BY_ONE = Case(scripts=[["a", Fail(), "b", "c", "d", "e"]])


def copies(batch: Batch) -> list[Document]:
    return [attrs.evolve(batch.documents[0])]


def one_twice(batch: Batch) -> list[Document]:
    return [batch.documents[-1]] * 2


def a_good_one_and_a_copy(batch: Batch) -> list[Document]:
    return [batch.documents[0], attrs.evolve(batch.documents[-1])]


def others(batch: Batch) -> list[Document]:
    return [Document("other", "source0", "")]


def one_of_the_batch_before(batch: Batch) -> list[Document]:
    return BEFORE[:1]


BEFORE: list[Document] = []
WRONG = [copies, one_twice, a_good_one_and_a_copy, others, one_of_the_batch_before]


@pytest.mark.parametrize("wrong", WRONG)
def test_rejection_of_what_is_not_once_in_the_batch_is_refused_by_the_name_of_the_sink(
    wrong: Any,
) -> None:
    class Wrong(Table):
        async def write(self, batch: Batch) -> Sequence[Rejection]:
            await super().write(batch)
            if self.writes == 1:
                BEFORE[:] = batch.documents
                return ()
            return [Rejection(document, "No.") for document in wrong(batch)]

    one, two, heard = Table(name="one"), Wrong(name="two"), []
    with pytest.raises(SinkError, match=r"^two rejected the document '.*itself, not a copy"):
        run(
            lambda: deliver_case(
                ONE_BY_ONE,
                one,
                two,
                batch_size=2,
                on_rejection=lambda *told: heard.append(told),
            )
        )
    assert heard == []
    # The one in front has what it committed, and gets it neither now nor later once more.
    assert len(one.batches) == 2
    assert one.totals.completed + one.totals.failed == len(one.rows) == 4
    three = Table(name="two", stored=two.stored, rows=two.rows)
    assert lived(ONE_BY_ONE, one, three)
    assert sorted(one.rows) == sorted(three.rows) == rows_of(ONE_BY_ONE)
    assert one.totals == three.totals
