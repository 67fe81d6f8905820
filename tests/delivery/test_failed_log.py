"""When the log of a delivery has failed, nothing more is committed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from trio_ingest import DocumentCompleted, IngestionPipeline, aio
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.eventlog import EventLogError, Recorder, replay
from trio_ingest.serialization import EventCodec
from trio_ingest.sinks import JsonLinesSink, SqliteSink
from trio_ingest.testing import ScriptedAdapter

SINKS: dict[str, Callable[[Path], Any]] = {
    "sqlite": lambda folder: SqliteSink(folder / "out.db"),
    "jsonl": lambda folder: JsonLinesSink(folder / "out.jsonl"),
}


def moved(path: Path) -> None:
    path.rename(path.with_suffix(".old"))


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def deleted(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    os.truncate(path, 100)


@pytest.mark.one_in(9)
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
@pytest.mark.parametrize(
    "change", [moved, replaced, deleted, cut], ids=lambda change: change.__name__
)
def test_no_sink_is_ahead_of_a_log_that_is_no_more(
    tmp_path: Path, kind: str, name: str, backend: str, change: Callable[[Path], None]
) -> None:
    log = tmp_path / name

    async def main() -> None:
        taken = 0
        in_the_log = 0
        async with SINKS[kind](tmp_path) as sink:
            with Recorder(log) as recorder:

                def take(event: Any) -> None:
                    nonlocal taken, in_the_log
                    recorder.take(event)
                    taken += isinstance(event, DocumentCompleted)
                    if taken == 1200 and isinstance(event, DocumentCompleted):
                        recorder.flush()
                        in_the_log = taken
                        change(log)

                stream = aio.stream_events(IngestionPipeline(ScriptedAdapter(range(5000))))
                with pytest.raises(EventLogError, match=r"was \w.* while it was in use"):
                    async with stream as events:
                        await deliver(
                            events, sink, on_event=take, before_commit=recorder.flush
                        )
            point = await resume_point(sink)
            assert point is not None
            assert 0 < point.positions[0].watermark <= in_the_log

    anyio.run(main, backend=backend)


def test_a_log_that_has_failed_fails_again_and_what_is_in_it_is_whole(tmp_path: Path) -> None:
    log = tmp_path / "events.ndjson"

    async def main() -> None:
        stream = IngestionPipeline(ScriptedAdapter(range(50))).stream_events()
        async with stream as events:
            found = [event async for event in events]
        with Recorder(log) as recorder:
            for event in found[:40]:
                recorder.take(event)
            recorder.flush()
            log.rename(tmp_path / "moved.ndjson")
            recorder.take(found[40])
            for _ in range(3):
                with pytest.raises(EventLogError, match="was deleted while it was in use"):
                    recorder.flush()
            with pytest.raises(EventLogError):
                recorder.take(found[41])

    anyio.run(main, backend="trio")
    lines = (tmp_path / "moved.ndjson").read_bytes().splitlines()
    assert [EventCodec().decode(line) for line in lines]
    assert len(lines) == 40
    assert replay(tmp_path / "moved.ndjson")


def test_lines_of_another_program_behind_ours_are_no_change(tmp_path: Path) -> None:
    log = tmp_path / "events.ndjson"

    async def main() -> None:
        stream = IngestionPipeline(ScriptedAdapter(range(10))).stream_events()
        async with stream as events:
            found = [event async for event in events]
        with Recorder(log) as recorder:
            recorder.take(found[0])
            recorder.flush()
            with log.open("ab") as other:
                other.write(EventCodec().encode(found[1]) + b"\n")
            recorder.take(found[2])

    anyio.run(main, backend="trio")
    assert log.read_bytes().count(b"\n") == 3
