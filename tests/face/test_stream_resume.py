"""A resumed run goes on where the checkpoint says, and what it passes over costs nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import attrs
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tests.promises.adapters import Plain, see
from tests.promises.checks import check_shape, documents_of, names_of
from tests.promises.object_counts import weight
from tests.promises.scripts import PartsAdapter, records_of, scripts
from tests.worlds import run
from trio_ingest import (
    BatchProgress,
    Checkpoint,
    CheckpointError,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentSkipped,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
    Position,
)
from trio_ingest.testing import ScriptedAdapter, SlowParse


def at(watermark: int, source: str = "script", **more: Any) -> Checkpoint:
    return Checkpoint((Position(source, "{}", watermark=watermark, **more),))


@attrs.frozen
class Leg:
    """One of several runs: broken off with one of its events in hand."""

    events: int
    workers: int
    ordered: bool
    buffer_size: int


LEGS = st.lists(
    st.builds(
        Leg,
        events=st.integers(1, 25),
        workers=st.integers(1, 4),
        ordered=st.booleans(),
        buffer_size=st.sampled_from([1, 2, 5, 100]),
    ),
    max_size=4,
)


@given(scripts(crash=False), LEGS, st.booleans())
def test_runs_that_are_broken_off_bring_every_record_in_the_end(
    script: list[Any], legs: list[Leg], stable_order: bool
) -> None:
    async def main() -> None:
        point: Checkpoint | None = None
        kept: list[int] = []  # ends that the checkpoint of their run covered
        numbers: dict[str, int] = {}
        for leg in [*legs, Leg(10**9, 1, ordered=True, buffer_size=10)]:
            adapter = ScriptedAdapter(script, stable_order=stable_order)
            pipeline = IngestionPipeline(adapter, workers=leg.workers, ordered=leg.ordered)
            stream = pipeline.stream_events(resume_from=point, buffer_size=leg.buffer_size)
            events = []
            async with stream:
                async for event in stream:
                    events.append(event)
                    if len(events) == leg.events:
                        break
            check_shape(events, whole=False)
            point = Checkpoint.from_dict(json.loads(json.dumps(stream.checkpoint().to_dict())))
            acknowledged = events[: leg.events - 1]
            kept += [
                e.record_number
                for e in acknowledged
                if hasattr(e, "record_number") and not isinstance(e, DocumentStarted)
            ]
            for event in events:
                if isinstance(event, DocumentCompleted):
                    doc_id, number = event.document.doc_id, event.record_number
                    assert numbers.setdefault(doc_id, number) == number
        records = records_of(script)
        assert set(kept) == set(range(len(records)))
        if stable_order:
            assert len(kept) == len(set(kept)), "a record came twice"
        assert all(p.finished and p.watermark == len(records) for p in point.positions)

    run(main)


@given(scripts(crash=False), st.integers(1, 25), st.integers(1, 3))
def test_fetch_is_never_asked_for_what_its_cursor_covers(
    script: list[Any], stop: int, workers: int
) -> None:
    async def main() -> None:
        first = ScriptedAdapter(script, stable_order=False)
        async with IngestionPipeline(first, workers=workers).stream_events() as stream:
            count = 0
            async for _ in stream:
                count += 1
                if count == stop:
                    break
        point = stream.checkpoint()
        (position,) = point.positions
        second = ScriptedAdapter(script, stable_order=False)
        seen = await see(IngestionPipeline(second), resume_from=point)
        behind = -1 if position.cursor_record is None else position.cursor
        if position.finished:
            assert second.opened == 0
        else:
            assert second.fetched == len([n for n in records_of(script) if n > behind])
        assert all(int(doc_id) > behind for doc_id in documents_of(seen.events))

    run(main)


async def test_record_numbers_go_on_where_the_checkpoint_stopped() -> None:
    adapter = ScriptedAdapter([1, 2, Cursor(2), 4, 5], stable_order=False)
    point = at(2, cursor=2, cursor_record=2)
    seen = await see(IngestionPipeline(adapter), resume_from=point)
    started = [e for e in seen.events if isinstance(e, DocumentStarted)]
    assert [e.record_number for e in started] == [2, 3]
    assert [e.doc_id for e in started] == ["script#2", "script#3"]


async def test_cursor_reaches_fetch_as_it_was_yielded() -> None:
    given_cursors = []

    class Paged(Plain):
        async def fetch(self, *, since: str, cursor: Any = None) -> AsyncIterator[Any]:
            given_cursors.append(cursor)
            yield 1
            yield Cursor({"page": [1, None], "since": since})
            yield 2

    options: dict[str, Any] = {"params": [{"since": "x"}]}
    async with IngestionPipeline(Paged()).stream_events(**options) as stream:
        async for event in stream:
            if isinstance(event, DocumentStarted) and event.record_number == 1:
                break
    await see(IngestionPipeline(Paged()), resume_from=stream.checkpoint(), **options)
    assert given_cursors == [None, {"page": [1, None], "since": "x"}]


@pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])
async def test_finished_run_is_not_fetched_again(bare: bool) -> None:
    first = ScriptedAdapter([1, 2])
    point = (await see(IngestionPipeline(first))).events[-1]
    assert isinstance(point, BatchProgress)
    second = ScriptedAdapter([1, 2])
    seen = await see(IngestionPipeline(second), bare=bare, resume_from=point.checkpoint)
    assert second.opened == 0
    kinds = ["running", "finished", "BatchProgress"]
    assert names_of(seen.events) == kinds
    assert isinstance(seen.events[-1], BatchProgress)
    assert seen.events[-1].checkpoint == point.checkpoint


async def test_finished_params_are_left_out_and_the_others_go_on() -> None:
    adapter = PartsAdapter([1, 2, 3])
    positions = (
        Position("script", '{"part":1}', watermark=3, finished=True),
        Position("script", '{"part":2}', watermark=1),
    )
    seen = await see(
        IngestionPipeline(adapter),
        params=[{"part": 1}, {"part": 2}],
        resume_from=Checkpoint(positions),
    )
    started = [e for e in seen.events if isinstance(e, DocumentStarted)]
    assert [(e.parameters, e.record_number) for e in started] == [
        ({"part": 2}, 1),
        ({"part": 2}, 2),
    ]


class Naming(ScriptedAdapter):
    def identify(self, record: Any) -> str:
        return str(record.index)


async def test_completed_ids_skip_after_parsing_and_say_so() -> None:
    adapter = ScriptedAdapter(range(4), stable_order=False)
    seen = await see(IngestionPipeline(adapter), completed_ids={"0", "2"}, resume_from=at(3))
    assert documents_of(seen.events) == ["1", "3"]
    skipped = [e for e in seen.events if isinstance(e, DocumentSkipped)]
    assert [(e.doc_id, e.record_number) for e in skipped] == [("0", 0), ("2", 2)]
    assert {e.reason for e in skipped} == {"already completed"}
    assert adapter.parsed == 4


async def test_with_identify_completed_ids_pass_over_without_a_word() -> None:
    adapter = Naming(range(4))
    seen = await see(IngestionPipeline(adapter), completed_ids={"0", "2"})
    started = [e for e in seen.events if isinstance(e, DocumentStarted)]
    assert [(e.doc_id, e.record_number) for e in started] == [("1", 1), ("3", 3)]
    assert isinstance(seen.events[-1], BatchProgress)
    assert seen.events[-1].skipped == 2
    assert adapter.parsed == 2


async def test_checkpoint_that_does_not_fit_is_refused_before_the_stream_begins() -> None:
    adapter = ScriptedAdapter([1])
    pipeline = IngestionPipeline(adapter)
    with pytest.raises(CheckpointError, match="another pipeline"):
        pipeline.stream_events(resume_from=at(1, source="other"))
    with pytest.raises(CheckpointError, match="another pipeline"):
        pipeline.stream_events(resume_from=Checkpoint(()))
    assert adapter.opened == 0


# -- what is passed over ---------------------------------------------------------------


async def book_while_one_event_is_held(count: int, way: str) -> tuple[int, int]:
    """The weight of a run's book and of its checkpoint, while the consumer keeps one event."""
    done = {str(n) for n in range(1, count)}
    adapter = Naming([1] * count)
    options: dict[str, Any] = {"completed_ids": done}
    if way == "stable order":
        options = {"resume_from": at(0, ended=((1, count),))}
    # Or progress events would fill the buffer, and the fetch would wait.
    options |= {"progress_interval": 10**6, "checkpoint_interval": 10**6}
    stream = IngestionPipeline(adapter).stream_events(buffer_size=10, **options)
    async with stream:
        async for event in stream:
            if isinstance(event, DocumentCompleted):
                with trio.move_on_after(1):
                    await trio.sleep_forever()
                assert adapter.fetched == count
                assert stream.statistics().skipped == count - 1
                engine = stream._engine
                assert engine is not None
                runs = engine.run.adapter_runs
                assert max(len(r.unacknowledged) for r in runs) <= 10
                return weight(*runs), len(json.dumps(stream.checkpoint().to_dict()))
    raise AssertionError("no document")


