"""A batch and its checkpoint say the same, and no document waits for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.memory_sinks import (
    Forgetful,
    Table,
    Watch,
    deliver_case,
    lived,
    rows_of,
    stream_of,
    tables,
)
from tests.promises.adapters import Plain
from tests.promises.checks import ENDS, check_covers
from tests.promises.scripts import Case, cases
from tests.worlds import run
from trio_ingest import Checkpoint, Cursor, Document, IngestionPipeline
from trio_ingest.delivery import Batch, Totals, deliver
from trio_ingest.delivery import _batch_builder as pending_module
from trio_ingest.testing import Fail, FailTimes, Pause, SlowParse

SCRIPT = ["a", Fail(), "b", SlowParse(1), Cursor(4), FailTimes(1), "c", SlowParse(3), "d", "e"]
CREWS = pytest.mark.parametrize(
    ("workers", "ordered"), [(1, True), (3, True), (3, False)], ids=["one", "three", "mixed"]
)


def checking(sink: Forgetful, watch: Watch, **more: Any) -> Forgetful:
    """Let the sink check, at each write, the batch against the events so far."""
    ends: list[Any] = []

    def check(batch: Batch) -> None:
        check_covers(batch.checkpoint, watch.events, **more)
        of_batch = [*batch.completed, *batch.failed, *batch.skipped]
        ends.extend(sorted(of_batch, key=lambda event: event.sequence))
        assert ends == [event for event in watch.events if isinstance(event, ENDS)]
        assert [e.sequence for e in batch.completed] == sorted(
            e.sequence for e in batch.completed
        )

    sink.on_write = check
    return sink


@CREWS
@pytest.mark.parametrize("batch_size", [1, 2, 5, 1000])
def test_checkpoint_of_a_batch_covers_exactly_it_and_those_before(
    batch_size: int, workers: int, ordered: bool
) -> None:
    case = Case(
        scripts=[SCRIPT, "xyz", [Fail(), "w"]],
        parts=2,
        workers=workers,
        ordered=ordered,
        attempts=2,
    )
    watch, sink = Watch(), Table()
    checking(sink, watch)
    report = run(lambda: deliver_case(case, sink, batch_size=batch_size, on_event=watch))
    assert sorted(sink.rows) == rows_of(case)
    assert report.checkpoint.finished
    assert report.checkpoint == sink.delivered.checkpoint


@given(cases(bare=False, crash=False), st.sampled_from([1, 2, 3, 1000]), st.booleans())
def test_any_delivery_brings_each_end_once_with_a_checkpoint_that_covers_just_it(
    case: Case, batch_size: int, impatient: bool
) -> None:
    watch, sink = Watch(), Table()
    checking(sink, watch, already_done=case.already_done())
    run(
        lambda: deliver_case(
            case,
            sink,
            batch_size=batch_size,
            max_wait_seconds=0 if impatient else 1,
            on_event=watch,
        )
    )
    assert sorted(sink.rows) == rows_of(case)
    assert sink.delivered.checkpoint.finished


@CREWS
def test_sinks_get_the_same_batches_one_sink_after_the_other(
    workers: int, ordered: bool
) -> None:
    order: list[str] = []
    sinks = [Table(name=name, seconds=1) for name in "abc"]
    for sink in sinks:
        sink.on_write = lambda batch, name=sink.name: order.append(name)
    case = Case(scripts=["pqrstu"], workers=workers, ordered=ordered)
    report = run(lambda: deliver_case(case, *sinks, batch_size=2))
    assert order == list("abc") * (len(order) // 3)
    first, second, third = (
        [(b.documents, b.checkpoint) for b in sink.batches] for sink in sinks
    )
    assert first == second == third
    assert report.totals == dict.fromkeys("abc", Totals(completed=6))


# -- when a batch is full ------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 3, 4, 10, 11])
def test_batch_holds_so_many_ends_and_the_last_one_the_rest(batch_size: int) -> None:
    case = Case(scripts=[["a", "b", Fail(), "c", "d", "e", Fail(), "f", "g", "h"]])
    sink = Table()
    run(lambda: deliver_case(case, sink, batch_size=batch_size))
    sizes = [len(b.completed) + len(b.failed) for b in sink.batches]
    assert sum(sizes) == 10
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert not any(b.checkpoint.finished for b in sink.batches[: 9 // batch_size])
    assert sink.batches[-1].checkpoint.finished


class Long(Plain):
    """Documents of a thousand characters, of which ``where`` holds them."""

    where = "content"

    def parse(self, record: Any) -> Document:
        if self.where == "failure":
            raise ValueError
        text = "x" * 1000
        return Document(
            str(record), "plain", *((text,) if self.where == "content" else ("", text))
        )

    async def fetch(self) -> AsyncIterator[Any]:
        for number in range(self.count):
            yield ("x" * 500, b"x" * 500, number) if self.where == "failure" else number


@pytest.mark.parametrize("where", ["content", "raw", "failure"])
def test_long_documents_and_records_make_shorter_batches(
    where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending_module, "MOST_CHARACTERS", 2500)
    adapter, sink = Long(count=10), Table()
    adapter.where = where
    run(lambda: deliver(IngestionPipeline(adapter).stream_events(), sink))
    sizes = [len(b.completed) + len(b.failed) for b in sink.batches]
    assert sizes == [3, 3, 3, 1]


@pytest.mark.parametrize("content", [None, 7, b"bytes", ["list"]], ids=repr)
def test_document_whose_content_is_no_text_is_the_sinks_business(content: Any) -> None:
    class Odd(Plain):
        def parse(self, record: Any) -> Document:
            return Document(str(record), "plain", content)

    sink = Table()
    run(lambda: deliver(IngestionPipeline(Odd()).stream_events(), sink))
    assert sink.ids() == ["0", "1", "2"]


# -- how long a document waits -------------------------------------------------------------


@pytest.mark.one_in(3)
@pytest.mark.parametrize("wait", [0, 1, 2.5, 10])
@pytest.mark.parametrize("pause", [0.3, 1, 4, 60])
@CREWS
def test_documents_of_a_slow_source_are_committed_after_about_that_long(
    workers: int, ordered: bool, pause: float, wait: float
) -> None:
    script = [step for letter in "abcdefgh" for step in (letter, Pause(pause))]
    case = Case(scripts=[script], workers=workers, ordered=ordered)
    arrived: dict[str, float] = {}
    waited: list[float] = []

    def note(event: Any) -> None:
        if isinstance(event, ENDS):
            arrived[event.document.doc_id] = trio.current_time()

    sink = Table()
    sink.on_write = lambda batch: waited.extend(
        trio.current_time() - arrived[document.doc_id] for document in batch.documents
    )
    run(lambda: deliver_case(case, sink, max_wait_seconds=wait, on_event=note))
    assert len(waited) == 8
    # One progress event starts the wait, and one ends it; they are a second apart.
    assert max(waited) <= wait + 2
    # And a batch is worth waiting for.
    assert len(sink.batches) <= 1 + 8 * pause / max(wait, 0.5)


def test_source_that_says_nothing_for_long_makes_no_empty_batches() -> None:
    case = Case(scripts=[[Pause(1000), "a", Pause(1000), "b", Pause(1000)]])
    sink = Table()
    run(lambda: deliver_case(case, sink))
    assert [len(batch.documents) for batch in sink.batches] == [1, 1, 0]


@CREWS
def test_paused_stream_keeps_nothing_back(workers: int, ordered: bool) -> None:
    case = Case(scripts=["abcdefgh"], workers=workers, ordered=ordered)
    sink = Table()

    async def main() -> None:
        async with stream_of(case) as events, trio.open_nursery() as nursery:
            events.pause()
            nursery.start_soon(deliver, events, sink)
            await trio.sleep(100)
            assert sink.rows == []
            events.resume()
            await trio.lowlevel.checkpoint()
            events.pause()
            await trio.sleep(100)
            taken = events.statistics().completed
            assert len(sink.rows) == taken
            events.resume()

    run(main)
    assert sorted(sink.rows) == rows_of(case)


# -- what a batch follows ------------------------------------------------------------------


def test_previous_of_a_batch_is_the_checkpoint_of_the_batch_before_also_after_a_resume() -> (
    None
):
    case = Case(scripts=[["a", Fail(), "b", "c", "d", "e"]])
    one, two, forgetful = *tables(2), Forgetful()
    two.trouble = {1: "fail"}
    assert not lived(case, forgetful, one, two, batch_size=2)
    two.trouble = {}
    assert [len(sink.batches) for sink in (forgetful, one, two)] == [2, 2, 1]
    assert lived(case, forgetful, one, two, batch_size=1)
    for sink in (one, two):
        batches = sink.batches
        assert batches[0].previous is None
        for before, batch in pairwise(batches):
            assert batch.previous == before.checkpoint
        # What the last batch claims is what is stored.
        assert sink.delivered.checkpoint == batches[-1].checkpoint
    # One that keeps nothing begins with each run.
    firsts = [n for n, batch in enumerate(forgetful.batches) if batch.previous is None]
    assert firsts == [0, 2]


# -- the end -------------------------------------------------------------------------------


@pytest.mark.parametrize("scripts", [[""], ["", ""], [[Pause(5)], [Cursor(0)]]], ids=str)
def test_empty_source_commits_once_that_it_has_ended(scripts: Any) -> None:
    sink, reports = Table(), []
    report = run(lambda: deliver_case(Case(scripts=scripts), sink, on_commit=reports.append))
    (batch,) = sink.batches
    assert batch.documents == []
    assert batch.checkpoint.finished
    assert reports == [report]
    assert report.totals == {"table": Totals()}
    assert report.bad == 0


def test_finished_job_that_is_run_again_does_nothing_and_keeps_its_totals() -> None:
    case, sink = Case(scripts=[["a", Fail(), "b"]]), Table()
    first = run(lambda: deliver_case(case, sink))
    again = run(lambda: deliver_case(case, sink))
    assert again == first
    assert sorted(sink.rows) == rows_of(case)


def test_drained_stream_is_committed_as_far_as_it_came_and_goes_on_later() -> None:
    case = Case(scripts=["abcdefgh"], buffer_size=2)
    sink = Table()

    async def main() -> Checkpoint:
        async with stream_of(case) as events:

            def drain(event: Any) -> None:
                if isinstance(event, ENDS) and event.document.doc_id == "2":
                    events.drain()

            report = await deliver(events, sink, on_event=drain)
        return report.checkpoint

    checkpoint = run(main)
    assert not checkpoint.finished
    assert 3 <= len(sink.rows) < 8
    assert run(lambda: deliver_case(case, sink)).checkpoint.finished
    assert sorted(sink.rows) == rows_of(case)


# -- memory --------------------------------------------------------------------------------


@CREWS
def test_slow_sink_stops_the_fetch(workers: int, ordered: bool) -> None:
    adapter = Plain(count=5000)
    pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
    written, ahead = 0, []

    def look(batch: Batch) -> None:
        nonlocal written
        written += len(batch.documents)
        ahead.append(adapter.fetched - written)

    sink = Forgetful(seconds=100, on_write=look)
    run(lambda: deliver(pipeline.stream_events(buffer_size=10), sink, batch_size=50))
    assert written == 5000
    assert len(ahead) in (100, 101)
    # The buffer has two events for each document, and workers have a window.
    assert max(ahead) <= 10 + 10 * workers


def test_batch_can_be_kept_by_its_sink() -> None:
    sink = Table()
    run(lambda: deliver_case(Case(scripts=["abcdef"]), sink, batch_size=2))
    ids = [[document.doc_id for document in batch.documents] for batch in sink.batches]
    assert ids[:3] == [["0", "1"], ["2", "3"], ["4", "5"]]
