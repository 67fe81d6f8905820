"""A line that is too long is a failed document, and is not held in memory."""

import contextlib
import gzip
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.adapters.jsonl.jsonl_files import lines_of
from trio_ingest import DocumentCompleted, DocumentFailed, IngestionPipeline, SetupError
from trio_ingest.adapters import JsonLinesAdapter, LineRecord
from trio_ingest.adapters._bytes import reader

MIB = 1024 * 1024
SMALL = 64 * 1024


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Holds a test to a few chunks of memory."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()


def long_line(path: Path, length: int, end: bytes) -> None:
    with path.open("wb") as file:
        file.write(b'{"id": 1}\n')
        # A hole: as long as it claims, and nothing has to be written.
        file.seek(length, os.SEEK_CUR)
        file.write(end)
    os.truncate(path, 10 + length + len(end))


async def test_a_line_of_200_megabytes_is_passed_in_little_memory(
    tmp_path: Path, little_memory: None
) -> None:
    path = tmp_path / "long.jsonl"
    long_line(path, 200_000_000, b'\n{"id": 2}\n')
    adapter = JsonLinesAdapter(path, max_record_bytes=SMALL)
    assert await lines_of(adapter) == [
        LineRecord(1, b'{"id": 1}'),
        LineRecord(2, bytes(200), 200_000_000),
        LineRecord(3, b'{"id": 2}'),
    ]


async def test_a_line_that_never_ends_is_passed_in_little_memory(
    tmp_path: Path, little_memory: None
) -> None:
    path = tmp_path / "endless.jsonl"
    long_line(path, 50_000_000, b"")
    adapter = JsonLinesAdapter(path, max_record_bytes=SMALL)
    assert (await lines_of(adapter))[1] == LineRecord(2, bytes(200), 50_000_000)


@pytest.mark.parametrize("blank", [False, True])
async def test_a_long_line_in_gzip_is_passed_in_little_memory(
    tmp_path: Path, little_memory: None, *, blank: bool
) -> None:
    path = tmp_path / "long.jsonl.gz"
    block = b" " * MIB
    with gzip.open(path, "wb", compresslevel=1) as packed:
        for _ in range(30):
            packed.write(block)
        packed.write(b'\n{"id": 2}' if blank else b'x\n{"id": 2}')
    records = await lines_of(JsonLinesAdapter(path, max_record_bytes=SMALL))
    long = [] if blank else [LineRecord(1, b" " * 200, 30 * MIB + 1)]
    assert records == [*long, LineRecord(2, b'{"id": 2}')]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
async def test_a_long_line_in_a_pipe_is_passed_in_little_memory(
    tmp_path: Path, little_memory: None
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    records: list[LineRecord] = []

    async def read() -> None:
        records.extend(await lines_of(JsonLinesAdapter(path, max_record_bytes=SMALL)))

    def write() -> None:
        block = bytes(SMALL)
        with path.open("wb", buffering=0) as pipe:
            for _ in range(300):
                pipe.write(block)
            pipe.write(b'\n{"id": 2}\n')

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.to_thread.run_sync(write)
    assert records == [LineRecord(1, bytes(200), 300 * SMALL), LineRecord(2, b'{"id": 2}')]


@pytest.mark.parametrize("chunk_bytes", [1, 7, 300, 301, 4096])
async def test_the_limit_itself_is_allowed_and_one_byte_more_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk_bytes)
    path = tmp_path / "edges.jsonl"
    lines = [b"x" * 300, b"y" * 301, b"", b"z" * 301, b"z" * 300, b"w" * 301]
    path.write_bytes(b"\n".join(lines))
    assert await lines_of(JsonLinesAdapter(path, max_record_bytes=300)) == [
        LineRecord(1, b"x" * 300),
        LineRecord(2, b"y" * 200, 301),
        LineRecord(4, b"z" * 200, 301),
        LineRecord(5, b"z" * 300),
        LineRecord(6, b"w" * 200, 301),
    ]


@pytest.mark.parametrize("chunk_bytes", [1, 50, 600, 4096])
async def test_a_long_line_is_blank_only_if_all_of_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk_bytes)
    path = tmp_path / "blanks.jsonl"
    blank = b" " * 500
    path.write_bytes(blank + b"x" + blank + b"\n" + blank + b"\n\n" + blank + b"x")
    assert await lines_of(JsonLinesAdapter(path, max_record_bytes=300)) == [
        LineRecord(1, b" " * 200, 1001),
        LineRecord(4, b" " * 200, 501),
    ]


async def test_16_mebibytes_are_allowed_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    for length, full_length in ((16 * MIB, None), (16 * MIB + 1, 16 * MIB + 1)):
        long_line(path, length, b"")
        assert (await lines_of(JsonLinesAdapter(path)))[1].full_length == full_length


async def test_a_long_line_is_a_failed_document_that_says_how_long_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "long.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2, "text": "' + b"x" * 5000 + b'"}\n{"id": 3}\n')
    adapter = JsonLinesAdapter(path, max_record_bytes=1000)
    ends: list[DocumentCompleted | DocumentFailed] = []
    async with IngestionPipeline(adapter).stream_events() as events:
        async for event in events:
            if isinstance(event, DocumentCompleted | DocumentFailed):
                ends.append(event)  # noqa: PERF401 - a list is easier to read here
    first, failed, last = ends
    assert isinstance(first, DocumentCompleted)
    assert isinstance(last, DocumentCompleted)
    assert isinstance(failed, DocumentFailed)
    assert failed.error_type == "trio_ingest.adapters.BadLineError"
    assert failed.error == (
        f"{path}, line 2: the line is 5,021 bytes long and was skipped: "
        f"max_record_bytes is 1,000. Raise it to read the line."
    )
    assert failed.raw == LineRecord(2, (b'{"id": 2, "text": "' + b"x" * 181), 5021)
    assert not failed.is_retryable


async def test_a_long_first_line_of_another_encoding_is_no_failed_document(
    tmp_path: Path,
) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(("\ufeff" + "x" * 5000).encode("utf-16-le"))
    adapter = JsonLinesAdapter(path, max_record_bytes=1000)
    with pytest.raises(ValueError, match="line 1: the file is UTF-16"):
        await lines_of(adapter)


async def test_a_mark_is_taken_off_a_long_first_line(tmp_path: Path) -> None:
    path = tmp_path / "marked.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + b"x" * 5000)
    async with contextlib.aclosing(
        JsonLinesAdapter(path, max_record_bytes=9).fetch()
    ) as items:
        assert [item async for item in items][1] == LineRecord(1, b"x" * 197, 5003)


@pytest.mark.parametrize("most", [0, -1, 1.5, True, "16", None])
def test_a_limit_that_is_no_whole_number_above_0_is_refused(most: Any) -> None:
    with pytest.raises(SetupError) as caught:
        JsonLinesAdapter("articles.jsonl", max_record_bytes=most)
    assert str(caught.value) == (
        f"max_record_bytes must be a whole number of at least 1; got {most!r}."
    )
