"""A run over a JSON Lines file that is stopped anywhere goes on there, through the engine."""

import gzip
import json
from pathlib import Path

import pytest

from tests.adapters.jsonl.jsonl_files import numbered
from trio_ingest import (
    Checkpoint,
    CheckpointError,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
)
from trio_ingest.adapters import JsonLinesAdapter, LineRecord
from trio_ingest.adapters._bytes import positions, reader

# Blank lines, both line ends, a byte order mark, a bad line, one that is too long, and no
# line feed at the end.
MIXED = (
    b'\xef\xbb\xbf{"id": "a"}\n'
    b"\n"
    b'{"id": "b"}\r\n'
    b"\r\n"
    b"no document\n"
    b'{"id": "c", "text": "' + b"c" * 40 + b'"}\n'
    b" \n\n\n"
    b'{"id": "d"}\n'
    b'{"id": "e", "text": "too long: ' + b"e" * 100 + b'"}\n'
    b'{"id": "f"}\r\n'
    b'{"id": "g"}'
)

# What ended: the record's number, and the document's id or the bad line's number.
Ends = list[tuple[int, str | int]]


async def run(
    pipeline: IngestionPipeline, start: Checkpoint | None = None, stop_after: int | None = None
) -> tuple[Ends, Checkpoint]:
    """What ended and was acknowledged, and the checkpoint, as a store would give it back."""
    ends: Ends = []
    async with pipeline.stream_events(resume_from=start) as events:
        async for event in events:
            if isinstance(event, DocumentCompleted | DocumentFailed):
                if len(ends) == stop_after:
                    break
                ends.append((event.record_number, named(event)))
    return ends, Checkpoint.from_dict(json.loads(json.dumps(events.checkpoint().to_dict())))


def named(event: DocumentCompleted | DocumentFailed) -> str | int:
    if isinstance(event, DocumentCompleted):
        return event.document.doc_id
    assert isinstance(event.raw, LineRecord)
    return event.raw.line_number


EVERY_ONE: Ends = list(enumerate(["a", "b", 5, "c", "d", 11, "f", "g"]))


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk_bytes", [1, 3, 12, 13, 50, 4096])
async def test_a_run_stopped_after_any_record_goes_on_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, chunk_bytes: int
) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(MIXED)
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk_bytes)
    adapter = JsonLinesAdapter(path, max_record_bytes=80)
    pipeline = IngestionPipeline(adapter, workers=workers)
    for count in range(len(EVERY_ONE) + 1):
        ends, checkpoint = await run(pipeline, stop_after=count)
        assert ends == EVERY_ONE[:count]
        rest, _ = await run(pipeline, checkpoint)
        assert rest == EVERY_ONE[count:]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("chunk_bytes", [1, 13, 50, 4096])
async def test_a_run_stopped_after_each_record_comes_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, chunk_bytes: int
) -> None:
    path = tmp_path / "mixed.jsonl"
    path.write_bytes(MIXED)
    monkeypatch.setattr(reader, "CHUNK_BYTES", chunk_bytes)
    adapter = JsonLinesAdapter(path, max_record_bytes=80)
    pipeline = IngestionPipeline(adapter, workers=workers)
    checkpoint, together = None, []
    for _ in EVERY_ONE:
        ends, checkpoint = await run(pipeline, checkpoint, stop_after=1)
        together += ends
    assert together == EVERY_ONE
    assert (await run(pipeline, checkpoint))[0] == []


async def test_a_large_file_is_not_read_from_its_start_again(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(numbered(10_000))
    pipeline = IngestionPipeline(JsonLinesAdapter(path))
    _, checkpoint = await run(pipeline, stop_after=9000)
    with path.open("r+b") as file:
        file.seek(positions.CHECKED_BYTES)
        file.write(b"\n" * 100_000)
    rest, _ = await run(pipeline, checkpoint)
    assert rest == [(number, str(number)) for number in range(9000, 10_000)]


@pytest.mark.parametrize("name", ["articles.jsonl", "articles.jsonl.gz"])
@pytest.mark.parametrize("workers", [1, 3])
async def test_gzip_is_resumed_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(MIXED))
    monkeypatch.setattr(reader, "CHUNK_BYTES", 13)
    adapter = JsonLinesAdapter(path, max_record_bytes=80)
    pipeline = IngestionPipeline(adapter, workers=workers)
    for count in range(len(EVERY_ONE) + 1):
        _, checkpoint = await run(pipeline, stop_after=count)
        assert (await run(pipeline, checkpoint))[0] == EVERY_ONE[count:]


async def test_another_limit_for_lines_counts_the_same_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blanks.jsonl"
    path.write_bytes(b'{"id": "a"}\n' + b" " * 99 + b'\n{"id": "b"}\n{"id": "c"}\n')
    first = IngestionPipeline(JsonLinesAdapter(path, max_record_bytes=20))
    _, checkpoint = await run(first, stop_after=2)
    assert (await run(IngestionPipeline(JsonLinesAdapter(path)), checkpoint))[0] == [(2, "c")]


async def test_a_file_that_has_changed_ends_the_run_with_a_checkpoint_error(
    tmp_path: Path,
) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(numbered(10_000))
    pipeline = IngestionPipeline(JsonLinesAdapter(path))
    _, checkpoint = await run(pipeline, stop_after=9000)
    path.write_bytes(numbered(10_001).replace(b'"x"', b'"y"'))
    with pytest.raises(CheckpointError, match=r"is not what was read there.*--restart"):
        await run(pipeline, checkpoint)
