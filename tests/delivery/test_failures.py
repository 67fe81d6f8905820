"""What fails leaves as itself, and everything that came before it is kept."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.delivery.memory_sinks import (
    Killed,
    Table,
    deliver_case,
    lived,
    rows_of,
    stream_of,
    tables,
)
from tests.promises.checks import covered_by
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import DocumentCompleted, StreamBusyError
from trio_ingest.delivery import DeliveryReport, Rejection, deliver
from trio_ingest.testing import Crash, Fail, SlowParse

CREWS = pytest.mark.parametrize(
    ("workers", "ordered"), [(1, True), (3, True), (3, False)], ids=["one", "three", "mixed"]
)


# -- adapters --------------------------------------------------------------------------------


@CREWS
@pytest.mark.parametrize("batch_size", [1, 2, 1000])
def test_what_came_before_a_dead_adapter_is_committed_then_its_failure_raised(
    batch_size: int, workers: int, ordered: bool
) -> None:
    error = ConnectionError("gone")
    script: list[Any] = ["a", Fail(), SlowParse(2), "b", Crash(error)]
    case = Case(scripts=[script, "xyz"], workers=workers, ordered=ordered)
    sink = Table()
    with pytest.raises(ConnectionError) as caught:
        run(lambda: deliver_case(case, sink, batch_size=batch_size))
    assert caught.value is error
    assert "source0" in error.__notes__[0]
    assert not any("stopped at" in note for note in error.__notes__)
    assert sorted(sink.rows) == rows_of(case)
    dead, other = sink.delivered.checkpoint.positions
    assert (dead.finished, other.finished) == (False, True)
    # It can be repaired, and the job goes on.
    script[-1] = "c"
    assert lived(case, sink)
    assert sorted(sink.rows) == rows_of(case)


def test_failures_of_several_dead_adapters_leave_as_a_group_in_their_order() -> None:
    errors = [ValueError("first"), OSError("second")]
    case = Case(scripts=[["a", SlowParse(5), Crash(errors[0])], ["b", Crash(errors[1])], "c"])
    sink = Table()
    with pytest.RaisesGroup(ValueError, OSError) as caught:
        run(deliver_case, case, sink)
    assert list(caught.value.exceptions) == errors
    assert sorted(sink.rows) == rows_of(case)


def test_sink_that_fails_after_an_adapter_died_hides_neither() -> None:
    death = ConnectionError("gone")
    sink = Table(trouble={0: "fail"})
    with pytest.raises(OSError, match="the disk is full") as caught:
        run(deliver_case, Case(scripts=[["a", Crash(death)]]), sink)
    assert caught.value.__context__ is death
    assert sink.rows == []


# -- sinks -----------------------------------------------------------------------------------


def test_failing_sink_raises_as_itself_with_a_note_of_what_each_sink_has() -> None:
    case = Case(scripts=[["a", Fail(), "b", "c", "d"]])
    one, two, three = tables(3)
    two.trouble = {1: "fail"}
    with pytest.raises(OSError, match="the disk is full") as caught:
        run(lambda: deliver_case(case, one, two, three, batch_size=2))
    note, _ = caught.value.__notes__  # the other one names the seed
    assert note == (
        "The delivery stopped at table 1. table 0 has 3 documents and 1 failed; table 1 has "
        "1 document and 1 failed; table 2 has 1 document and 1 failed. The job can be resumed "
        "from there."
    )
    assert [len(sink.rows) for sink in (one, two, three)] == [4, 2, 2]


def test_sink_that_cannot_be_asked_what_it_has_fails_before_the_first_event() -> None:
    class Broken(Table):
        async def load(self) -> Any:
            raise PermissionError("locked")

    case = Case(scripts=["abc"])
    adapters = case.adapters()
    stream = case.pipeline(adapters).stream_events(**case.options())
    with pytest.raises(PermissionError):
        run(deliver, stream, Broken())
    assert adapters[0].opened == 0


def test_adapters_are_closed_when_a_sink_fails() -> None:
    case = Case(scripts=["abcdef", [SlowParse(1000)]], workers=2)
    adapters = case.adapters()
    stream = case.pipeline(adapters).stream_events(**case.options())
    with pytest.raises(OSError, match="full"):
        run(lambda: deliver(stream, Table(trouble={0: "fail"}), batch_size=1))
    assert [adapter.closed for adapter in adapters] == [1, 1]


# -- Ctrl-C and cancellation -----------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, Killed])
@pytest.mark.parametrize("where", ["on_event", "write"])
def test_interrupt_leaves_as_itself_and_commits_nothing_more(kind: Any, where: str) -> None:
    case, (one, two) = Case(scripts=["abcdef"]), tables(2)

    def strike(_: Any) -> None:
        if len(one.batches) == 2:
            raise kind

    if where == "write":
        two.on_write = strike
    options = {"on_event": strike} if where == "on_event" else {}
    with pytest.raises(kind):
        run(lambda: deliver_case(case, one, two, batch_size=1, **options))
    assert len(one.batches) == 2
    two.on_write = None
    assert lived(case, one, two)
    assert sorted(one.rows) == sorted(two.rows) == rows_of(case)


def test_cancelled_delivery_commits_nothing_more() -> None:
    case, sink = Case(scripts=[["a", "b", "c", SlowParse(1000), "d"]]), Table()

    async def main() -> None:
        with trio.move_on_after(10):
            await deliver_case(case, sink, batch_size=2, max_wait_seconds=1e9)
        assert sink.ids() == ["0", "1"]

    run(main)
    assert lived(case, sink)
    assert sorted(sink.rows) == rows_of(case)


# -- callbacks -------------------------------------------------------------------------------


def test_callbacks_come_in_order_event_then_rejection_then_commit() -> None:
    told: list[Any] = []
    one, two = tables(2)
    one.rejects = lambda document: document.doc_id in "02"
    two.rejects = lambda document: document.doc_id == "1"

    def on_rejection(name: str, rejection: Rejection) -> None:
        told.append((name, rejection.document.doc_id, rejection.reason))

    def on_event(event: Any) -> None:
        if isinstance(event, DocumentCompleted):
            told.append(event.document.doc_id)

    def on_commit(report: DeliveryReport) -> None:
        told.append(report.totals["table 0"].completed)

    run(
        lambda: deliver_case(
            Case(scripts=["abc"]),
            one,
            two,
            batch_size=2,
            on_event=on_event,
            on_commit=on_commit,
            on_rejection=on_rejection,
        )
    )
    no = "It is not wanted."
    assert told[:5] == ["0", "1", ("table 0", "0", no), ("table 1", "1", no), 2]
    assert told[5:] == ["2", ("table 0", "2", no), 3]


@pytest.mark.parametrize("name", ["on_event", "on_commit", "on_rejection"])
def test_callback_that_fails_ends_the_run_and_gives_no_sink_anything_twice(name: str) -> None:
    case, (one, two) = Case(scripts=["abcdef"]), tables(2)
    one.rejects = two.rejects = lambda document: document.doc_id == "3"
    error, calls = ZeroDivisionError(), 0

    def fail(*args: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == (7 if name == "on_event" else 1):
            raise error

    with pytest.raises(ZeroDivisionError) as caught:
        run(lambda: deliver_case(case, one, two, batch_size=2, **{name: fail}))
    assert caught.value is error
    assert calls == (7 if name == "on_event" else 1)
    for sink in (one, two):
        assert sink.rows == sorted(set(sink.rows))
        if sink.stored is not None:
            ((_, covered),) = covered_by(sink.delivered.checkpoint).items()
            assert len(covered) == sink.totals.completed
    assert lived(case, one, two)
    for sink in (one, two):
        assert sorted(sink.rows) == rows_of(case, without={"3"})
        assert sink.totals.completed == 6


def test_thief_in_another_task_is_found_out_and_nothing_is_claimed_for_it() -> None:
    case, sink = Case(scripts=[["a", "b", "c", SlowParse(100), "d"]]), Table(seconds=10)

    async def steal(events: Any) -> None:
        await trio.sleep(5)  # while the sink is writing
        async for _ in events:
            pass

    async def main() -> None:
        async with stream_of(case) as events, trio.open_nursery() as nursery:
            nursery.start_soon(steal, events)
            with pytest.raises(StreamBusyError):
                await deliver(events, sink, batch_size=1)
            nursery.cancel_scope.cancel()

    run(main)
    assert sink.ids() == ["0"]
    assert lived(case, sink)
    assert sorted(sink.rows) == rows_of(case)
