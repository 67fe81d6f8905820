"""A recorder appends every event of a stream to a log, and mends what a crash has left."""

from __future__ import annotations

import asyncio
import gzip
import os
import random
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.eventlog.recorded import Feed, PageRead, Pages, lines_of, record
from trio_ingest import BatchProgress, IngestionPipeline, PipelineEvent
from trio_ingest.eventlog import EventLogError, Recorder, replay, verify
from trio_ingest.serialization import EventCodec

CODEC = EventCodec([PageRead])
NAMES = pytest.mark.parametrize("name", ["log.ndjson", "log.ndjson.gz"])


def page(number: int) -> PageRead:
    return PageRead(page=number, pipeline_id="a", sequence=number)


def text_of(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def pages_in(path: Path) -> list[int]:
    return [CODEC.decode(line).page for line in text_of(path).splitlines()]


@NAMES
def test_every_event_is_a_line_in_order(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    seen: list[PipelineEvent] = []

    async def main() -> None:
        pipeline = IngestionPipeline(Feed())
        with Recorder(path) as recorder:
            async with pipeline.stream_events() as events:
                seen.extend([event async for event in recorder.recording(events)])

    trio.run(main)
    lines = text_of(path).splitlines()
    assert lines == [EventCodec().encode(event) for event in seen]


@NAMES
def test_a_log_that_is_there_is_added_to(tmp_path: Path, name: str) -> None:
    for number in range(3):
        with Recorder(tmp_path / name) as recorder:
            recorder.take(page(number))
    assert pages_in(tmp_path / name) == [0, 1, 2]


def test_what_is_acknowledged_with_a_progress_event_is_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"

    async def main() -> None:
        pipeline = IngestionPipeline(Feed())
        with Recorder(path) as recorder:
            async with pipeline.stream_events(progress_interval=5) as events:
                async for event in recorder.recording(events):
                    if isinstance(event, BatchProgress):
                        assert lines_of(path)[-1]["sequence"] == event.sequence

    trio.run(main)


def test_it_records_on_asyncio_and_without_a_loop(tmp_path: Path) -> None:
    async def some() -> AsyncIterator[PageRead]:
        for number in range(3):
            yield page(number)

    async def main() -> list[int]:
        with Recorder(tmp_path / "log.ndjson") as recorder:
            return [event.page async for event in recorder.recording(some())]

    assert asyncio.run(main()) == [0, 1, 2]
    with Recorder(tmp_path / "log.ndjson") as recorder:
        recorder.take(page(3))
    assert pages_in(tmp_path / "log.ndjson") == [0, 1, 2, 3]


def test_a_killed_process_loses_nothing_that_was_flushed(tmp_path: Path) -> None:
    code = (
        "import os, sys\n"
        "from tests.eventlog.recorded import PageRead\n"
        "from trio_ingest.eventlog import Recorder\n"
        "recorder = Recorder(sys.argv[1]).__enter__()\n"
        "for number in range(5):\n"
        "    recorder.take(PageRead(page=number, pipeline_id='a', sequence=number))\n"
        "    if number == 3: recorder.flush()\n"
        "os._exit(9)\n"
    )
    path = tmp_path / "log.ndjson.gz"
    root = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=False,
        env=os.environ | {"PYTHONPATH": root},
        cwd=root,
    )
    assert pages_in(path) == [0, 1, 2, 3]


# -- torn -----------------------------------------------------------------------------------


@pytest.mark.parametrize("writes", [1, 3])
@NAMES
def test_cut_at_any_byte_no_whole_line_is_lost(tmp_path: Path, name: str, writes: int) -> None:
    path = tmp_path / name
    with Recorder(path, codec=CODEC) as recorder:
        for number in range(6):
            recorder.take(page(number))
            if number % (6 // writes) == 6 // writes - 1:
                recorder.flush()
    data = path.read_bytes()
    least = 0
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        whole = whole_pages(data[:size], packed=path.suffix == ".gz")
        assert len(whole) >= least
        least = len(whole)
        with Recorder(path, codec=CODEC) as recorder:
            recorder.take(page(9))
        assert pages_in(path) == [*whole, 9]
    assert least == 6
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def whole_pages(data: bytes, *, packed: bool) -> list[int]:
    """What can be read of a torn log, found in another way."""

    text = b""
    while packed and data:
        inflate = zlib.decompressobj(31)
        text += inflate.decompress(data)
        data = inflate.unused_data
    text = text if packed else data
    lines = text.split(b"\n")
    found = [CODEC.decode(line).page for line in lines[:-1]]
    # Only the end of the last line may be missing.
    if lines[-1].endswith(b"}"):
        found.append(CODEC.decode(lines[-1]).page)
    return found


def test_a_torn_file_keeps_its_permissions_and_its_link(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson.gz"
    with Recorder(path) as recorder:
        recorder.take(page(0))
        recorder.flush()
        recorder.take(page(1))
    path.write_bytes(path.read_bytes()[:-3])
    path.chmod(0o640)
    link = tmp_path / "link.gz"
    link.symlink_to(path.name)
    with Recorder(link):
        pass
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert pages_in(path) == [0, 1]


def test_a_large_torn_member_of_another_program_is_mended(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson.gz"
    codec = EventCodec([PageRead])
    chance = random.Random(1)
    lines = [codec.encode(page(chance.randrange(10**12))) for _ in range(30_000)]
    whole = gzip.compress(b"\n".join(lines) + b"\n")
    path.write_bytes(whole[: len(whole) // 2])
    with Recorder(path):
        pass
    mended = gzip.decompress(path.read_bytes()).splitlines()
    assert 10_000 < len(mended) < 20_000
    assert mended == lines[: len(mended)]


# -- what is refused ------------------------------------------------------------------------


@NAMES
def test_two_recorders_of_one_file_are_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Recorder(path) as recorder:
        with (
            pytest.raises(EventLogError, match="is being written by another run"),
            Recorder(path),
        ):
            pass
        recorder.take(page(0))
    with Recorder(path) as recorder:
        recorder.take(page(1))
    assert pages_in(path) == [0, 1]


@pytest.mark.parametrize(
    "data", [b"Dear diary", b'{"id": 1}\n', gzip.compress(b"Dear diary", mtime=0)]
)
@NAMES
def test_a_file_of_somebody_else_is_left_alone(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(EventLogError, match="something else wrote it"), Recorder(path):
        pass
    assert path.read_bytes() == data


def test_a_recorder_that_is_not_open_says_so(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "log.ndjson")
    with pytest.raises(EventLogError, match="is not open, so an event would be lost"):
        recorder.take(page(0))
    with recorder:
        recorder.take(page(0))
    with pytest.raises(EventLogError, match="is not open, so an event would be lost"):
        recorder.take(page(1))
    with pytest.raises(EventLogError, match="was opened before"), recorder:
        pass
    assert pages_in(tmp_path / "log.ndjson") == [0]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(EventLogError, match="cannot be written: No such file"),
        Recorder(tmp_path / "missing" / "log.ndjson"),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such limits")
def test_a_full_disk_is_said_and_leaves_a_valid_log(tmp_path: Path) -> None:
    # The limit of a process's files is the nearest thing to a disk that is full.
    code = (
        "import resource, signal, sys\n"
        "from tests.eventlog.recorded import PageRead\n"
        "from trio_ingest.eventlog import EventLogError, Recorder\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        "    with Recorder(sys.argv[1]) as recorder:\n"
        "        for number in range(5000):\n"
        "            recorder.take(PageRead(page=number, pipeline_id='a', sequence=number))\n"
        "except EventLogError as error:\n"
        "    print(error)\n"
    )
    path = tmp_path / "log.ndjson"
    root = str(Path(__file__).parents[2])
    finished = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=True,
        env=os.environ | {"PYTHONPATH": root},
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert "cannot be written any more: File too large. What is in it stays" in finished.stdout
    assert path.stat().st_size == 100_000
    report = verify(path)
    assert report.is_good
    assert report.is_torn
    with Recorder(path) as recorder:
        recorder.take(page(9))
    pages = pages_in(path)
    assert pages == [*range(len(pages) - 1), 9]


def test_what_ended_the_block_is_what_leaves_it(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Recorder(tmp_path / "log.ndjson") as recorder:
        recorder.take(page(0))
        raise KeyError
    assert pages_in(tmp_path / "log.ndjson") == [0]


def test_own_events_come_back_as_themselves(tmp_path: Path) -> None:
    path = tmp_path / "log.ndjson"
    record(path, Pages(12))

    async def main() -> list[Any]:
        codec = EventCodec([PageRead])
        return [event async for event in replay(path, codec=codec)]

    own = [event for event in trio.run(main) if isinstance(event, PageRead)]
    assert [event.page for event in own] == [0, 1, 2]
