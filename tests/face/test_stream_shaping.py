"""A filter and a transformer shape what the caller sees, and disturb no bookkeeping."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.promises.adapters import Plain
from tests.promises.scripts import scripts
from tests.worlds import run
from trio_ingest import (
    BatchProgress,
    Checkpoint,
    Cursor,
    DocumentCompleted,
    DocumentFailed,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    SetupError,
    StreamClosedError,
)
from trio_ingest.testing import Fail, FailTimes, ScriptedAdapter

FORMS = pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])


@attrs.define
class Seen:
    shown: list[Any] = attrs.field(factory=list)
    ended: list[Any] = attrs.field(factory=list)
    last: Checkpoint | None = None


async def see(script: list[Any], *, bare: bool, **options: Any) -> Seen:
    """A whole run: what was shown, and what a checkpoint covered with each in hand."""
    pipeline = IngestionPipeline(
        ScriptedAdapter(script), clock=lambda: 0.0, new_pipeline_id=lambda: "run"
    )
    stream: EventStream[Any] = pipeline.stream_events(
        buffer_size=3, progress_interval=2, checkpoint_interval=3, **options
    )
    seen = Seen()
    try:
        async with stream if not bare else aclosing(stream) as events:
            async for shown in events:
                seen.shown.append(shown)
                # A cursor may come earlier or later: the fetch runs ahead.
                seen.ended.append(
                    [(p.watermark, p.ended) for p in stream.checkpoint().positions]
                )
    except RuntimeError:
        pass
    seen.last = stream.checkpoint()
    return seen


def told(event: PipelineEvent) -> Any:
    """An event without what depends on time, or on who ran first."""
    if isinstance(event, BatchProgress):
        return event.sequence, event.completed, event.failed, event.checkpoint
    if isinstance(event, DocumentFailed):
        return event.sequence, event.record_number, event.error_type
    return event


# Without a step that waits: what happens in one and the same moment may swap places.
SCRIPTS = scripts(
    steps=st.one_of(
        st.just("record"),
        st.just("record"),
        st.builds(Fail),
        st.builds(FailTimes, st.integers(1, 2)),
        st.just(Cursor(0)),
    )
)

FILTERS: dict[str, Callable[[PipelineEvent], bool]] = {
    "nothing": lambda event: False,
    "everything": lambda event: True,
    "documents": lambda event: isinstance(event, DocumentCompleted),
    "progress": lambda event: isinstance(event, BatchProgress),
    "every third": lambda event: event.sequence % 3 == 0,
}


@given(SCRIPTS, st.sampled_from(sorted(FILTERS)), st.booleans())
def test_filter_shows_a_part_of_the_same_events(
    script: list[Any], name: str, bare: bool
) -> None:
    async def main() -> None:
        whole = await see(script, bare=bare)
        part = await see(script, bare=bare, event_filter=FILTERS[name])
        wanted = [event for event in whole.shown if FILTERS[name](event)]
        assert list(map(told, part.shown)) == list(map(told, wanted))
        # With the same event in hand the same has ended, whatever was hidden.
        ended = {e.sequence: p for e, p in zip(whole.shown, whole.ended, strict=True)}
        assert part.ended == [ended[event.sequence] for event in part.shown]
        assert part.last == whole.last

    run(main)


@given(SCRIPTS, st.booleans())
def test_transformer_changes_what_is_shown_and_nothing_else(
    script: list[Any], bare: bool
) -> None:
    async def main() -> None:
        whole = await see(script, bare=bare)
        other = await see(
            script, bare=bare, event_transformer=lambda event: ("shown", event.sequence)
        )
        assert other.shown == [("shown", event.sequence) for event in whole.shown]
        assert other.ended == whole.ended
        assert other.last == whole.last

    run(main)


@FORMS
async def test_gaps_in_the_sequence_show_what_was_hidden(bare: bool) -> None:
    seen = await see([1, Fail(), 2], bare=bare, event_filter=FILTERS["documents"])
    # 0 running, then pairs: 1 2 completed, 3 4 failed, 5 progress, 6 7 completed.
    assert [event.sequence for event in seen.shown] == [2, 7]


@FORMS
async def test_filter_comes_before_the_transformer(bare: bool) -> None:
    transformed = []

    def number(event: PipelineEvent) -> int:
        transformed.append(event)
        return event.sequence

    seen = await see(
        [1, 2, 3],
        bare=bare,
        event_filter=lambda event: isinstance(event, DocumentCompleted),
        event_transformer=number,
    )
    assert len(seen.shown) == 3
    assert {type(event) for event in transformed} == {DocumentCompleted}


@FORMS
async def test_transformer_may_show_anything_even_none(bare: bool) -> None:
    seen = await see([1, 2], bare=bare, event_transformer=lambda event: None)
    assert seen.shown == [None] * len(seen.shown)
    assert len(seen.shown) == 7 + 1  # a progress event after the second


@FORMS
async def test_filter_that_hides_everything_still_brings_the_run_to_its_end(
    bare: bool,
) -> None:
    seen = await see([1] * 500, bare=bare, event_filter=FILTERS["nothing"])
    assert seen.shown == []
    assert seen.last is not None
    assert [(p.watermark, p.finished) for p in seen.last.positions] == [(500, True)]


@FORMS
async def test_filter_sees_each_event_once_in_order(bare: bool) -> None:
    asked = []

    def note(event: PipelineEvent) -> bool:
        asked.append(event.sequence)
        return event.sequence % 2 == 0

    await see([1] * 50, bare=bare, event_filter=note)
    assert asked == list(range(len(asked)))
    assert len(asked) > 100


@FORMS
@pytest.mark.parametrize("which", ["event_filter", "event_transformer"])
async def test_what_a_filter_raises_leaves_as_itself(bare: bool, which: str) -> None:
    failure = KeyError("mine")

    def fail(event: PipelineEvent) -> Any:
        if isinstance(event, DocumentCompleted):
            raise failure
        return True

    adapter = ScriptedAdapter(range(50))
    stream: EventStream[Any] = IngestionPipeline(adapter).stream_events(**{which: fail})
    with pytest.raises(KeyError) as caught:
        async with stream if not bare else aclosing(stream) as events:
            async for _ in events:
                pass
    assert caught.value is failure
    assert adapter.opened == adapter.closed == 1
    # The event that was never shown has not been acknowledged.
    assert stream.checkpoint().positions[0].watermark == 0


async def test_stream_whose_filter_failed_does_not_end_quietly() -> None:
    def fail(event: PipelineEvent) -> bool:
        if isinstance(event, DocumentCompleted):
            raise KeyError("mine")
        return True

    stream = IngestionPipeline(ScriptedAdapter(range(50))).stream_events(event_filter=fail)
    with pytest.raises(KeyError):
        async for _ in stream:
            pass
    for _ in range(2):
        with pytest.raises((KeyError, StreamClosedError)):
            async for _ in stream:
                pytest.fail("an event after the failure")
        with pytest.raises((KeyError, StreamClosedError)):
            await anext(stream)


async def test_consumer_that_is_shown_nothing_can_be_cancelled() -> None:
    # Or a filter that passes nothing would hold the thread as long as events come.
    stream = IngestionPipeline(Plain(count=10**9)).stream_events(
        event_filter=lambda event: event.sequence > 10**8
    )
    async with stream, trio.open_nursery() as nursery:

        @nursery.start_soon
        async def cancel() -> None:
            for _ in range(20):
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()

        await anext(stream)
    assert 0 < stream.statistics().completed < 10**5


@pytest.mark.parametrize("name", ["event_filter", "event_transformer"])
async def test_what_cannot_be_called_or_must_be_awaited_is_refused(name: str) -> None:
    async def later(event: PipelineEvent) -> bool:
        return True

    pipeline = IngestionPipeline(Plain())
    for shape in (later, 3, "text", [None]):
        options: dict[str, Any] = {name: shape}
        with pytest.raises(SetupError, match=f"{name} must be a plain function"):
            pipeline.stream_events(**options)


@FORMS
@pytest.mark.parametrize("name", ["event_filter", "event_transformer"])
async def test_filter_cannot_end_the_stream_by_accident(bare: bool, name: str) -> None:
    def stop(event: PipelineEvent) -> Any:
        raise StopAsyncIteration

    options: dict[str, Any] = {name: stop}
    stream: EventStream[Any] = IngestionPipeline(Plain()).stream_events(**options)
    with pytest.raises(RuntimeError):
        async with stream if not bare else aclosing(stream) as events:
            async for _ in events:
                pass