@pytest.mark.parametrize("way", ["identify", "stable order"])
async def test_passing_over_many_records_keeps_nothing_of_them(
    autojump_clock: trio.abc.Clock, way: str
) -> None:
    few, few_bytes = await book_while_one_event_is_held(100, way)
    many, many_bytes = await book_while_one_event_is_held(20_000, way)
    assert many <= few + 10
    assert many_bytes <= few_bytes + 10


async def test_passing_over_many_records_lets_others_run() -> None:
    adapter, turns = Naming([1] * 5_000), 0
    done = {str(n) for n in range(5_000)}
    async with trio.open_nursery() as nursery:

        @nursery.start_soon
        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        await see(IngestionPipeline(adapter), completed_ids=done)
        nursery.cancel_scope.cancel()
    assert turns >= 5_000 / 100


# -- how long it will take -------------------------------------------------------------


async def timed(pipeline: IngestionPipeline, **options: Any) -> list[BatchProgress]:
    seen = await see(pipeline, progress_interval=1, **options)
    return [e for e in seen.events if isinstance(e, BatchProgress)]


class Steady(Plain):
    """Takes two seconds for each record; resumes by cursor."""

    stable_order = False

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for number in range(cursor, self.count):
            await trio.sleep(2)
            yield number
            yield Cursor(number + 1)


