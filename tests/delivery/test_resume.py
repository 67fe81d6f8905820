"""A run that would leave a hole in a sink is refused before the first event."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest

from tests.delivery.memory_sinks import (
    Forgetful,
    Table,
    deliver_case,
    lived,
    rows_of,
    stream_of,
    tables,
)
from tests.promises.adapters import Plain
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import Checkpoint, CheckpointError, IngestionPipeline, Position
from trio_ingest.delivery import DeliveryReport, SinkState, Totals, deliver, resume_point
from trio_ingest.testing import Fail

CASE = Case(scripts=[["a", Fail(), "b", "c", "d", "e"]])
KEY = '{"part":0}'


def refused(case: Case, *sinks: Any, match: str) -> CheckpointError:
    """Deliver, and see that it is refused with nothing begun and nothing written."""
    before = [(list(sink.rows), getattr(sink, "stored", None)) for sink in sinks]
    adapters = case.adapters()
    events: list[Any] = []

    async def main() -> None:
        stream = case.pipeline(adapters).stream_events(**case.options())
        await deliver(stream, *sinks, on_event=events.append)

    with pytest.raises(CheckpointError, match=match) as caught:
        run(main)
    assert events == []
    assert [adapter.opened for adapter in adapters] == [0] * len(adapters)
    assert [(sink.rows, getattr(sink, "stored", None)) for sink in sinks] == before
    return caught.value


def stopped(at: int = 1, **fields: Any) -> Table:
    """A sink whose job was killed after so many batches of two."""
    sink = Table(trouble={at: "before"}, **fields)
    assert not lived(CASE, sink, batch_size=2)
    sink.trouble = {}
    return sink


# -- where a job goes on -------------------------------------------------------------------


def test_job_whose_sinks_have_nothing_begins() -> None:
    assert run(resume_point) is None
    assert run(resume_point, Table(), Forgetful()) is None


def test_job_goes_on_from_what_all_sinks_have() -> None:
    one, two = stopped(2), stopped(1, name="behind")
    point = run(resume_point, one, two)
    assert point == run(resume_point, two, one) == two.delivered.checkpoint
    assert run(resume_point, one, Forgetful()) == one.delivered.checkpoint


@pytest.mark.parametrize("new_first", [True, False])
def test_job_with_a_new_sink_goes_on_from_nothing(new_first: bool) -> None:
    old, new = stopped(2), Table(name="new")
    point = run(resume_point, *((new, old) if new_first else (old, new)))
    assert point == Checkpoint((Position("source0", KEY, stable_order=True),))


def test_damaged_and_newer_checkpoints_of_a_sink_are_refused() -> None:
    for stored in ("{}", '{"version": 9}'):
        sink = Table(stored=stored)
        with pytest.raises(CheckpointError):
            run(resume_point, sink)
        with pytest.raises(CheckpointError):
            run(deliver, stream_of(CASE), sink)
        assert sink.rows == []


# -- wrong beginnings ----------------------------------------------------------------------


def test_job_that_a_sink_has_begun_is_not_begun_again_by_mistake() -> None:
    sink = stopped()
    error = refused(CASE, sink, match=r"table has a checkpoint of this job")
    assert "which was stopped with 1 document and 1 failed" in str(error)
    assert "resume_from=await resume_point(...)" in str(error)
    assert "await sink.forget()" in str(error)


def test_finished_job_says_so() -> None:
    sink = Table()
    lived(CASE, sink)
    refused(CASE, sink, match=r"which has come to its end with 5 documents and 1 failed")
    refused(CASE, Table(name="other"), sink, match=r"come to its end")


def test_checkpoint_that_claims_more_than_a_sink_has_is_refused() -> None:
    ahead, behind = stopped(2), stopped(1, name="behind")
    case = attrs.evolve(CASE, resume_from=ahead.delivered.checkpoint)
    refused(case, ahead, behind, match="resumes behind what behind has")
    refused(case, behind, ahead, match="resumes behind what behind has")


def test_sink_that_has_nothing_is_not_begun_in_the_middle() -> None:
    old, new = stopped(), Table(name="new")
    case = attrs.evolve(CASE, resume_from=old.delivered.checkpoint)
    refused(case, old, new, match="new has nothing of it, so documents would be missing")


def test_finished_checkpoint_is_no_beginning_for_a_sink_without_its_end() -> None:
    # The same records, and one of them says that there are no more.
    position = Position("source0", KEY, 6, stable_order=True)
    sink = Table(stored=json.dumps(SinkState(Checkpoint((position,))).to_dict()))
    finished = Checkpoint((attrs.evolve(position, finished=True),))
    refused(attrs.evolve(CASE, resume_from=finished), sink, match="resumes behind")


def foreign(name: str = "foreign", **changes: Any) -> Table:
    """A sink with a checkpoint of another pipeline."""
    fields = {"source": "elsewhere", "parameters": KEY, "watermark": 3, "stable_order": True}
    point = Checkpoint((Position(**(fields | changes)),))
    stored = SinkState(point, Totals(completed=3)).to_dict()
    return Table(name=name, stored=json.dumps(stored))


@pytest.mark.parametrize(
    "changes",
    [{}, {"source": "source0", "parameters": '{"part":7}'}],
    ids=["source", "params"],
)
def test_sink_of_another_job_is_refused_wherever_it_stands(changes: Any) -> None:
    for others in ([], [stopped()], [Table(name="new")], [Forgetful()]):
        for sinks in ([foreign(**changes), *others], [*others, foreign(**changes)]):
            before = [(list(sink.rows), getattr(sink, "stored", None)) for sink in sinks]
            with pytest.raises(CheckpointError, match="another pipeline or other params"):
                run(deliver_case, CASE, *sinks)
            assert before == [(sink.rows, getattr(sink, "stored", None)) for sink in sinks]


def test_empty_job_of_another_pipeline_is_refused_too() -> None:
    other = foreign(watermark=0)
    case = attrs.evolve(CASE, resume_from=run(resume_point, stopped(), other))
    refused(case, other, match="elsewhere|another pipeline")


# -- right ones ------------------------------------------------------------------------------


def test_sink_that_remembers_nothing_may_begin_anywhere() -> None:
    old, forgetful = stopped(), Forgetful()
    report = run(deliver_case, CASE, forgetful, old)
    assert report.checkpoint.finished
    assert forgetful.rows == old.rows[2:]
    assert report.totals["forgetful"] == Totals(completed=4)


def test_checkpoint_of_nothing_is_a_beginning() -> None:
    empty = Checkpoint((Position("source0", KEY, stable_order=True),))
    sink = Table()
    run(deliver, stream_of(attrs.evolve(CASE, resume_from=empty)), sink)
    assert sorted(sink.rows) == rows_of(CASE)


def test_resuming_further_back_than_needed_gives_nothing_twice() -> None:
    ahead, behind = stopped(2), stopped(1, name="behind")
    case = attrs.evolve(CASE, resume_from=behind.delivered.checkpoint)
    run(deliver, stream_of(case), ahead)
    assert sorted(ahead.rows) == rows_of(CASE)
    assert ahead.totals == Totals(completed=5, failed=1)


def test_sink_that_is_ahead_says_at_once_what_it_had() -> None:
    ahead, behind = stopped(3), stopped(0, name="behind")
    had = ahead.delivered
    claims: list[Checkpoint] = []
    ahead.on_write = lambda batch: claims.append(batch.checkpoint)
    reports: list[DeliveryReport] = []
    run(lambda: deliver_case(CASE, ahead, behind, batch_size=2, on_commit=reports.append))
    assert all(claim.covers(had.checkpoint) for claim in claims)
    # The report's checkpoint is what both have; the totals are each sink's own.
    assert reports[0].checkpoint != had.checkpoint
    assert reports[0].totals["table"] == had.totals
    assert reports[0].totals["behind"] == Totals(completed=1, failed=1)


class Turned(Plain):
    """Its records in the other order, and it no longer says that they keep one."""

    stable_order = False

    async def fetch(self) -> AsyncIterator[Any]:
        for number in reversed(range(self.count)):
            yield number


def test_numbers_count_only_where_they_mean_the_same_both_times() -> None:
    sinks = ahead, behind = tables(2)

    async def live(adapter: Plain, **options: Any) -> None:
        point = await resume_point(*sinks)
        stream = IngestionPipeline(adapter).stream_events(resume_from=point, **options)
        await deliver(stream, *sinks, batch_size=2)

    ahead.trouble, behind.trouble = {1: "fail"}, {0: "fail"}
    with pytest.raises(OSError, match="full"):
        run(live, Plain(count=6))
    assert (ahead.ids(), behind.ids()) == (["0", "1"], [])
    ahead.trouble = behind.trouble = {}
    run(lambda: live(Turned(count=6), completed_ids=set()))
    for sink in sinks:
        assert set(sink.ids()) == set("012345")
