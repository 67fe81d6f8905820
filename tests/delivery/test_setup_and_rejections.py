"""What once lost, repeated or claimed something in a delivery, and does not any more."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.delivery.memory_sinks import (
    Forgetful,
    Table,
    deliver_case,
    live,
    lived,
    rows_of,
    stream_of,
    tables,
)
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentStarted,
    IngestionPipeline,
    SetupError,
    StreamBusyError,
)
from trio_ingest.delivery import Batch, Rejection, SinkError, deliver, resume_point
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore
from trio_ingest.testing import Crash, Fail

CASE = Case(scripts=[["a", Fail(), "b", "c", "d", "e"]])


def refused_unbegun(*sinks: Any, match: str) -> str:
    """What is said to such sinks; nothing of the stream has happened by then."""
    adapters = CASE.adapters()
    stream = CASE.pipeline(adapters).stream_events(**CASE.options())
    with pytest.raises(SetupError, match=match) as caught:
        run(deliver, stream, *sinks)
    assert not stream.was_begun
    assert adapters[0].opened == 0
    assert [sink.batches for sink in sinks] == [[]] * len(sinks)
    return str(caught.value)


# -- the order of sinks ----------------------------------------------------------------------


@pytest.mark.parametrize("front", [0, 1])
@pytest.mark.parametrize("between", [0, 1])
def test_sink_without_a_checkpoint_after_one_with_it_is_refused_before_any_event(
    front: int, between: int
) -> None:
    sinks: list[Any] = [Forgetful(name="in front")][:front]
    sinks += [Table(), *[Table(name="another")][:between], Forgetful()]
    keeper = "another" if between else "table"
    message = refused_unbegun(
        *sinks, match=f"^forgetful keeps no checkpoint and comes after {keeper}, which does"
    )
    assert message.endswith("Put forgetful first.")


@pytest.mark.parametrize("fails", range(3))
@pytest.mark.parametrize("store", [FileCheckpointStore, SqliteCheckpointStore])
def test_sinks_without_a_checkpoint_in_front_and_a_store_at_the_end_lose_nothing(
    tmp_path: Path, store: Any, fails: int
) -> None:
    one, two, table = Forgetful(name="one"), Forgetful(name="two"), Table()
    (one, two, table)[fails].trouble = {1: "fail"}

    async def main() -> bool:
        async with store(tmp_path / "kept") as kept:
            return await live(CASE, one, two, table, kept, batch_size=2)

    # Threads take time, so no clock may jump here.
    assert not trio.run(main)
    for sink in (one, two, table):
        sink.trouble = {}
    assert trio.run(main)
    wanted = rows_of(CASE)
    assert sorted(table.rows) == wanted
    for sink in (one, two):
        assert sorted(set(sink.rows)) == wanted
    # The batch that somebody behind it did not get came again, and no other.
    assert len(one.rows) == len(wanted) + (2 if fails else 0)


# -- what a sink may have --------------------------------------------------------------------


class LoadOnly(Forgetful):
    async def load(self) -> None:
        raise AssertionError


class ForgetOnly(Forgetful):
    async def forget(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("kind", [LoadOnly, ForgetOnly])
def test_sink_with_one_half_of_the_checkpoint_protocol_is_refused(kind: Any) -> None:
    refused_unbegun(kind(), match=r"forgetful has one of `load` and `forget`.*needs both")


@pytest.mark.parametrize("word", ["at-most-once", "Exactly-Once", "", None, True])
@pytest.mark.parametrize("kind", [Table, Forgetful])
def test_guarantee_of_another_word_is_refused(kind: Any, word: Any) -> None:
    sink = kind(guarantee=word)
    message = refused_unbegun(sink, match=f"guarantee of {sink.name} must be 'at-least-once'")
    assert f"got {word!r}." in message


def test_exactly_once_without_a_checkpoint_is_refused() -> None:
    refused_unbegun(Forgetful(guarantee="exactly-once"), match="forgetful says exactly-once")


@pytest.mark.parametrize("result", [None, (), [], 7], ids=repr)
def test_plain_write_is_refused_and_the_message_says_async_def(result: Any) -> None:
    class Plain(Table):
        def write(self, batch: Batch) -> Any:  # type: ignore[override]
            return result

    one, plain = Table(name="one"), Plain(name="plain")
    with pytest.raises(SetupError, match=r"write of plain must be .*`async def write`"):
        run(lambda: deliver_case(CASE, one, plain, batch_size=2))
    assert len(one.batches) == 1


# -- what a sink may reject ------------------------------------------------------------------


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
                CASE, one, two, batch_size=2, on_rejection=lambda *told: heard.append(told)
            )
        )
    assert heard == []
    # The one in front has what it committed, and gets it neither now nor later once more.
    assert len(one.batches) == 2
    assert one.totals.completed + one.totals.failed == len(one.rows) == 4
    three = Table(name="two", stored=two.stored, rows=two.rows)
    assert lived(CASE, one, three)
    assert sorted(one.rows) == sorted(three.rows) == rows_of(CASE)
    assert one.totals == three.totals


# -- somebody else takes events --------------------------------------------------------------

STOLEN: dict[str, list[Any]] = {
    "well": ["a", Fail(), "b", "c", "d", "e"],
    "dead": ["a", Fail(), "b", "c", "d", "e", Crash(OSError("gone"))],
}


@pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])
@pytest.mark.parametrize("script", STOLEN)
@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3, 6, 99])
def test_events_that_another_task_took_during_a_commit_are_claimed_by_nobody(
    count: int, at: int, script: str, bare: bool
) -> None:
    case = Case(scripts=[STOLEN[script]])
    sink, stolen = Table(seconds=2), []

    async def thief(events: Any) -> None:
        await trio.sleep(2 * at - 1)
        with suppress(StopAsyncIteration, OSError):
            while len(stolen) < count:
                stolen.append(await anext(events))

    async def main() -> None:
        stream = stream_of(case)
        async with aclosing(stream) if bare else stream, trio.open_nursery() as nursery:
            if bare:
                aiter(stream)
            nursery.start_soon(thief, stream)
            errors = StreamBusyError if script == "well" else (StreamBusyError, OSError)
            with pytest.raises(errors, match=r"Another task has taken events|gone"):
                await deliver(stream, sink, batch_size=2)
            nursery.cancel_scope.cancel()

    run(main)
    assert stolen
    assert len(sink.rows) == 2 * at
    assert sink.delivered.checkpoint.positions[0].watermark == 2 * at
    # So the rest comes when the job goes on, and nothing comes twice.
    lived(case, sink)
    assert sorted(sink.rows) == rows_of(case)


def test_events_of_no_document_that_another_task_took_at_the_end_cost_nothing() -> None:
    sink, stolen = Table(seconds=2), []

    async def main() -> None:
        async with stream_of(CASE) as events, trio.open_nursery() as nursery:

            async def thief() -> None:
                await trio.sleep(5)
                stolen.extend([event async for event in events])

            nursery.start_soon(thief)
            await deliver(events, sink, batch_size=2)

    run(main)
    assert [type(event) for event in stolen] == [BatchProgress]
    assert sorted(sink.rows) == rows_of(CASE)
    assert sink.delivered.checkpoint.finished


# -- filters ---------------------------------------------------------------------------------


def late_documents(event: Any) -> bool:
    """Hides all that comes before the third record's document."""
    hidden = isinstance(event, AdapterStateChange | DocumentStarted)
    return not hidden and getattr(event, "record_number", 99) >= 2


