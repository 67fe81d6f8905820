"""A pipeline holds no run, so it can run again, and twice at once; its faults are refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.promises.adapters import FORMS, Plain, see
from tests.promises.checks import check_numbering, documents_of
from trio_ingest import (
    BatchProgress,
    Document,
    DocumentCompleted,
    DocumentRetrying,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
    SetupError,
)
from trio_ingest.testing import FailTimes, Pause, ScriptedAdapter

# -- runs ------------------------------------------------------------------------------


async def test_pipeline_can_be_run_again_and_again() -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(5)))
    runs = [await see(pipeline, bare=n % 2 == 1) for n in range(4)]
    for seen in runs:
        check_numbering(seen.events)
        assert documents_of(seen.events) == ["0", "1", "2", "3", "4"]
    assert len({seen.events[0].pipeline_id for seen in runs}) == 4


async def test_pipeline_can_be_run_again_after_a_run_that_was_broken_off() -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(500)))
    async with pipeline.stream_events() as stream:
        async for event in stream:
            if isinstance(event, DocumentCompleted):
                break
    assert len(documents_of((await see(pipeline)).events)) == 500


async def test_two_streams_of_one_pipeline_can_run_at_once(
    autojump_clock: trio.abc.Clock,
) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter([1, Pause(1), 2, Pause(1), 3]))
    runs: list[Any] = [None, None]

    async def consume(place: int) -> None:
        runs[place] = await see(pipeline)

    async with trio.open_nursery() as nursery:
        for place in (0, 1):
            nursery.start_soon(consume, place)
    for seen in runs:
        check_numbering(seen.events)
        assert documents_of(seen.events) == ["0", "2", "4"]
    assert runs[0].events[0].pipeline_id != runs[1].events[0].pipeline_id


async def test_two_streams_can_be_open_in_one_task() -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(50)))
    async with pipeline.stream_events() as one, pipeline.stream_events() as other:
        async for event in one:
            assert (await anext(other)).sequence == event.sequence
            if event.sequence == 30:
                break


async def test_ids_and_timestamps_come_from_where_the_pipeline_was_told() -> None:
    ticks, ids = count(100), count(1)
    pipeline = IngestionPipeline(
        Plain(), clock=lambda: float(next(ticks)), new_pipeline_id=lambda: f"run {next(ids)}"
    )
    first, second = await see(pipeline), await see(pipeline)
    assert {e.pipeline_id for e in first.events} == {"run 1"}
    assert {e.pipeline_id for e in second.events} == {"run 2"}
    stamps = [e.timestamp for e in first.events + second.events]
    assert stamps == [float(n) for n in range(100, 100 + len(stamps))]


@FORMS
async def test_durations_come_from_the_loops_clock(
    autojump_clock: trio.abc.Clock, bare: bool, workers: int
) -> None:
    class Slow(Plain):
        async def parse(self, record: Any) -> Document:
            await trio.sleep(3)
            return Document(str(record), self.source, "")

    pipeline = IngestionPipeline(Slow(), workers=workers, clock=lambda: 0.0)
    seen = await see(pipeline, bare=bare)
    durations = [e.duration for e in seen.events if isinstance(e, DocumentCompleted)]
    assert durations == [pytest.approx(3)] * 3
    assert {e.timestamp for e in seen.events} == {0.0}


@FORMS
async def test_duration_is_that_of_all_attempts_and_of_no_wait_between_them(
    autojump_clock: trio.testing.MockClock, bare: bool, workers: int
) -> None:
    class Late(Plain):
        tries = 0

        def parse(self, record: Any) -> Document:
            self.tries += 1
            autojump_clock.jump(2)  # work, in a plain function
            if self.tries < 3:
                raise OSError
            return Document(str(record), self.source, "")

    retry = RetryPolicy(attempts=3, base_seconds=100, max_seconds=100, seed=1)
    pipeline = IngestionPipeline(Late(count=1), retry=retry, workers=workers)
    seen = await see(pipeline, bare=bare)
    (completed,) = [e for e in seen.events if isinstance(e, DocumentCompleted)]
    assert completed.duration == pytest.approx(6)


async def test_started_document_names_its_adapter_and_its_params() -> None:
    class Parts(Plain):
        async def fetch(self, *, part: int) -> AsyncIterator[Any]:
            yield part

    seen = await see(IngestionPipeline(Parts()), params=[{"part": 1}, {"part": 2}])
    started = [e for e in seen.events if isinstance(e, DocumentStarted)]
    assert [(e.doc_id, e.adapter, e.parameters) for e in started] == [
        ("plain#0", "plain", {"part": 1}),
        ("plain#0", "plain", {"part": 2}),
    ]
    completed = [e for e in seen.events if isinstance(e, DocumentCompleted)]
    assert [e.adapter_metadata for e in completed] == [
        {"adapter": "plain", "parameters": {"part": 1}},
        {"adapter": "plain", "parameters": {"part": 2}},
    ]


@FORMS
async def test_seeded_retries_wait_equally_long_in_every_run(
    autojump_clock: trio.abc.Clock, bare: bool, workers: int
) -> None:
    retry = RetryPolicy(attempts=4, seed=5)
    script = [FailTimes(3)] * 5
    runs = [
        await see(IngestionPipeline(ScriptedAdapter(script), retry=retry, workers=n), bare=b)
        for n, b in ((1, False), (workers, bare))
    ]
    delays = [
        sorted(
            (e.record_number, e.retry_count, e.delay_seconds)
            for e in seen.events
            if isinstance(e, DocumentRetrying)
        )
        for seen in runs
    ]
    assert delays[0] == delays[1]
    assert len({delay for _, _, delay in delays[0]}) == 15


# -- an adapter's own events -----------------------------------------------------------


@attrs.frozen(kw_only=True)
class Page(PipelineEvent):
    number: int


class Pages(Plain):
    """Two records a page, and an event before each page: the same objects in every run."""

    pages = tuple(Page(number=n, timestamp=-1.0, pipeline_id="own") for n in range(4))

    async def fetch(self) -> AsyncIterator[Any]:
        for page in self.pages:
            yield page
            yield 2 * page.number
            yield 2 * page.number + 1


@FORMS
async def test_own_events_take_their_place_in_order_and_are_stamped(
    bare: bool, workers: int
) -> None:
    pipeline = IngestionPipeline(
        Pages(), workers=workers, clock=lambda: 5.0, new_pipeline_id=lambda: "run"
    )
    seen = await see(pipeline, bare=bare, buffer_size=2)
    check_numbering(seen.events)
    order: list[Any] = []
    for event in seen.events:
        if isinstance(event, Page):
            assert event == Page(
                number=event.number, timestamp=5.0, pipeline_id="run", sequence=event.sequence
            )
            order.append(("page", event.number))
        elif isinstance(event, DocumentCompleted):
            order.append(("record", event.record_number))
    wanted: list[Any] = []
    for number in range(4):
        wanted += [("page", number), ("record", 2 * number), ("record", 2 * number + 1)]
    assert order == wanted


@FORMS
async def test_own_events_are_copied_and_never_changed_in_place(
    bare: bool, workers: int
) -> None:
    pipeline = IngestionPipeline(Pages(), workers=workers)
    runs = [await see(pipeline, bare=bare) for _ in range(2)]
    shown = [e for seen in runs for e in seen.events if isinstance(e, Page)]
    assert not {id(e) for e in shown} & {id(page) for page in Pages.pages}
    for number, page in enumerate(Pages.pages):
        assert page == Page(number=number, timestamp=-1.0, pipeline_id="own")


@FORMS
async def test_event_of_the_engines_own_classes_kills_the_adapter_that_forges_it(
    bare: bool, workers: int
) -> None:
    class Forger(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 1
            yield DocumentStarted(doc_id="x", adapter="plain", parameters={}, record_number=9)

    seen = await see(IngestionPipeline(Forger(), workers=workers), bare=bare)
    assert isinstance(seen.failure, SetupError)
    assert "yielded a DocumentStarted" in str(seen.failure)
    assert documents_of(seen.events) == ["1"]
    check_numbering(seen.events)


async def test_own_events_wait_for_the_consumer_like_all_others(
    autojump_clock: trio.abc.Clock,
) -> None:
    class Chatter(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            for number in range(10_000):
                self.fetched += 1
                yield Page(number=number)

    adapter = Chatter()
    async with IngestionPipeline(adapter).stream_events(buffer_size=5) as stream:
        await trio.sleep(10)
        assert adapter.fetched <= 7
        assert len([e async for e in stream if isinstance(e, Page)]) == 10_000


# -- what is refused -------------------------------------------------------------------


async def test_pipeline_without_an_adapter_is_refused() -> None:
    with pytest.raises(SetupError, match="at least one adapter"):
        IngestionPipeline()


async def test_two_adapters_with_one_source_are_refused() -> None:
    with pytest.raises(SetupError, match="share the source 'plain'"):
        IngestionPipeline(Plain(), Plain("other"), Plain())


async def test_params_that_do_not_fit_are_refused_where_the_stream_is_asked_for() -> None:
    adapter = Plain()
    with pytest.raises(SetupError, match="'plain' cannot fetch"):
        IngestionPipeline(adapter).stream_events(params=[{"since": 1}])
    assert adapter.fetched == 0


async def test_unknown_option_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(SetupError, match=r"no option bufer_size.*buffer_size"):
        IngestionPipeline(Plain()).stream_events(bufer_size=3)  # type: ignore[call-overload]


def test_asyncio_is_told_where_to_go() -> None:
    pipeline = IngestionPipeline(Plain())

    async def main() -> None:
        with pytest.raises(SetupError, match=r"asyncio is running here.*trio_ingest\.aio"):
            pipeline.stream_events()
        with pytest.raises(SetupError, match="asyncio is running here"):
            pipeline.iter_results()
        with pytest.raises(SetupError, match="asyncio is running here"):
            await pipeline.run_async()

    asyncio.run(main())


def test_stream_can_be_asked_for_before_any_loop_runs() -> None:
    stream = IngestionPipeline(Plain()).stream_events()

    async def main() -> list[PipelineEvent]:
        async with stream:
            return [event async for event in stream]

    assert isinstance(trio.run(main)[-1], BatchProgress)
