"""A paused stream fetches nothing more until it is resumed; what is in flight goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.promises.checks import check_counts, check_shape, check_states, documents_of
from tests.promises.scripts import records_of, scripts
from tests.worlds import run
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    DocumentCompleted,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
)
from trio_ingest.testing import Crash, Pause, ScriptedAdapter, SlowParse

WORKERS = pytest.mark.parametrize("workers", [1, 3])


def states_of(events: Sequence[PipelineEvent]) -> list[str]:
    return [event.new_state for event in events if isinstance(event, AdapterStateChange)]


@WORKERS
async def test_paused_stream_fetches_nothing_and_loses_nothing(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    adapter = ScriptedAdapter(range(200))
    events: list[PipelineEvent] = []
    fetched: set[int] = set()
    paused_at = 0
    async with IngestionPipeline(adapter, workers=workers).stream_events(
        buffer_size=4
    ) as stream:
        async for event in stream:
            events.append(event)
            if len(documents_of(events)) == 5 and not paused_at:
                stream.pause()
                paused_at = event.sequence
            if isinstance(event, BatchProgress) and states_of(events)[-1] == "paused":
                fetched.add(adapter.fetched)
                if trio.current_time() > 20:
                    stream.resume()
    assert len(fetched) == 1
    assert documents_of(events) == [str(n) for n in range(200)]
    assert states_of(events) == ["running", "paused", "running", "finished"]
    check_shape(events)
    check_states(events)
    # What a pause takes is nobody's work and nobody's fault.
    assert stream.statistics().throttle_seconds == pytest.approx(trio.current_time(), abs=1)


@WORKERS
async def test_what_is_in_flight_goes_on_while_the_stream_is_paused(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    adapter = ScriptedAdapter([SlowParse(5)] * 20)
    ended: list[float] = []
    async with IngestionPipeline(adapter, workers=workers).stream_events() as stream:
        async for event in stream:
            if isinstance(event, DocumentStarted):
                stream.pause()
            if isinstance(event, DocumentCompleted):
                ended.append(trio.current_time())
            if trio.current_time() > 60:
                break
        assert stream.statistics().in_flight == 0
    assert workers <= len(ended) <= 2 * workers + 1
    assert max(ended) <= 10


async def test_paused_stream_still_shows_progress(autojump_clock: trio.abc.Clock) -> None:
    times = []
    async with IngestionPipeline(ScriptedAdapter(range(9))).stream_events() as stream:
        stream.pause()
        async for event in stream:
            if isinstance(event, BatchProgress):
                times.append(trio.current_time())
                if len(times) == 10:
                    break
    gaps = [after - before for before, after in zip([0, *times], times, strict=False)]
    assert max(gaps) <= 1


async def test_pause_before_the_first_event_brings_no_document_until_it_is_resumed(
    autojump_clock: trio.abc.Clock,
) -> None:
    events: list[PipelineEvent] = []
    async with IngestionPipeline(ScriptedAdapter(range(9))).stream_events() as stream:
        stream.pause()
        async for event in stream:
            events.append(event)
            if trio.current_time() < 5:
                assert documents_of(events) == []
            else:
                stream.resume()
    assert states_of(events) == ["running", "paused", "running", "finished"]
    assert len(documents_of(events)) == 9


async def test_pausing_twice_is_pausing_once(autojump_clock: trio.abc.Clock) -> None:
    events: list[PipelineEvent] = []
    async with IngestionPipeline(ScriptedAdapter(range(50))).stream_events(
        buffer_size=2
    ) as stream:
        async for event in stream:
            events.append(event)
            if trio.current_time() < 3:
                stream.pause()
            else:
                stream.resume()
                stream.resume()
    assert states_of(events) == ["running", "paused", "running", "finished"]


async def test_resume_without_a_pause_changes_nothing() -> None:
    events: list[PipelineEvent] = []
    async with IngestionPipeline(ScriptedAdapter(range(5))).stream_events() as stream:
        stream.resume()
        async for event in stream:
            stream.resume()
            events.append(event)
    assert states_of(events) == ["running", "finished"]
    assert len(documents_of(events)) == 5


@WORKERS
async def test_paused_stream_can_be_drained(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    events: list[PipelineEvent] = []
    pipeline = IngestionPipeline(ScriptedAdapter(range(50)), workers=workers)
    async with pipeline.stream_events(buffer_size=2) as stream:
        async for event in stream:
            assert trio.current_time() < 100
            events.append(event)
            if isinstance(event, DocumentCompleted) and trio.current_time() == 0:
                stream.pause()
            if isinstance(event, BatchProgress):
                stream.drain()
    assert states_of(events) == ["running", "paused", "draining", "finished"]
    check_shape(events)
    check_states(events)
    assert len(documents_of(events)) < 50


async def test_draining_stream_cannot_be_paused() -> None:
    events: list[PipelineEvent] = []
    with trio.fail_after(5):
        async with IngestionPipeline(ScriptedAdapter(range(50))).stream_events(
            buffer_size=2
        ) as stream:
            async for event in stream:
                events.append(event)
                if isinstance(event, DocumentCompleted):
                    stream.drain()
                    stream.pause()
    assert "paused" not in states_of(events)


async def test_block_of_a_paused_stream_can_be_left(autojump_clock: trio.abc.Clock) -> None:
    adapter = ScriptedAdapter(range(50))
    async with IngestionPipeline(adapter).stream_events() as stream:
        stream.pause()
        async for _ in stream:
            if trio.current_time() > 3:
                break
    assert adapter.opened == adapter.closed


async def test_pause_reaches_every_adapter(autojump_clock: trio.abc.Clock) -> None:
    adapters = [ScriptedAdapter(range(50), source=source) for source in "ab"]
    paused = set()
    async with IngestionPipeline(*adapters).stream_events(buffer_size=2) as stream:
        async for event in stream:
            if isinstance(event, DocumentCompleted):
                stream.pause()
            if isinstance(event, AdapterStateChange) and event.new_state == "paused":
                paused.add(event.adapter)
            if trio.current_time() > 3:
                break
    assert paused == {"a", "b"}


async def test_fetch_that_waits_may_go_on_waiting_and_its_record_is_the_last(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter = ScriptedAdapter([Pause(10), *range(50)])
    events: list[PipelineEvent] = []
    async with IngestionPipeline(adapter).stream_events() as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, AdapterStateChange) and event.new_state == "running":
                stream.pause()
            if trio.current_time() > 60:
                break
    assert len(documents_of(events)) <= 1
    assert adapter.fetched <= 1


COMMANDS = st.lists(
    st.tuples(
        st.sampled_from([0, 0.1, 0.7, 2]),
        st.sampled_from(["pause", "pause", "resume", "resume", "drain"]),
    ),
    max_size=12,
)


@given(scripts(), COMMANDS, st.integers(1, 3), st.booleans(), st.sampled_from([1, 3, 100]))
def test_any_commands_at_any_time_leave_a_stream_that_is_sound_and_ends(
    script: list[Any],
    commands: list[tuple[float, str]],
    workers: int,
    ordered: bool,
    buffer_size: int,
) -> None:
    async def main() -> None:
        events: list[PipelineEvent] = []
        failure: Exception | None = None
        pipeline = IngestionPipeline(ScriptedAdapter(script), workers=workers, ordered=ordered)
        stream = pipeline.stream_events(buffer_size=buffer_size, progress_interval=3)
        async with stream, trio.open_nursery() as nursery:

            @nursery.start_soon
            async def command() -> None:
                for delay, name in commands:
                    await trio.sleep(delay)
                    getattr(stream, name)()
                await trio.sleep(1)
                stream.resume()

            try:
                async for event in stream:
                    assert event.sequence == len(events)
                    events.append(event)
            except RuntimeError as error:
                failure = error
        check_shape(events)
        check_states(events)
        check_counts(events)
        started = [e.record_number for e in events if isinstance(e, DocumentStarted)]
        assert started == list(range(len(started)))
        if "drain" not in [name for _, name in commands]:
            assert len(started) == len(records_of(script))
            crashes = [step.error for step in script if isinstance(step, Crash)]
            assert [failure] == (crashes or [None])

    run(main)