@pytest.mark.parametrize("buffer_size", [1, 100])
@pytest.mark.parametrize("wait", [0, 5])
@pytest.mark.parametrize("form", ["block", "bare", "not entered"])
def test_stream_whose_filter_hides_the_first_events_is_delivered(
    form: str, wait: float, buffer_size: int
) -> None:
    case, sink = attrs.evolve(CASE, buffer_size=buffer_size), Table()

    async def main() -> None:
        stream = stream_of(case, event_filter=late_documents)
        if form == "not entered":
            await deliver(stream, sink)
            return
        async with aclosing(stream) if form == "bare" else stream:
            if form == "bare":
                aiter(stream)
            await trio.sleep(wait)
            await trio.testing.wait_all_tasks_blocked()
            await deliver(stream, sink)

    run(main)
    assert sink.ids() == ["2", "3", "4", "5"]
    assert sink.delivered.checkpoint.finished


@pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])
@pytest.mark.parametrize("taken", [1, 2, 3])
def test_stream_with_a_filter_from_which_an_event_was_taken_is_refused(
    taken: int, bare: bool
) -> None:
    sink = Table()

    async def main() -> None:
        stream = stream_of(CASE, event_filter=late_documents)
        async with aclosing(stream) if bare else stream:
            for _ in range(taken):
                assert isinstance(await anext(stream), DocumentCompleted)
            await deliver(stream, sink)

    with pytest.raises(SetupError, match="Events of this stream were taken before"):
        run(main)
    assert sink.batches == []


