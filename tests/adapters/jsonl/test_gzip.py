"""What the JSON Lines adapter makes of gzip, whole and damaged."""

import gzip
from pathlib import Path

from tests.adapters.jsonl.jsonl_files import (
    documents_of,
    lines_of,
    numbered,
    read_until_it_fails,
)
from trio_ingest.adapters import JsonLinesAdapter, LineRecord


async def test_gzip_is_known_by_name_and_by_its_first_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(numbered(50_000))
    for name in ("articles.jsonl.gz", "articles.JSONL.GZ", "articles.jsonl"):
        path = tmp_path / name
        path.write_bytes(packed)
        assert len(await lines_of(JsonLinesAdapter(path))) == 50_000


async def test_gzip_of_several_members_and_padding_is_one_file(tmp_path: Path) -> None:
    path = tmp_path / "members.jsonl.gz"
    path.write_bytes(
        gzip.compress(b'{"id": 1}\n{"i')
        + gzip.compress(b"")
        + gzip.compress(b'd": 2}\n')
        + b"\0" * 300_000
        + gzip.compress(b'{"id": 3}\n')
        + b"\0" * 512
    )
    documents = await documents_of(JsonLinesAdapter(path))
    assert [document.doc_id for document in documents] == ["1", "2", "3"]


async def test_a_gzip_bomb_is_unpacked_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / "bomb.jsonl.gz"
    line = b" " * 1023 + b"\n"
    with gzip.open(path, "wb") as packed:
        for _ in range(64):
            packed.write(line * 1024)
        packed.write(b'{"id": 1}\n')
    [record] = await lines_of(JsonLinesAdapter(path))
    assert record == LineRecord(65_537, b'{"id": 1}')


async def test_truncated_gzip_gives_its_whole_lines_first(tmp_path: Path) -> None:
    path = tmp_path / "cut.jsonl.gz"
    whole = gzip.compress(numbered(50_000))
    path.write_bytes(whole[: len(whole) // 2])
    records, error = await read_until_it_fails(JsonLinesAdapter(path))
    assert 20_000 < len(records) < 30_000
    assert b"\n".join(record.data for record in records) + b"\n" == numbered(len(records))
    assert str(error).startswith(
        f"{path}, after line {len(records)}: the gzip data ends early"
    )


async def test_an_empty_file_named_gz_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl.gz"
    path.write_bytes(b"")
    records, error = await read_until_it_fails(JsonLinesAdapter(path))
    assert records == []
    assert "the gzip data ends early" in str(error)


async def test_text_named_gz_says_so(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl.gz"
    path.write_bytes(b'{"id": 1}\n')
    _, error = await read_until_it_fails(JsonLinesAdapter(path))
    assert str(error).startswith(f"{path}, line 1: ")
    assert "take the .gz off its name" in str(error)


async def test_damaged_gzip_gives_the_lines_before_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl.gz"
    data = bytearray(gzip.compress(numbered(50_000)))
    data[-8] ^= 0xFF
    path.write_bytes(data)
    records, error = await read_until_it_fails(JsonLinesAdapter(path))
    assert len(records) > 10_000
    assert "the documents since line 1 may be wrong" in str(error)


async def test_damaged_gzip_says_which_lines_are_good(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl.gz"
    data = bytearray(gzip.compress(numbered(10)) + gzip.compress(numbered(10)))
    data[-8] ^= 0xFF
    path.write_bytes(data)
    _, error = await read_until_it_fails(JsonLinesAdapter(path))
    assert "after line 10: " in str(error)
    assert "The documents before are good" in str(error)
