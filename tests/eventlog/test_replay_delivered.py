"""A replayed log goes into sinks like the run itself, and the run can go on behind it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.eventlog.recorded import Feed, Pages, lines_of, record
from trio_ingest import (
    BatchProgress,
    CheckpointError,
    IngestionPipeline,
    RetryPolicy,
    SetupError,
)
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.eventlog import Recorder, recorded_runs, replay, verify
from trio_ingest.sinks import JsonLinesSink

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


def ids_in(path: Path) -> list[str]:
    return [line["doc_id"] for line in lines_of(path)]


def good(numbers: Sequence[int]) -> list[str]:
    return [str(number) for number in numbers if number % 7 != 3]


@BACKENDS
@pytest.mark.parametrize("batch_size", [1, 4, 500])
def test_every_document_is_there_once_and_the_pipeline_goes_on(
    tmp_path: Path, backend: str, batch_size: int
) -> None:
    log, out = tmp_path / "log.ndjson", tmp_path / "out.jsonl"
    record(log, Feed(40), drain_after=50, policy={"workers": 3, "ordered": False})

    async def from_the_log() -> None:
        async with JsonLinesSink(out) as sink:
            report = await deliver(replay(log), sink, batch_size=batch_size)
            assert not report.checkpoint.finished

    async def from_the_source() -> None:
        pipeline = IngestionPipeline(Feed(40), retry=RetryPolicy(attempts=2, base_seconds=0))
        async with JsonLinesSink(out) as sink:
            point = await resume_point(sink)
            report = await deliver(pipeline.stream_events(resume_from=point), sink)
            assert report.checkpoint.finished
            [totals] = report.totals.values()
            assert (totals.completed, totals.failed) == (34, 6)

    anyio.run(from_the_log, backend=backend)
    anyio.run(from_the_source, backend="trio")
    assert sorted(ids_in(out), key=int) == good(range(40))


def test_runs_of_one_job_are_delivered_one_after_another(tmp_path: Path) -> None:
    log, out = tmp_path / "log.ndjson", tmp_path / "out.jsonl"
    point = record(log, Feed(40), stop_after=30)
    # It went on from something older than what the log of the first one has.
    progress = [event for event in events_of(log) if isinstance(event, BatchProgress)]
    older = next(event.checkpoint for event in progress if event.checkpoint is not None)
    assert point.covers(older)
    assert older != point
    record(log, Feed(40), resume_from=older)
    assert verify(log).is_good

    async def main() -> None:
        async with JsonLinesSink(out) as sink:
            for run in recorded_runs(log):
                await deliver(replay(log, run=run.pipeline_id), sink)

    anyio.run(main)
    assert sorted(ids_in(out), key=int) == good(range(40))


def events_of(path: Path) -> list[Any]:
    async def main() -> list[Any]:
        return [event async for event in replay(path)]

    found: list[Any] = anyio.run(main)
    return found


def test_all_runs_at_once_are_refused_at_the_second(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    record(log, resume_from=record(log, drain_after=30))

    async def main() -> None:
        async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
            await deliver(replay(log), sink)

    with pytest.raises(SetupError, match="several runs"):
        anyio.run(main)


def test_a_run_from_the_middle_of_a_job_is_refused_by_a_new_sink(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    record(log, Pages(), resume_from=record(tmp_path / "first", Pages(), drain_after=40))

    async def main() -> None:
        async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
            await deliver(replay(log), sink)

    with pytest.raises(CheckpointError, match="in the middle of a job"):
        anyio.run(main)


def test_a_log_without_its_documents_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    record(log, event_filter=lambda event: not hasattr(event, "document"))

    async def main() -> None:
        async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
            await deliver(replay(log), sink)

    with pytest.raises(CheckpointError, match="The log has gaps"):
        anyio.run(main)
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_what_is_no_stream_is_refused_without_being_asked(tmp_path: Path) -> None:
    async def main() -> None:
        async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
            await deliver([], sink)  # type: ignore[arg-type]

    with pytest.raises(SetupError, match="deliver takes what"):
        anyio.run(main)


def test_a_stream_that_was_looked_into_is_refused(tmp_path: Path) -> None:
    log = tmp_path / "log.ndjson"
    record(log)

    async def main() -> None:
        async with JsonLinesSink(tmp_path / "out.jsonl") as sink, replay(log) as events:
            await anext(events)
            await deliver(events, sink)

    with pytest.raises(SetupError, match="taken before the delivery began"):
        anyio.run(main)


def test_a_log_is_never_behind_the_sinks(tmp_path: Path) -> None:
    log, out = tmp_path / "log.ndjson", tmp_path / "out.jsonl"
    behind: list[set[str]] = []

    async def main() -> None:
        stream = IngestionPipeline(Feed(40)).stream_events()
        with Recorder(log) as recorder:

            def compare(_: object) -> None:
                logged = {
                    event["document"]["doc_id"]
                    for event in lines_of(log)
                    if event["type"] == "DocumentCompleted"
                }
                behind.append(set(ids_in(out)) - logged)

            async with JsonLinesSink(out) as sink:
                await deliver(
                    stream,
                    sink,
                    batch_size=7,
                    on_event=recorder.take,
                    before_commit=recorder.flush,
                    on_commit=compare,
                )

    anyio.run(main, backend="trio")
    assert len(behind) > 3
    assert not any(behind)