# -- what a batch follows --------------------------------------------------------------------


def test_previous_of_a_batch_is_the_checkpoint_of_the_batch_before_also_after_a_resume() -> (
    None
):
    one, two, forgetful = *tables(2), Forgetful()
    two.trouble = {1: "fail"}
    assert not lived(CASE, forgetful, one, two, batch_size=2)
    two.trouble = {}
    assert [len(sink.batches) for sink in (forgetful, one, two)] == [2, 2, 1]
    assert lived(CASE, forgetful, one, two, batch_size=1)
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


# -- records that are passed over ------------------------------------------------------------

PAGES, PAGE = 300, 10


class Pages:
    """Pages of records, a tenth of a second each, whose ids are known before any work."""

    source = "pages"

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[int | Cursor]:
        for page in range(cursor, PAGES):
            await trio.sleep(0.1)
            for number in range(PAGE):
                yield page * PAGE + number
            yield Cursor(page + 1)

    def identify(self, record: int) -> str:
        return str(record)

    def parse(self, record: int) -> Document:
        raise AssertionError


class All:
    def __contains__(self, doc_id: object) -> bool:
        return True


@pytest.mark.parametrize("max_wait_seconds", [1, 5])
def test_records_that_are_only_passed_over_get_their_checkpoint_committed(
    max_wait_seconds: float,
) -> None:
    sink, commits = Table(), []
    cursors: list[Any] = []

    def note(report: Any) -> None:
        commits.append(trio.current_time())
        cursors.append(report.checkpoint.positions[0].cursor)

    async def main() -> None:
        pipeline = IngestionPipeline(Pages(), clock=trio.current_time)
        stream = pipeline.stream_events(
            completed_ids=All(), resume_from=await resume_point(sink)
        )
        began = trio.current_time()
        with trio.move_on_after(25):
            await deliver(stream, sink, max_wait_seconds=max_wait_seconds, on_commit=note)
        commits[:] = [when - began for when in commits]

    run(main)
    # A progress event comes about once a second; the clock is looked at then.
    gaps = [after - before for before, after in pairwise([0, *commits])]
    assert max(gaps) <= max_wait_seconds + 2.5
    assert min(gaps[1:]) >= max_wait_seconds
    assert 25 - commits[-1] <= max_wait_seconds + 2.5
    # The cursor of some pages ago is in it.
    for when, cursor in zip(commits, cursors, strict=True):
        assert when * 10 - 25 <= cursor <= when * 10
    assert sink.delivered.checkpoint.positions[0].cursor == cursors[-1]
    assert sink.rows == []