class SteadyParse(Plain):
    """Takes two seconds for each record's parse; resumes by stable order."""

    async def parse(self, record: Any) -> Document:
        await trio.sleep(2)
        return Document(str(record), self.source, "")


@pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])
@pytest.mark.parametrize("way", ["cursor", "stable order"])
@pytest.mark.parametrize("told", [False, True], ids=["estimated", "told"])
async def test_eta_after_a_resume_is_right_though_another_adapter_run_had_finished(
    autojump_clock: trio.abc.Clock, bare: bool, way: str, told: bool
) -> None:
    kind = Steady if way == "cursor" else SteadyParse
    done, half = kind("done", 300), kind("half", 100)
    cursor = {"cursor": 40, "cursor_record": 40} if way == "cursor" else {}
    point = Checkpoint(
        (
            Position("done", "{}", watermark=300, finished=True),
            Position("half", "{}", watermark=40, **cursor),
        )
    )
    for adapter in (done, half):
        adapter.estimate_total = lambda count=adapter.count: count  # type: ignore[attr-defined]
    began = trio.current_time()
    progress = await timed(
        IngestionPipeline(done, half, clock=trio.current_time),
        bare=bare,
        resume_from=point,
        **({"estimated_total": 400} if told else {}),
    )
    assert progress[-1].completed == 60
    # Sixty records, two seconds each; after ten of them the rate is known well enough.
    settled = [e for e in progress if 20 < e.timestamp - began < 120]
    assert len(settled) > 40
    for event in settled:
        left = began + 120 - event.timestamp
        assert event.eta_seconds == pytest.approx(left, rel=0.15, abs=2), event


class Notes(Plain):
    """Yields nothing but events of its own, with a cursor behind each."""

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for number in range(cursor, self.count):
            yield Note(number=number)
            yield Cursor(number + 1)


@attrs.frozen(kw_only=True)
class Note(PipelineEvent):
    number: int


@pytest.mark.parametrize("workers", [1, 3])
async def test_own_events_that_nobody_has_received_are_not_covered_by_a_cursor(
    workers: int,
) -> None:
    pipeline = IngestionPipeline(Notes("notes", 4), workers=workers)
    received: list[int] = []
    for most in (0, 1, 2):
        point = None
        received.clear()
        async with pipeline.stream_events() as events:
            await trio.testing.wait_all_tasks_blocked()
            async for event in events:
                if len(received) == most:
                    break
                received += [event.number] if isinstance(event, Note) else []
            point = events.checkpoint()
        assert not point.positions[0].finished
        async with pipeline.stream_events(resume_from=point) as events:
            received += [event.number async for event in events if isinstance(event, Note)]
        assert sorted(set(received)) == [0, 1, 2, 3]


@pytest.mark.parametrize("workers", [1, 3])
async def test_own_event_that_waits_for_its_turn_is_not_covered_by_the_cursor_behind_it(
    workers: int, autojump_clock: trio.testing.MockClock
) -> None:
    script = [SlowParse(1), Note(number=7), Cursor(1), SlowParse(1), Cursor(3)]
    pipeline = IngestionPipeline(ScriptedAdapter(script), workers=workers)
    async with pipeline.stream_events() as events:
        async for event in events:
            if isinstance(event, Note):
                break
    resumed = pipeline.stream_events(resume_from=events.checkpoint())
    async with resumed as events:
        assert [event.number async for event in events if isinstance(event, Note)] == [7]
