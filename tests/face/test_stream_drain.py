"""Draining stops the fetch, finishes what is in flight, and ends the stream normally."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.promises.adapters import Plain
from tests.promises.checks import check_shape, check_states, documents_of
from tests.promises.scripts import PartsAdapter, records_of, scripts
from tests.worlds import run
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    Document,
    DocumentCompleted,
    DocumentStarted,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
)
from trio_ingest.testing import FailTimes, Pause, ScriptedAdapter, SlowParse

WORKERS = pytest.mark.parametrize("workers", [1, 3])


async def drained(
    stream: EventStream[PipelineEvent], when: Callable[[PipelineEvent], bool]
) -> list[PipelineEvent]:
    """Everything from a stream that is drained with the event in hand that ``when`` means."""
    events = []
    async with stream:
        async for event in stream:
            events.append(event)
            if when(event):
                stream.drain()
    check_shape(events)
    check_states(events)
    return events


def states_of(events: list[PipelineEvent], source: str = "script") -> list[str]:
    return [
        event.new_state
        for event in events
        if isinstance(event, AdapterStateChange) and event.adapter == source
    ]


def number(event: PipelineEvent, record_number: int) -> bool:
    return isinstance(event, DocumentCompleted) and event.record_number == record_number


@WORKERS
async def test_drain_interrupts_a_fetch_that_waits(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    adapter = ScriptedAdapter([1, 2, Pause(1000), 3])
    stream = IngestionPipeline(adapter, workers=workers).stream_events()
    events = await drained(stream, lambda event: number(event, 1))
    assert trio.current_time() < 1
    assert states_of(events) == ["running", "draining", "finished"]
    assert documents_of(events) == ["0", "1"]
    assert adapter.closed == adapter.opened == 1


async def test_drained_adapter_says_that_it_was_drained() -> None:
    events = await drained(
        IngestionPipeline(ScriptedAdapter(range(100))).stream_events(buffer_size=3),
        lambda event: number(event, 1),
    )
    *_, last = [e for e in events if isinstance(e, AdapterStateChange)]
    assert (last.new_state, last.reason) == ("finished", "drained")


@WORKERS
async def test_drain_finishes_what_is_in_flight(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    adapter = ScriptedAdapter([SlowParse(10)] * 50)
    events = await drained(
        IngestionPipeline(adapter, workers=workers).stream_events(),
        lambda event: isinstance(event, DocumentStarted),
    )
    started = [e for e in events if isinstance(e, DocumentStarted)]
    assert len(documents_of(events)) == len(started) >= workers
    assert len(started) <= 2 * workers
    assert adapter.fetched <= 2 * workers + 1


@WORKERS
async def test_drain_lets_a_retry_that_waits_have_its_attempt(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    adapter = ScriptedAdapter([FailTimes(2), *range(50)])
    retry = RetryPolicy(attempts=3, base_seconds=60, max_seconds=60, seed=1)
    stream = IngestionPipeline(adapter, workers=workers, retry=retry).stream_events()
    events = await drained(stream, lambda event: type(event).__name__ == "DocumentRetrying")
    assert "0" in documents_of(events)


@WORKERS
async def test_drain_before_the_first_event_brings_no_document(workers: int) -> None:
    adapter = ScriptedAdapter(range(10))
    events = []
    async with IngestionPipeline(adapter, workers=workers).stream_events() as stream:
        stream.drain()
        events.extend([event async for event in stream])
    assert documents_of(events) == []
    assert states_of(events)[-1] == "finished"
    assert isinstance(events[-1], BatchProgress)
    assert adapter.fetched <= 1


async def test_drain_at_the_end_changes_nothing() -> None:
    events = await drained(
        IngestionPipeline(ScriptedAdapter([1, 2])).stream_events(),
        lambda event: isinstance(event, BatchProgress),
    )
    assert states_of(events) == ["running", "finished"]
    assert documents_of(events) == ["0", "1"]


async def test_draining_twice_is_draining_once() -> None:
    events = await drained(
        IngestionPipeline(ScriptedAdapter(range(50))).stream_events(buffer_size=2),
        lambda event: isinstance(event, DocumentCompleted),
    )
    assert states_of(events) == ["running", "draining", "finished"]


async def test_drain_comes_from_any_task(autojump_clock: trio.abc.Clock) -> None:
    events = []
    pipeline = IngestionPipeline(ScriptedAdapter([1, Pause(1000)]))
    async with pipeline.stream_events() as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def other() -> None:
            await trio.sleep(5)
            stream.drain()

        events.extend([event async for event in stream])
    assert trio.current_time() == 5
    assert states_of(events)[-1] == "finished"


async def test_drain_reaches_every_adapter_and_the_params_that_had_not_begun() -> None:
    first = PartsAdapter(range(100), source="first")
    second = PartsAdapter(range(100), source="second")
    stream = IngestionPipeline(first, second).stream_events(
        params=[{"part": 1}, {"part": 2}], buffer_size=4
    )
    events = await drained(stream, lambda event: number(event, 3))
    for source in ("first", "second"):
        assert states_of(events, source) == ["running", "draining", "finished"]
    assert first.opened <= 1
    assert second.opened <= 1
    assert isinstance(events[-1], BatchProgress)
    assert events[-1].checkpoint is not None
    assert [p.finished for p in events[-1].checkpoint.positions] == [False] * 4


async def test_adapter_that_had_finished_is_not_said_to_be_drained(
    autojump_clock: trio.abc.Clock,
) -> None:
    short = ScriptedAdapter([1], source="short")
    long = ScriptedAdapter([1, Pause(100), 2], source="long")
    events = await drained(
        IngestionPipeline(short, long).stream_events(),
        lambda event: isinstance(event, BatchProgress),
    )
    assert states_of(events, "short") == ["running", "finished"]
    assert states_of(events, "long") == ["running", "draining", "finished"]
    assert isinstance(events[-1], BatchProgress)
    assert events[-1].checkpoint is not None
    assert [p.finished for p in events[-1].checkpoint.positions] == [True, False]


@pytest.mark.parametrize("ticks", range(12))
@pytest.mark.parametrize("safe", [False, True], ids=["plain", "safe channel"])
async def test_drain_at_any_moment_of_the_beginning_is_heeded(
    autojump_clock: trio.abc.Clock, ticks: int, safe: bool
) -> None:
    class Slow(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            await trio.sleep(1000)
            yield 1

    class Safe(Slow):
        fetch = trio.as_safe_channel(Slow.fetch)  # type: ignore[assignment]

    async with IngestionPipeline(Safe() if safe else Slow()).stream_events() as stream:
        for _ in range(ticks):
            await trio.lowlevel.checkpoint()
        stream.drain()
        async for _ in stream:
            pass
    assert trio.current_time() < 1


@WORKERS
async def test_record_that_comes_out_of_a_drained_fetch_is_not_started(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    class Stubborn(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 0
            try:
                await trio.sleep(1000)
            except trio.Cancelled:
                yield 1  # noqa: ASYNC104 -- a resumed run must fetch it again
                raise

    events = await drained(
        IngestionPipeline(Stubborn(), workers=workers).stream_events(),
        lambda event: number(event, 0),
    )
    assert documents_of(events) == ["0"]
    assert isinstance(events[-1], BatchProgress)
    assert events[-1].checkpoint is not None
    assert events[-1].checkpoint.positions[0].watermark == 1


async def test_fetch_cleans_up_when_it_is_drained(autojump_clock: trio.abc.Clock) -> None:
    log = []

    class Careful(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            try:
                yield 0
                await trio.sleep(1000)
            finally:
                log.append("fetch closed")

        async def aclose(self) -> None:
            log.append("adapter closed")

    await drained(IngestionPipeline(Careful()).stream_events(), lambda event: number(event, 0))
    assert log == ["fetch closed", "adapter closed"]


async def test_drain_does_not_interrupt_a_parse(autojump_clock: trio.abc.Clock) -> None:
    class Slow(Plain):
        async def parse(self, record: Any) -> Document:
            await trio.sleep(7)
            return Document(str(record), self.source, "")

    events = await drained(
        IngestionPipeline(Slow()).stream_events(),
        lambda event: isinstance(event, DocumentStarted),
    )
    assert documents_of(events) == ["0"]
    assert trio.current_time() == pytest.approx(7)


@attrs.frozen
class Leg:
    """One of several runs: drained after so many events, with so many workers."""

    events: int
    workers: int
    ordered: bool
    buffer_size: int


LEGS = st.lists(
    st.builds(
        Leg,
        events=st.integers(0, 25),
        workers=st.integers(1, 4),
        ordered=st.booleans(),
        buffer_size=st.sampled_from([1, 2, 5, 100]),
    ),
    max_size=4,
)


@given(scripts(crash=False), LEGS)
def test_what_a_drained_run_left_is_what_a_resumed_run_brings(
    script: list[Any], legs: list[Leg]
) -> None:
    async def main() -> None:
        point: Checkpoint | None = None
        ended: list[int] = []
        for leg in [*legs, Leg(10**9, 1, ordered=True, buffer_size=10)]:
            pipeline = IngestionPipeline(
                ScriptedAdapter(script), workers=leg.workers, ordered=leg.ordered
            )
            stream = pipeline.stream_events(resume_from=point, buffer_size=leg.buffer_size)
            events = []
            async with stream:
                if leg.events == 0:
                    stream.drain()
                async for event in stream:
                    events.append(event)
                    if len(events) == leg.events:
                        stream.drain()
            check_shape(events)
            check_states(events)
            assert isinstance(events[-1], BatchProgress)
            point = events[-1].checkpoint
            ended += [e.record_number for e in events if isinstance(e, DocumentStarted)]
        assert sorted(ended) == list(range(len(records_of(script))))
        assert point is not None
        (position,) = point.positions
        assert (position.watermark, position.finished) == (len(ended), True)

    run(main)
