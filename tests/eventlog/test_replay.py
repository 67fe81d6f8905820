"""A log is a stream of the same events again."""

from __future__ import annotations

import asyncio
import gzip
import threading
import tracemalloc
from contextlib import aclosing
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from tests.eventlog.recorded import Feed, Pages, lines_of, record, write
from trio_ingest import (
    CheckpointError,
    IngestionPipeline,
    PipelineEvent,
    SetupError,
    StreamBusyError,
    StreamClosedError,
)
from trio_ingest.eventlog import EventLogError, Recorder, ReplayStream, recorded_runs, replay
from trio_ingest.eventlog._log import take_lines
from trio_ingest.serialization import UnknownEvent

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


async def all_of(stream: ReplayStream) -> list[PipelineEvent]:
    async with stream as events:
        return [event async for event in events]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.ndjson"
    record(path)
    return path


@BACKENDS
def test_the_same_events_come_in_both_forms(tmp_path: Path, backend: str) -> None:
    seen: list[PipelineEvent] = []
    path = tmp_path / "log.ndjson.gz"

    async def live() -> None:
        with Recorder(path) as recorder:
            async for event in IngestionPipeline(Feed(300)).stream_events():
                recorder.take(event)
                seen.append(event)

    async def bare() -> list[PipelineEvent]:
        return [event async for event in replay(path)]

    trio.run(live)
    assert len(seen) > 600

    def comparable(events: list[PipelineEvent]) -> list[Any]:
        # An exception is recorded by its name and text, and has no equal.
        return [(type(event), event.sequence, event.timestamp) for event in events]

    for found in (
        anyio.run(bare, backend=backend),
        anyio.run(all_of, replay(path), backend=backend),
    ):
        assert comparable(found) == comparable(seen)
        assert [e for e in found if not hasattr(e, "error")] == [
            e for e in seen if not hasattr(e, "error")
        ]


def test_nothing_is_read_before_it_is_entered_or_iterated(tmp_path: Path) -> None:
    stream = replay(tmp_path / "log.ndjson")
    assert (stream.was_begun, stream.was_iterated, stream.pipeline_id) == (False, False, None)
    record(tmp_path / "log.ndjson")
    assert len(trio.run(all_of, stream)) > 60


def test_its_checkpoint_is_what_was_acknowledged(log: Path) -> None:
    async def main() -> None:
        async with replay(log) as events:
            ended: set[int] = set()
            async for event in events:
                [position] = events.checkpoint().positions
                assert {n for n in range(40) if position.covers(n)} == ended
                assert position.stable_order
                if type(event).__name__ in ("DocumentCompleted", "DocumentFailed"):
                    ended.add(event.record_number)  # type: ignore[attr-defined]
                # Not before the next one is asked for.
                [position] = events.checkpoint().positions
                assert not position.finished
        [position] = events.checkpoint().positions
        assert (position.watermark, position.finished) == (30, True)
        seen = events.statistics()
        assert (seen.completed, seen.failed, seen.retried) == (26, 4, 6)

    trio.run(main)


def test_it_says_what_a_resumed_run_had(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    point = record(path, Feed(), Feed(5, "other"), drain_after=30)
    last = record(path, Feed(), Feed(5, "other"), resume_from=point)
    first, second = recorded_runs(path)
    assert replay(path).resumed_from is None
    assert replay(path, run=first.pipeline_id).resumed_from is None
    stream = replay(path, run="last")
    assert stream.resumed_from == point
    assert stream.sources == ("feed", "other")
    events = trio.run(all_of, stream)
    assert {event.pipeline_id for event in events} == {second.pipeline_id}
    assert stream.checkpoint() == last


def test_of_several_runs_one_or_all_can_be_had(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path)
    record(path)
    first, second = recorded_runs(path)
    assert (first.line, second.line) == (1, 1 + len(lines_of(path)) // 2)
    found = trio.run(all_of, replay(path))
    assert [event.pipeline_id for event in found[:: len(found) - 1]] == [
        first.pipeline_id,
        second.pipeline_id,
    ]
    only = trio.run(all_of, replay(path, run=first.pipeline_id))
    assert {event.pipeline_id for event in only} == {first.pipeline_id}
    with pytest.raises(EventLogError, match="has no run 'third'; it has"):
        trio.run(all_of, replay(path, run="third"))


def test_of_several_runs_there_is_no_one_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path)
    record(path)
    stream = replay(path)
    trio.run(all_of, stream)
    with pytest.raises(SetupError, match="one after another"):
        stream.checkpoint()


def test_with_gaps_there_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, event_filter=lambda event: not hasattr(event, "document"))
    stream = replay(path)
    trio.run(all_of, stream)
    with pytest.raises(CheckpointError, match="The log has gaps"):
        stream.checkpoint()


