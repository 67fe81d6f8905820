"""Events that another task took, or a filter hides: the delivery claims nothing for them."""

from __future__ import annotations

from contextlib import aclosing, suppress
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.delivery.memory_sinks import Table, lived, rows_of, stream_of
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentStarted,
    SetupError,
    StreamBusyError,
)
from trio_ingest.delivery import deliver
from trio_ingest.testing import Crash, Fail

CASE = Case(scripts=[["a", Fail(), "b", "c", "d", "e"]])


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
