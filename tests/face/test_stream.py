"""A stream is one run: entered once, used inside, and readable about itself at any time."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given

from tests.promises.adapters import Plain
from tests.promises.checks import check_covers
from tests.promises.scripts import cases, play
from tests.worlds import run
from trio_ingest import (
    BatchProgress,
    Checkpoint,
    DocumentCompleted,
    DocumentStarted,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
    SetupError,
    StreamBusyError,
    StreamClosedError,
)
from trio_ingest.testing import Fail, FailTimes, Pause, ScriptedAdapter, SlowParse


def stream_of(*script: Any, **options: Any) -> EventStream[PipelineEvent]:
    return IngestionPipeline(ScriptedAdapter(script)).stream_events(**options)


def watermark(checkpoint: Checkpoint) -> int:
    (position,) = checkpoint.positions
    return position.watermark


# -- one run ---------------------------------------------------------------------------


async def test_stream_cannot_be_entered_twice() -> None:
    stream = stream_of(1)
    async with stream:
        with pytest.raises(StreamClosedError, match="one run"):
            await stream.__aenter__()
        assert [type(e) for e in [event async for event in stream]][-1] is BatchProgress
    with pytest.raises(StreamClosedError, match="one run"):
        async with stream:
            pytest.fail("entered twice")


async def test_stream_that_was_iterated_bare_cannot_be_entered() -> None:
    stream = stream_of(1)
    async for _ in stream:
        pass
    with pytest.raises(StreamClosedError, match="one run"):
        async with stream:
            pytest.fail("entered after it was iterated")


async def test_stream_cannot_be_used_after_its_block() -> None:
    stream = stream_of(1, 2)
    async with stream:
        await anext(stream)
    with pytest.raises(StreamClosedError, match="left"):
        await anext(stream)
    with pytest.raises(StreamClosedError, match="left"):
        async for _ in stream:
            pytest.fail("an event after the block")
    for use in (stream.drain, stream.pause, stream.resume):
        with pytest.raises(StreamClosedError, match=f"{use.__name__}.. comes too late"):
            use()


async def test_shaped_stream_cannot_be_used_after_its_block() -> None:
    stream = IngestionPipeline(Plain()).stream_events(event_transformer=repr)
    async with stream:
        assert "running" in await anext(stream)
    with pytest.raises(StreamClosedError, match="left"):
        await anext(stream)


async def test_iteration_inside_the_block_goes_on_where_it_stopped() -> None:
    sequences = []
    async with stream_of(*range(20), buffer_size=3) as stream:
        async for event in stream:
            sequences.append(event.sequence)
            if event.sequence == 5:
                break
        sequences.append((await anext(stream)).sequence)
        sequences.extend([event.sequence async for event in stream])
    assert sequences == list(range(len(sequences)))
    assert len(sequences) > 40


async def test_ended_stream_stays_ended_until_the_block_is_left() -> None:
    async with stream_of(1) as stream:
        async for _ in stream:
            pass
        for _ in range(3):
            with pytest.raises(StopAsyncIteration):
                await anext(stream)
        # But a second loop over it is a mistake, and would look like an empty run.
        with pytest.raises(StreamClosedError, match="one run"):
            async for _ in stream:
                pytest.fail("an event after the end")


async def test_two_tasks_cannot_wait_for_the_same_event(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with stream_of(Pause(1000)) as stream, trio.open_nursery() as nursery:
        await anext(stream)

        @nursery.start_soon
        async def first() -> None:
            with suppress(StopAsyncIteration):
                while True:
                    await anext(stream)

        await trio.sleep(0.1)
        with pytest.raises(StreamBusyError, match="one consumer"):
            await anext(stream)
        stream.drain()


async def test_consumer_that_is_cancelled_while_it_waits_loses_nothing(
    autojump_clock: trio.abc.Clock,
) -> None:
    sequences, timeouts = [], 0
    async with stream_of(*[Pause(5), 1] * 5) as stream:
        while True:
            with trio.move_on_after(0.2) as scope:
                try:
                    event = await anext(stream)
                except StopAsyncIteration:
                    break
                sequences.append(event.sequence)
            timeouts += scope.cancelled_caught
    assert sequences == list(range(len(sequences)))
    assert timeouts > 50


async def test_nothing_to_close_in_its_block_by_hand() -> None:
    async with stream_of(1) as stream:
        with pytest.raises(SetupError, match="Leave the `async with` block"):
            await stream.aclose()


# -- what has been acknowledged, at odd times ------------------------------------------


async def test_before_it_begins_there_is_nothing_to_say() -> None:
    stream = stream_of(1)
    for ask in (stream.checkpoint, stream.statistics):
        with pytest.raises(SetupError, match=f"no {ask.__name__}.. yet"):
            ask()


async def test_checkpoint_before_the_first_event_covers_nothing() -> None:
    async with stream_of(1, 2) as stream:
        assert watermark(stream.checkpoint()) == 0
        await trio.testing.wait_all_tasks_blocked()
        assert watermark(stream.checkpoint()) == 0


@given(cases(crash=True))
def test_checkpoint_with_an_event_in_hand_covers_exactly_the_ends_before_it(case: Any) -> None:
    played = run(play, case)
    for place, held in enumerate(played.held[:-1]):
        check_covers(held, played.events[:place], already_done=case.already_done())
    check_covers(played.held[-1], played.events, already_done=case.already_done())


async def test_asking_for_the_next_event_acknowledges_even_if_it_does_not_come(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with stream_of(1, Pause(100)) as stream:
        while not isinstance(await anext(stream), DocumentCompleted):
            pass
        assert watermark(stream.checkpoint()) == 0
        with trio.move_on_after(0.1) as scope:
            await anext(stream)
        assert scope.cancelled_caught
        assert watermark(stream.checkpoint()) == 1


async def test_checkpoint_of_another_task_covers_what_the_consumer_has_asked_past(
    autojump_clock: trio.abc.Clock,
) -> None:
    points = []
    async with stream_of(1, 2, Pause(10), 3) as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def other() -> None:
            await trio.sleep(5)
            points.append(watermark(stream.checkpoint()))

        async for _ in stream:
            pass
    assert points == [2]


async def test_checkpoint_after_a_break_leaves_out_what_was_in_hand_and_in_the_buffer() -> (
    None
):
    async with stream_of(*range(50)) as stream:
        async for event in stream:
            if isinstance(event, DocumentCompleted) and event.record_number == 20:
                await trio.testing.wait_all_tasks_blocked()
                break
    assert watermark(stream.checkpoint()) == 20
    assert stream.statistics().completed == 50


async def test_checkpoint_after_the_end_covers_everything_and_says_so() -> None:
    async with stream_of(1, Fail(), 2) as stream:
        async for event in stream:
            last = event
    assert isinstance(last, BatchProgress)
    assert stream.checkpoint() == last.checkpoint
    (position,) = stream.checkpoint().positions
    assert (position.watermark, position.finished) == (3, True)


async def test_checkpoint_does_not_change_the_run() -> None:
    async def events(*, ask: bool) -> list[PipelineEvent]:
        pipeline = IngestionPipeline(
            ScriptedAdapter([1, Fail(), 2] * 10), clock=lambda: 0.0, new_pipeline_id=str
        )
        seen = []
        async with pipeline.stream_events(
            progress_interval=7, checkpoint_interval=4
        ) as stream:
            async for event in stream:
                if ask:
                    assert stream.checkpoint() == stream.checkpoint()
                if not isinstance(event, BatchProgress):
                    seen.append(event)
                elif event.checkpoint is not None:
                    seen.append(event.checkpoint)  # type: ignore[arg-type]
        return [e for e in seen if not hasattr(e, "duration") and not hasattr(e, "error")]

    assert await events(ask=True) == await events(ask=False)


async def test_progress_by_time_carries_a_checkpoint_when_something_has_ended(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with stream_of(Pause(2), 1, Pause(3), 2, Pause(2)) as stream:
        minted = [e.checkpoint async for e in stream if isinstance(e, BatchProgress)]
    points = [None if point is None else watermark(point) for point in minted]
    assert points[-1] == 2
    assert [point for point in points if point is not None] == [1, 2, 2]
    assert points.count(None) >= 6


# -- statistics ------------------------------------------------------------------------


async def test_statistics_say_what_waits_where(autojump_clock: trio.abc.Clock) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(50)))
    async with pipeline.stream_events(buffer_size=7) as stream:
        first = stream.statistics()
        assert (first.queue_depth, first.buffer_size, first.completed) == (0, 7, 0)
        await trio.sleep(1)
        full = stream.statistics()
        # running, three pairs; the fourth document is started or waits to be.
        assert full.queue_depth == 7
        assert full.completed == 3
        async for _ in stream:
            pass
        last = stream.statistics()
    assert (last.queue_depth, last.in_flight, last.completed) == (0, 0, 50)


async def test_statistics_count_every_outcome() -> None:
    adapter = ScriptedAdapter([1, Fail(), FailTimes(2), 4])
    pipeline = IngestionPipeline(adapter, retry=RetryPolicy(attempts=3, base_seconds=0))
    async with pipeline.stream_events(completed_ids={"3"}) as stream:
        async for _ in stream:
            pass
    counts = stream.statistics()
    assert (counts.completed, counts.failed, counts.skipped, counts.retried) == (2, 1, 1, 2)


async def test_statistics_are_frozen() -> None:
    async with stream_of(1, 2) as stream:
        before = stream.statistics()
        async for _ in stream:
            pass
        assert before.completed == 0
        assert stream.statistics().completed == 2
    with pytest.raises(AttributeError):
        before.completed = 5  # type: ignore[misc]


async def test_in_flight_is_what_was_started_and_has_not_ended(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter = ScriptedAdapter([SlowParse(10)] * 3)
    async with IngestionPipeline(adapter, workers=3).stream_events() as stream:
        async for event in stream:
            if isinstance(event, DocumentStarted) and event.record_number == 2:
                assert stream.statistics().in_flight == 3
    assert stream.statistics().in_flight == 0


async def test_statistics_count_a_wait_that_is_not_over(
    autojump_clock: trio.abc.Clock,
) -> None:
    async with stream_of(*range(20), buffer_size=2) as stream:
        while not isinstance(await anext(stream), DocumentCompleted):
            pass
        await trio.sleep(100)
        assert stream.statistics().consumer_seconds == pytest.approx(100)
        await trio.sleep(20)
        assert stream.statistics().consumer_seconds == pytest.approx(120)
        await anext(stream)
        # And counts it once.
        assert stream.statistics().consumer_seconds == pytest.approx(120)


async def test_statistics_of_a_bare_stream_count_a_wait_when_it_is_over(
    autojump_clock: trio.abc.Clock,
) -> None:
    stream = stream_of(*range(20))
    while not isinstance(await anext(stream), DocumentCompleted):
        pass
    await trio.sleep(100)
    await anext(stream)
    assert stream.statistics().consumer_seconds == pytest.approx(100)
    await stream.aclose()


@pytest.mark.parametrize(
    ("script", "phase"),
    [([Pause(100)], "fetch_seconds"), ([SlowParse(100)], "parse_seconds")],
    ids=["fetch", "parse"],
)
@pytest.mark.parametrize("workers", [1, 2])
async def test_statistics_count_work_that_is_not_over(
    autojump_clock: trio.abc.Clock, script: list[Any], phase: str, workers: int
) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(script), workers=workers)
    async with pipeline.stream_events() as stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def other() -> None:
            # Before the first progress event, which would have counted it anyway.
            await trio.sleep(0.6)
            assert getattr(stream.statistics(), phase) == pytest.approx(0.6)

        async for _ in stream:
            pass
    assert getattr(stream.statistics(), phase) == pytest.approx(100)