@pytest.mark.parametrize("packed", [False, True])
def test_half_a_line_at_the_end_is_told_or_refused(log: Path, packed: bool) -> None:
    whole = lines_of(log)
    data = log.read_bytes()[:-10]
    log.unlink()
    log = log.with_suffix(".ndjson.gz") if packed else log
    log.write_bytes(gzip.compress(data)[:-5] if packed else data)
    with pytest.warns(RuntimeWarning, match="ends in the middle of a line"):
        assert len(trio.run(all_of, replay(log))) == len(whole) - 1
    with pytest.raises(EventLogError, match="ends in the middle of a line"):
        trio.run(all_of, replay(log, torn="refuse"))
    with Recorder(log):
        pass
    assert len(trio.run(all_of, replay(log, torn="refuse"))) == len(whole) - 1


def test_a_bad_line_is_named(log: Path) -> None:
    events = lines_of(log)
    del events[10]["record_number"]
    write(log, events)
    with pytest.raises(EventLogError, match=r"log\.ndjson': line 11: .*record_number"):
        trio.run(all_of, replay(log))


def test_an_event_that_nobody_knows_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Pages(12))
    own = [e for e in trio.run(all_of, replay(path)) if isinstance(e, UnknownEvent)]
    assert [event.fields["page"] for event in own] == [0, 1, 2]


def test_a_file_that_is_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("Dear diary\n")
    with pytest.raises(EventLogError, match=r"notes\.txt.*line 1.*no JSON"):
        trio.run(all_of, replay(tmp_path / "notes.txt"))
    with pytest.raises(EventLogError, match="No such file"):
        trio.run(all_of, replay(tmp_path / "missing"))
    with pytest.raises(SetupError, match="torn must be"):
        replay(tmp_path, torn="never")  # type: ignore[arg-type]


def test_it_is_one_run_like_any_stream(log: Path) -> None:
    async def main() -> None:
        stream = replay(log)
        async with stream as events:
            assert (await anext(events)).sequence == 0
            # Left and entered again, the loop goes on behind.
            async for event in events:
                assert event.sequence == 1
                break
        with pytest.raises(StreamClosedError, match="has been left"):
            await anext(stream)
        with pytest.raises(StreamClosedError, match="entered or iterated before"):
            await stream.__aenter__()
        async with aclosing(replay(log)) as events:
            await anext(events)
        with pytest.raises(StreamClosedError, match="come to its end, or was left"):
            aiter(events)
        with pytest.raises(StreamClosedError, match="too late"):
            events.drain()

    trio.run(main)


def test_drained_it_ends_behind_what_was_given(log: Path) -> None:
    async def main() -> int:
        async with replay(log) as events:
            count = 0
            async for _ in events:
                count += 1
                if count == 20:
                    events.drain()
            assert not events.checkpoint().finished
            return count

    assert trio.run(main) == 20


def test_two_tasks_cannot_share_it(log: Path) -> None:
    async def main() -> None:
        refused = []

        async def take(events: ReplayStream) -> None:
            try:
                await anext(events)
            except StreamBusyError as error:
                refused.append(error)

        async with replay(log) as events, trio.open_nursery() as nursery:
            nursery.start_soon(take, events)
            nursery.start_soon(take, events)
        assert len(refused) == 1

    trio.run(main)


def test_cancelled_it_loses_nothing(log: Path) -> None:
    async def main() -> None:
        async with replay(log) as events:
            numbers: list[int] = []
            is_over = False
            while not is_over:
                # Cancelled where it waits for a thread, and wherever it lets others run.
                with trio.CancelScope() as scope:
                    scope.cancel()
                    while not is_over:
                        event = await anext(events, None)
                        is_over = event is None
                        if event is not None:
                            numbers.append(event.sequence)
                event = await anext(events, None)
                is_over = event is None
                if event is not None:
                    numbers.append(event.sequence)
        assert numbers == list(range(len(lines_of(log))))

    trio.run(main)


@BACKENDS
def test_others_run_meanwhile(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Feed(1000), progress_interval=1000)

    async def main() -> int:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await anyio.lowlevel.checkpoint()
                turns += 1

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(other)
            async with replay(path) as events:
                async for _ in events:
                    pass
            tasks.cancel_scope.cancel()
        return turns

    assert anyio.run(main, backend=backend) >= 20


def test_memory_does_not_grow_with_the_log(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Feed(2000))
    line = path.read_bytes().splitlines(keepends=True)[1]

    def peak(copies: int) -> int:
        path.write_bytes(line * copies)

        async def main() -> None:
            async for _ in replay(path):
                pass

        tracemalloc.start()
        asyncio.run(main())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(24_000) < peak(8_000) + 1024 * 1024


def test_a_task_that_is_cancelled_while_lines_are_read_loses_none(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_reading, may_read = threading.Event(), threading.Event()

    def batch(*arguments: Any) -> Any:
        is_reading.set()
        may_read.wait(10)
        return take_lines(*arguments)

    monkeypatch.setattr("trio_ingest.eventlog._replay.take_lines", batch)

    async def main() -> list[int]:
        async with replay(log) as events:
            waiting = asyncio.ensure_future(anext(events))
            while not is_reading.is_set():  # noqa: ASYNC110 -- a thread sets it
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.sleep(0)
            may_read.set()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            return [event.sequence async for event in events]

    assert asyncio.run(main()) == list(range(len(lines_of(log))))
