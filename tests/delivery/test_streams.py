"""Which streams a delivery takes, in what state, and what it says to wrong arguments."""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.delivery.memory_sinks import Table, Watch, lived, rows_of, stream_of, tables
from tests.promises.adapters import Plain
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentFailed,
    DocumentSkipped,
    DocumentStarted,
    IngestionPipeline,
    SetupError,
    StreamClosedError,
)
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.testing import Crash, Fail

CASE = Case(scripts=[["a", Fail(), "b", "c"]])
# Two for each of four records, two of the adapter, and one of progress.
EVENTS = 11


# -- entered or not ------------------------------------------------------------------------


def test_stream_that_was_not_entered_is_entered_and_left() -> None:
    adapters = CASE.adapters()
    stream = CASE.pipeline(adapters).stream_events(**CASE.options())
    sink = Table()
    run(deliver, stream, sink)
    assert sorted(sink.rows) == rows_of(CASE)
    assert adapters[0].closed == 1
    with pytest.raises(SetupError, match="were taken before"):
        run(deliver, stream, Table())


@pytest.mark.parametrize("wait", [0, 5])
def test_stream_that_the_caller_entered_is_left_by_the_caller(wait: float) -> None:
    sink, watch = Table(), Watch()

    async def main() -> None:
        async with stream_of(CASE) as events:
            await trio.sleep(wait)
            report = await deliver(events, sink, on_event=watch)
            assert events.checkpoint() == report.checkpoint
            assert events.statistics().completed == 3
            with pytest.raises(SetupError, match="were taken before"):
                await deliver(events, Table(name="other"))

    run(main)
    assert sorted(sink.rows) == rows_of(CASE)
    assert watch.events[0].sequence == 0


def test_stream_that_was_left_is_refused_and_nothing_written() -> None:
    sink = Table()

    async def main() -> None:
        async with stream_of(CASE) as events:
            pass
        await deliver(events, sink)

    with pytest.raises(StreamClosedError):
        run(main)
    assert sink.batches == []


def test_stream_that_was_closed_before_it_began_is_refused() -> None:
    async def main() -> None:
        events = stream_of(CASE)
        await events.aclose()
        await deliver(events, Table())

    with pytest.raises(StreamClosedError):
        run(main)


# -- begun by somebody else ----------------------------------------------------------------


@pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])
@pytest.mark.parametrize("taken", range(EVENTS + 1))
def test_stream_from_which_events_were_taken_is_refused(taken: int, bare: bool) -> None:
    sink, had = Table(), []

    async def main() -> None:
        stream = stream_of(CASE)
        async with aclosing(stream) if bare else stream:
            if bare:
                aiter(stream)
            for _ in range(taken):
                event = await anext(stream)
                had.append(type(event))
            await deliver(stream, sink)

    if not taken:
        run(main)
        assert sorted(sink.rows) == rows_of(CASE)
    else:
        with pytest.raises(SetupError, match="Events of this stream were taken before"):
            run(main)
        assert sink.batches == []
    assert had[:3] == [AdapterStateChange, DocumentStarted, DocumentCompleted][:taken]
    assert (had[-1:] == [BatchProgress]) == (taken == EVENTS)


def test_stream_that_somebody_iterated_to_its_failure_is_refused() -> None:
    case = Case(scripts=[["a", Crash(OSError("gone"))]])
    sink = Table()

    async def main() -> None:
        async with stream_of(case) as events:
            with pytest.raises(OSError, match="gone"):
                async for _ in events:
                    pass
            await deliver(events, sink)

    with pytest.raises(SetupError, match="were taken before"):
        run(main)
    assert sink.batches == []


def test_second_delivery_of_one_stream_is_refused() -> None:
    # After a failure it is tempting; but the documents of that batch are gone from it.
    sink = Table(trouble={0: "fail"})

    async def main() -> None:
        async with stream_of(CASE) as events:
            with pytest.raises(OSError, match="full"):
                await deliver(events, sink, batch_size=1)
            await deliver(events, sink, batch_size=1)

    with pytest.raises(SetupError, match="were taken before"):
        run(main)
    assert sink.rows == []


def test_records_known_as_done_before_the_delivery_began_were_not_taken() -> None:
    # The engine passes over them without an event, while the buffer is untouched.
    case = Case(scripts=["abcdef"], names=True, done={"0", "1", "4"})
    sink = Table()

    async def main() -> None:
        async with stream_of(case) as events:
            await trio.testing.wait_all_tasks_blocked()
            await deliver(events, sink)

    run(main)
    assert sorted(sink.rows) == rows_of(case)


# -- the bare form -------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
@pytest.mark.parametrize("dead", [False, True])
def test_bare_form_that_was_asked_for_is_delivered_as_well(
    dead: bool, batch_size: int
) -> None:
    script: list[Any] = ["a", Fail(), "b", "c"]
    case = Case(scripts=[[*script, Crash(OSError("gone"))] if dead else script])
    sinks = tables(2)

    async def main() -> None:
        stream = stream_of(case)
        async with aclosing(stream):
            aiter(stream)
            assert stream.was_begun
            report = await deliver(stream, *sinks, batch_size=batch_size)
            assert report.checkpoint.finished

    if dead:
        with pytest.raises(OSError, match="gone"):
            run(main)
    else:
        run(main)
    for sink in sinks:
        assert sorted(sink.rows) == rows_of(case)
        assert sink.delivered.checkpoint.finished is not dead


