"""A relative path means what it meant when it was opened, wherever an adapter goes then."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest

from trio_ingest import Document, IngestionPipeline, aio
from trio_ingest.adapters import FilesAdapter
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.eventlog import Recorder
from trio_ingest.sinks import JsonLinesSink, SqliteSink
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore, SqliteLedger

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
KINDS: dict[str, Callable[[], Any]] = {
    "sqlite": lambda: SqliteSink("out"),
    "jsonl": lambda: JsonLinesSink("out"),
    "checkpoint file": lambda: FileCheckpointStore("out"),
    "checkpoint sqlite": lambda: SqliteCheckpointStore("out"),
    "ledger": lambda: SqliteLedger("out"),
}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    yield tmp_path / "there"
    os.chdir(tmp_path)


class Wanderer:
    source = "wanderer"
    stable_order = True

    def __init__(self, there: Path) -> None:
        self._there = there

    async def fetch(self) -> AsyncIterator[int]:
        for number in range(1500):
            if number == 3:
                os.chdir(self._there)
            yield number

    def parse(self, record: int) -> Document:
        if record == 7:
            raise ValueError("bad on purpose")
        return Document(str(record), self.source, "text")


@pytest.mark.one_in(2)
@BACKENDS
@pytest.mark.parametrize("kind", KINDS)
def test_a_sink_writes_where_it_was_opened(elsewhere: Path, backend: str, kind: str) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            sink = await stack.enter_async_context(KINDS[kind]())
            recorder = stack.enter_context(Recorder("events.ndjson"))
            stream = aio.stream_events(IngestionPipeline(Wanderer(elsewhere)))
            async with stream as events:
                await deliver(
                    events, sink, on_event=recorder.take, before_commit=recorder.flush
                )
            if kind != "ledger":
                point = await resume_point(sink)
                assert point is not None
                assert point.finished

    anyio.run(main, backend=backend)
    assert list(elsewhere.iterdir()) == []
    here = elsewhere.parent / "here"
    assert (here / "out").stat().st_size > 0
    assert (here / "events.ndjson").read_bytes().count(b"\n") > 3000


@BACKENDS
def test_a_folder_is_read_where_it_was(elsewhere: Path, backend: str) -> None:
    here = elsewhere.parent / "here"
    (here / "docs").mkdir()
    for number in range(300):
        (here / "docs" / f"{number:03}.txt").write_text("text", encoding="utf-8")

    async def main() -> int:
        stream = aio.iter_results(IngestionPipeline(FilesAdapter("docs")))
        count = 0
        async with stream as documents:
            async for _ in documents:
                count += 1
                if count == 3:
                    os.chdir(elsewhere)
        return count

    assert anyio.run(main, backend=backend) == 300
