"""A file that changes while it is read, or since, is never a finished job."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from tests.adapters.jsonl.jsonl_files import numbered
from tests.worlds import WORLDS, call_of, in_world, run
from trio_ingest import (
    Checkpoint,
    CheckpointError,
    Document,
    DocumentCompleted,
    IngestionPipeline,
    aio,
)
from trio_ingest.adapters import BadFileError, JsonLinesAdapter

EVERYWHERE = pytest.mark.parametrize("name", WORLDS)
LINES = numbered(20_000)
PACK: dict[str, Callable[[bytes], bytes]] = {
    "articles.jsonl": bytes,
    "articles.jsonl.gz": lambda data: gzip.compress(data, 1),
}
FILES = pytest.mark.parametrize("file", PACK)


def cut(path: Path) -> None:
    os.truncate(path, 0)


def cut_behind(path: Path) -> None:
    os.truncate(path, 300_000)


def rewritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(PACK[path.name](LINES.replace(b'"x"', b'"y"')))


def rewritten_behind_its_start(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\n" * (path.stat().st_size - 8192))


def rewritten_with_the_old_times(path: Path) -> None:
    status = path.stat()
    rewritten(path)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


async def ingest(
    name: str,
    path: Path,
    point: Checkpoint | None = None,
    then: Callable[[Path], None] | None = None,
    most: int | None = None,
) -> tuple[list[str], Checkpoint, Exception | None]:
    pipeline = IngestionPipeline(JsonLinesAdapter(path, source="articles"))
    stream = call_of(pipeline, "stream_events")(resume_from=point, buffer_size=10)
    found: list[str] = []
    failure: Exception | None = None
    async with stream as events:
        try:
            async for event in events:
                if isinstance(event, DocumentCompleted):
                    if len(found) == most:
                        break
                    found.append(event.document.doc_id)
                    if len(found) == 100 and then is not None:
                        then(path)
        except BadFileError as error:
            failure = error
        point = stream.checkpoint()
    return found, point, failure


@pytest.mark.one_in(7)
@EVERYWHERE
@FILES
@pytest.mark.parametrize(
    "change",
    [cut, cut_behind, rewritten, rewritten_behind_its_start, rewritten_with_the_old_times],
    ids=lambda change: change.__name__,
)
def test_a_change_while_it_is_read_kills_the_adapter(
    tmp_path: Path, name: str, file: str, change: Callable[[Path], None]
) -> None:
    path = tmp_path / file
    path.write_bytes(PACK[file](LINES))
    whole = path.read_bytes()
    with in_world(name):
        found, point, failure = run(lambda: ingest(name, path, then=change))
        assert failure is not None
        assert "ends early" in str(failure) or "was cut or written over" in str(failure)
        assert not point.finished
        assert found == [str(number) for number in range(len(found))]
        assert 100 <= len(found) < 20_000
        # With the file whole again, the rest comes, and nothing twice.
        path.write_bytes(whole)
        rest, point, failure = run(lambda: ingest(name, path, point))
    assert failure is None
    assert point.finished
    assert found + rest == [str(number) for number in range(20_000)]


@FILES
def test_growth_is_no_change(tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.write_bytes(PACK[file](LINES))

    def grow(path: Path) -> None:
        with path.open("ab") as more:
            more.write(PACK[file](b'{"id": "last"}\n'))

    async def main() -> tuple[list[str], Checkpoint, Exception | None]:
        return await ingest("trio", path, then=grow)

    found, point, failure = trio.run(main)
    assert (len(found), failure, point.finished) == (20_001, None, True)


def test_a_copy_with_other_times_and_inode_is_the_same_file(tmp_path: Path) -> None:
    path, other = tmp_path / "articles.jsonl", tmp_path / "other"
    path.write_bytes(LINES)

    async def main() -> None:
        found, point, _ = await ingest("trio", path, most=9_000)
        shutil.copy(path, other)
        path.unlink()
        other.rename(path)
        os.utime(path, (1, 1))
        rest, _, failure = await ingest("trio", path, point)
        assert failure is None
        assert found + rest == [str(number) for number in range(20_000)]

    trio.run(main)


@FILES
@pytest.mark.parametrize("link", [False, True], ids=["replaced", "link"])
@pytest.mark.parametrize("count", [1, 50])
def test_another_file_under_the_name_is_refused_however_early(
    tmp_path: Path, file: str, count: int, link: bool
) -> None:
    path = tmp_path / file
    first, second = tmp_path / "first" / file, tmp_path / "second" / file
    for place, data in ((first, numbered(200)), (second, numbered(200)[20:])):
        place.parent.mkdir()
        place.write_bytes(PACK[file](data))
    path.symlink_to(first) if link else shutil.copy(first, path)

    async def main() -> None:
        _, point, _ = await ingest("trio", path, most=count)
        path.unlink()
        path.symlink_to(second) if link else shutil.copy(second, path)
        with pytest.raises(CheckpointError, match="is not what was read there"):
            await ingest("trio", path, point)

    trio.run(main)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_a_pipe_whose_writer_died_is_read_on(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    async def main() -> list[list[str]]:
        parts, point = [], None
        for data in (numbered(5)[:-3], numbered(9), numbered(9)):
            adapter: Any = JsonLinesAdapter(path, source="pipe")
            assert adapter.is_open_ended
            stream = aio.stream_events(IngestionPipeline(adapter), resume_from=point)
            writer = threading.Thread(target=path.write_bytes, args=(data,))
            writer.start()  # and waits until the pipe is read
            async with stream as events:
                found = [
                    event.document.doc_id
                    async for event in events
                    if isinstance(event, DocumentCompleted)
                ]
                point = Checkpoint.from_dict(stream.checkpoint().to_dict())
            writer.join()
            assert point.finished
            parts.append(found)
        return parts

    parts = anyio.run(main, backend=backend)
    # Of the line that was cut, the record had ended: it counts as read, and failed.
    assert parts == [["0", "1", "2", "3"], ["5", "6", "7", "8"], []]


def test_other_adapters_are_at_their_end_when_they_are() -> None:
    class Feed:
        source = "feed"
        stable_order = True
        fetched = 0

        async def fetch(self) -> Any:
            self.fetched += 1
            yield 1

        def parse(self, record: int) -> Document:
            return Document(str(record), "feed", "")

    async def main() -> None:
        feed = Feed()
        pipeline = IngestionPipeline(feed)
        async with pipeline.stream_events() as events:
            assert [event async for event in events]
            point = events.checkpoint()
        async with pipeline.stream_events(resume_from=point) as events:
            assert [event async for event in events]
        assert feed.fetched == 1

    trio.run(main)
