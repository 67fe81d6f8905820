"""The bare form runs in the caller's task; what it cannot do it refuses, and never ignores."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given

from tests.promises.adapters import Plain
from tests.promises.checks import documents_of
from tests.promises.scripts import Case, cases, play
from tests.worlds import run
from trio_ingest import (
    BatchProgress,
    DocumentCompleted,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    SetupError,
    StreamBusyError,
    StreamClosedError,
)
from trio_ingest.testing import Crash, Pause, ScriptedAdapter


def stream_of(*script: Any, **options: Any) -> EventStream[PipelineEvent]:
    return IngestionPipeline(ScriptedAdapter(script)).stream_events(**options)


# -- what it gives ---------------------------------------------------------------------


@given(cases(bare=True))
def test_bare_form_tells_the_same_story_of_each_record_as_the_block(case: Case) -> None:
    def told(events: list[PipelineEvent]) -> list[Any]:
        story = []
        for event in events:
            if isinstance(event, BatchProgress):
                continue  # by count and at record boundaries only, so at other places
            fields = attrs.asdict(event, recurse=False)
            for name in ("sequence", "timestamp", "duration", "error", "traceback"):
                fields.pop(name, None)
            story.append((type(event), fields))
        return story

    case = attrs.evolve(case, scripts=case.scripts[:1])
    bare, block = run(play, case), run(play, attrs.evolve(case, bare=False))
    assert told(bare.events) == told(block.events)
    assert repr(bare.failure) == repr(block.failure)
    assert bare.held[-1] == block.held[-1]


async def test_bare_form_works_on_one_record_at_a_time_whatever_the_buffer_size() -> None:
    adapter = ScriptedAdapter(range(50))
    stream = IngestionPipeline(adapter).stream_events(buffer_size=1000)
    seen = 0
    async for event in stream:
        seen += isinstance(event, DocumentCompleted)
        assert seen <= adapter.fetched <= seen + 1
        assert stream.statistics().queue_depth == 0
        assert stream.statistics().in_flight <= 1
    assert seen == 50


async def test_bare_form_runs_adapters_one_after_another_in_the_callers_task() -> None:
    tasks, order = set(), []

    class Noting(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            order.append(self.source)
            tasks.add(trio.lowlevel.current_task())
            yield 1

        async def aclose(self) -> None:
            order.append(f"{self.source} closed")
            tasks.add(trio.lowlevel.current_task())

    async for _ in IngestionPipeline(Noting("a"), Noting("b")).stream_events():
        pass
    assert order == ["a", "a closed", "b", "b closed"]
    assert tasks == {trio.lowlevel.current_task()}


async def test_bare_form_shows_progress_when_a_second_has_passed(
    autojump_clock: trio.abc.Clock,
) -> None:
    progress = [
        (trio.current_time(), event.completed, event.checkpoint)
        async for event in stream_of(*[Pause(0.4), 1] * 20)
        if isinstance(event, BatchProgress)
    ]
    # At the first end of a record after each second, and once at the end.
    assert [round(at, 1) for at, _, _ in progress[:3]] == [1.2, 2.4, 3.6]
    assert [completed for _, completed, _ in progress[:3]] == [3, 6, 9]
    assert all(point is not None for _, _, point in progress)


# -- what it refuses -------------------------------------------------------------------


async def test_several_workers_are_refused_with_the_right_spelling() -> None:
    stream = IngestionPipeline(Plain(), workers=2).stream_events()
    with pytest.raises(SetupError, match=r"workers=2.*async with"):
        async for _ in stream:
            pytest.fail("an event")
    with pytest.raises(SetupError, match=r"workers=2.*async with"):
        await anext(stream)


@pytest.mark.parametrize("name", ["drain", "pause", "resume"])
async def test_what_needs_tasks_is_refused_with_the_right_spelling(name: str) -> None:
    stream = stream_of(1, 2)
    with pytest.raises(SetupError, match=rf"cannot {name}\. .*async with"):
        getattr(stream, name)()
    async for _ in stream:
        with pytest.raises(SetupError, match=rf"cannot {name}\. .*async with"):
            getattr(stream, name)()


async def test_fetch_behind_a_safe_channel_is_refused_before_the_first_event() -> None:
    class Safe(Plain):
        fetch = trio.as_safe_channel(Plain.fetch)  # type: ignore[assignment]

    adapter, seen = Safe(), 0
    with pytest.raises(SetupError, match="async with"):
        async for _ in IngestionPipeline(adapter).stream_events():
            seen += 1
    assert (seen, adapter.fetched) == (0, 0)


async def test_second_task_is_refused_while_one_waits(autojump_clock: trio.abc.Clock) -> None:
    stream = stream_of(Pause(10), 1)
    events = []
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def consume() -> None:
            events.extend([event async for event in stream])

        await trio.sleep(1)
        with pytest.raises(StreamBusyError, match="one consumer"):
            await anext(stream)
    assert documents_of(events) == ["1"]


# -- once ------------------------------------------------------------------------------


async def test_ended_stream_cannot_be_iterated_again() -> None:
    stream = stream_of(1)
    async for _ in stream:
        pass
    for _ in range(2):
        with pytest.raises(StreamClosedError, match="one run"):
            async for _ in stream:
                pytest.fail("an event of a second run")


async def test_failed_stream_fails_again() -> None:
    stream = stream_of(1, Crash(OSError("gone")))
    failures = []
    for _ in range(3):
        with pytest.raises(OSError, match="gone") as caught:
            async for _ in stream:
                assert not failures
        failures.append(caught.value)
    for _ in range(3):
        with pytest.raises(OSError, match="gone") as caught:
            await anext(stream)
        failures.append(caught.value)
    assert len(set(map(id, failures))) == 1


async def test_closed_stream_cannot_be_iterated_again() -> None:
    stream = stream_of(*range(10))
    async for event in stream:
        if isinstance(event, DocumentCompleted):
            break
    await stream.aclose()
    with pytest.raises(StreamClosedError):
        async for _ in stream:
            pytest.fail("an event after closing")
    with pytest.raises(StreamClosedError):
        await anext(stream)


async def test_stream_that_was_closed_before_it_began_cannot_be_iterated() -> None:
    stream = stream_of(*range(10))
    await stream.aclose()
    with pytest.raises(StreamClosedError):
        async for _ in stream:
            pytest.fail("an event after closing")


async def test_cancelled_stream_does_not_end_quietly(autojump_clock: trio.abc.Clock) -> None:
    stream = stream_of(1, Pause(100), 2)
    seen = []
    with trio.move_on_after(5) as scope:
        seen.extend([event async for event in stream])
    assert scope.cancelled_caught
    for _ in range(2):
        with pytest.raises(StreamClosedError):
            async for _ in stream:
                pytest.fail("an event after the cancellation")
        with pytest.raises(StreamClosedError):
            await anext(stream)
    assert stream.checkpoint().positions[0].watermark == 1


# -- how it is closed ------------------------------------------------------------------


async def test_closing_with_aclosing_closes_everything_at_once() -> None:
    adapter, events = Plain(count=10), []
    async with aclosing(IngestionPipeline(adapter).stream_events()) as stream:
        async for event in stream:
            events.append(event)
            if isinstance(event, DocumentCompleted):
                break
        assert not adapter.closed
    assert adapter.closed
    assert stream.checkpoint().positions[0].watermark == 0
    await stream.aclose()


async def test_bare_break_leaves_closing_to_the_collector_which_says_so() -> None:
    adapter = ScriptedAdapter(range(10))

    async def consume() -> None:
        async for event in IngestionPipeline(adapter).stream_events():
            if isinstance(event, DocumentCompleted):
                break

    async def abandon() -> None:
        await consume()
        gc.collect()
        await trio.testing.wait_all_tasks_blocked()

    with pytest.warns(ResourceWarning, match="aclosing"):
        await abandon()
    assert adapter.opened == adapter.closed


class BadClose(Plain):
    async def aclose(self) -> None:
        raise OSError("cannot close")


class BadFetch(Plain):
    async def fetch(self) -> AsyncIterator[Any]:
        try:
            for number in range(self.count):
                yield number
        finally:
            raise OSError("cannot close")


@pytest.mark.parametrize("kind", [BadClose, BadFetch])
async def test_failure_to_close_reaches_whoever_closes(kind: type[Plain]) -> None:
    stream = IngestionPipeline(kind(count=10)).stream_events()
    async for event in stream:
        if isinstance(event, DocumentCompleted):
            break
    with pytest.raises(OSError, match="cannot close"):
        await stream.aclose()


async def test_book_of_a_bare_run_keeps_nothing_of_what_was_acknowledged() -> None:
    stream, most = IngestionPipeline(Plain(count=5_000)).stream_events(), 0
    async for _ in stream:
        assert stream._bare is not None
        adapter_runs = stream._bare.inline.run.adapter_runs
        most = max(most, *(len(r.unacknowledged) for r in adapter_runs))
    assert 0 < most <= 100