# -- filters and transformers ----------------------------------------------------------------

ENDS = (DocumentCompleted, DocumentFailed, DocumentSkipped)


@pytest.mark.parametrize("hidden", [(DocumentStarted,), (BatchProgress, AdapterStateChange)])
@pytest.mark.parametrize("entered", [True, False])
def test_filter_of_what_brings_no_documents_changes_nothing(
    hidden: Any, entered: bool
) -> None:
    def shown(event: Any) -> bool:
        return not isinstance(event, hidden)

    sink = Table()

    async def main() -> None:
        stream = stream_of(CASE, event_filter=shown)
        if entered:
            async with stream:
                await deliver(stream, sink)
        else:
            await deliver(stream, sink)

    run(main)
    assert sorted(sink.rows) == rows_of(CASE)


def test_filter_of_ends_leaves_them_out_for_good() -> None:
    def shown(event: Any) -> bool:
        return not isinstance(event, DocumentFailed)

    sink = Table()
    report = run(deliver, stream_of(CASE, event_filter=shown), sink)
    assert sink.ids() == ["0", "2", "3"]
    assert report.checkpoint.finished
    assert lived(CASE, sink)
    assert sink.ids() == ["0", "2", "3"]


def test_stream_that_was_resumed_with_a_filter_gives_nothing_twice() -> None:
    def shown(event: Any) -> bool:
        return not isinstance(event, DocumentStarted)

    one, two = tables(2)
    two.trouble = {0: "fail"}
    assert not lived(CASE, one, two)
    two.trouble = {}

    async def main() -> None:
        case = attrs.evolve(CASE, resume_from=await resume_point(one, two))
        await deliver(stream_of(case, event_filter=shown), one, two)

    run(main)
    assert sorted(two.rows) == rows_of(CASE)
    assert sorted(one.rows) == rows_of(CASE)


@pytest.mark.parametrize("at", range(11))
def test_filter_that_fails_ends_the_run_where_it_is_and_nothing_is_lost(at: int) -> None:
    def fail(event: Any) -> bool:
        if event.sequence == at:
            raise ZeroDivisionError
        return True

    sink = Table()
    with pytest.raises(ZeroDivisionError):
        run(lambda: deliver(stream_of(CASE, event_filter=fail), sink, batch_size=2))
    assert lived(CASE, sink)
    assert sorted(sink.rows) == rows_of(CASE)


def test_transformer_that_makes_other_things_of_events_is_refused() -> None:
    sink = Table()
    with pytest.raises(SetupError, match="gives str objects instead of events"):
        run(deliver, stream_of(CASE, event_transformer=repr), sink)
    assert sink.rows == []


# -- wrong arguments -----------------------------------------------------------------------


def refused(*args: Any, match: str, **options: Any) -> None:
    with pytest.raises(SetupError, match=match) as caught:
        run(lambda: deliver(*args, **options))
    assert str(caught.value).endswith((".", "`"))
    assert len(str(caught.value).split()) > 8


@pytest.mark.parametrize(
    ("options", "match"),
    [({"batch_size": wrong}, "batch_size must be") for wrong in (0, -1, 1.0, "2", True, None)]
    + [
        ({"max_wait_seconds": wrong}, "max_wait_seconds must be")
        for wrong in (-1, float("inf"), float("nan"), "1", None, True)
    ]
    + [({name: 7}, "plain functions") for name in ("on_event", "on_commit", "on_rejection")]
    + [({name: trio.sleep}, "plain functions") for name in ("on_event", "on_commit")],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", str(value)),
)
def test_wrong_option_is_refused_before_anything_begins(
    options: dict[str, Any], match: str
) -> None:
    stream, sink = stream_of(CASE), Table()
    refused(stream, sink, match=match, **options)
    assert not stream.was_begun
    assert sink.batches == []


def test_wrong_sinks_are_refused() -> None:
    refused(stream_of(CASE), match="at least one sink")
    refused(stream_of(CASE), Table(), Table(), match="Two sinks are called 'table'")
    refused(stream_of(CASE), [Table()], match="each is an argument of its own")
    refused(stream_of(CASE), "documents.db", match="a name and an async write")
    refused(stream_of(CASE), None, match="a name and an async write")


def test_what_is_no_stream_is_refused() -> None:
    pipeline = IngestionPipeline(Plain())
    refused(pipeline, Table(), match="takes what pipeline.stream_events")
    shaped = pipeline.stream_events().__anext__()
    shaped.close()  # type: ignore[attr-defined]
    refused(shaped, Table(), match="itself and not an iterator")
    refused(pipeline.iter_results(), Table(), match="takes what pipeline.stream_events")
