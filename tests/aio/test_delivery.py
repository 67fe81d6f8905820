"""Sinks from asyncio, uvloop and the bridge: each document once, whoever cancels and when."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import pytest
import uvloop

from tests.worlds import run_on
from trio_ingest import EventStream, IngestionPipeline, aio
from trio_ingest.adapters import FilesAdapter, JsonLinesAdapter
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.sinks import JsonLinesSink, SqliteSink
from trio_ingest.testing import Fail, Pause, ScriptedAdapter

T = TypeVar("T")
NEW_LOOPS = {"uvloop": uvloop.new_event_loop}

# In real time: virtual time knows nothing of the threads that files and databases have.
HOSTS = pytest.mark.parametrize("name", ["asyncio", "uvloop", "bridge"])
SCRIPT = ["a", Fail(), Pause(0.01), "b", *"cdefgh", Pause(0.03), *"ij"]


def play(name: str, main: Callable[..., Awaitable[T]], *args: Any) -> T:
    return run_on(NEW_LOOPS.get(name, asyncio.new_event_loop), main, *args)


def stream_of(name: str, pipeline: IngestionPipeline, **options: Any) -> EventStream[Any]:
    runtime: Literal["asyncio", "trio"] = "trio" if name == "bridge" else "asyncio"
    return aio.stream_events(pipeline, runtime=runtime, **options)


class Unhurried(ScriptedAdapter):
    """Its ``parse`` awaits, so that a cancellation can find it there."""

    async def parse(self, record: Any) -> Any:
        await anyio.sleep(0.003)
        return super().parse(record)


def ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return sorted(row[0] for row in database.execute("SELECT doc_id FROM documents"))


@HOSTS
def test_lines_of_a_file_reach_both_sinks_from_asyncio(name: str, tmp_path: Path) -> None:
    lines = [json.dumps({"id": n, "text": f"Text {n}."}) for n in range(2000)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines))

    async def main() -> None:
        pipeline = IngestionPipeline(JsonLinesAdapter(tmp_path / "in.jsonl"), workers=2)
        async with (
            SqliteSink(tmp_path / "out.db", duplicates="allow") as table,
            JsonLinesSink(tmp_path / "out.jsonl") as file,
        ):
            report = await deliver(stream_of(name, pipeline), table, file, batch_size=300)
        assert report.totals[table.name].completed == 2000

    play(name, main)
    assert len(ids(tmp_path / "out.db")) == 2000
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2000


@HOSTS
def test_files_of_a_folder_are_read_from_asyncio(name: str, tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"{number}.txt").write_text(f"text {number}")

    async def main() -> int:
        pipeline = IngestionPipeline(FilesAdapter(tmp_path, pattern="*.txt"))
        async with stream_of(name, pipeline) as events:
            return len([event async for event in events])

    assert play(name, main) > 300


@pytest.mark.one_in(4)
@HOSTS
@pytest.mark.parametrize("stagger", range(4))
def test_cancelled_at_any_moment_and_resumed_each_document_is_there_once(
    stagger: int, name: str, tmp_path: Path
) -> None:
    path = tmp_path / "out.db"

    async def once() -> bool:
        async with SqliteSink(path, duplicates="allow") as sink:
            pipeline = IngestionPipeline(Unhurried(SCRIPT), workers=2)
            stream = stream_of(name, pipeline, resume_from=await resume_point(sink))
            report = await deliver(stream, sink, batch_size=2)
        return report.checkpoint.finished

    async def cut(turns: int) -> bool:
        task = asyncio.create_task(once())
        for _ in range(turns):
            if task.done():
                break
            await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            return await task
        return False

    turns = 3 + stagger
    while not play(name, cut, turns):
        turns += 4 + turns // 2
    wanted = [str(n) for n, step in enumerate(SCRIPT) if not isinstance(step, Fail | Pause)]
    assert ids(path) == sorted(wanted)
