"""What the JSON Lines adapter makes of pipes, which may stay silent for hours."""

import contextlib
import gzip
import io
import os
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.adapters.jsonl.jsonl_files import lines_of, numbered, open_files
from trio_ingest import Cursor
from trio_ingest.adapters import JsonLinesAdapter, LineRecord

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")


async def test_a_pipe_gives_each_line_when_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    async with contextlib.aclosing(JsonLinesAdapter(path).fetch()) as records:
        async with trio.open_nursery() as nursery:
            arrived: list[LineRecord | Cursor] = []

            async def take() -> None:
                arrived.extend([await anext(records), await anext(records)])

            nursery.start_soon(take)
            writer = await trio.to_thread.run_sync(lambda: path.open("wb", buffering=0))
            with writer:
                writer.write(b'{"id": 1}\n{"id"')
        assert arrived[1:] == [LineRecord(1, b'{"id": 1}')]
        rest = [record async for record in records]
        assert [record for record in rest if isinstance(record, LineRecord)] == [
            LineRecord(2, b'{"id"')
        ]


async def test_gzip_through_a_pipe_is_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    packed = gzip.compress(numbered(20_000))
    records: list[LineRecord] = []

    async def read() -> None:
        records.extend(await lines_of(JsonLinesAdapter(path)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        # The first byte alone does not tell gzip from text.
        await trio.to_thread.run_sync(write_in_pieces, path, [packed[:1], packed[1:]])
    assert len(records) == 20_000


def write_in_pieces(path: Path, pieces: list[bytes]) -> None:
    with path.open("wb", buffering=0) as pipe:
        for piece in pieces:
            for written in io.BytesIO(piece):
                pipe.write(written)


async def test_a_silent_pipe_can_be_left_at_once(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = open_files()
    with trio.move_on_after(3600) as scope:
        await lines_of(JsonLinesAdapter(path))
    assert scope.cancelled_caught
    assert open_files() == before
