"""What the JSON Lines adapter makes of whole files."""

import contextlib
import gzip
import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.adapters.jsonl.jsonl_files import (
    documents_of,
    lines_of,
    numbered,
    open_files,
    read_until_it_fails,
)
from trio_ingest import Cursor, Document, IngestError, SetupError
from trio_ingest.adapters import BadLineError, JsonLinesAdapter, LineRecord


async def test_a_document_is_id_content_raw_and_the_other_fields(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    line = '{"id": "a-1", "text": "On cats.", "year": 1979, "tags": ["cats"]}'
    path.write_text(line + "\n")
    assert await documents_of(JsonLinesAdapter(path)) == [
        Document("a-1", str(path), "On cats.", line, {"year": 1979, "tags": ["cats"]})
    ]


async def test_other_fields_and_another_source_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_text('{"pmid": 7, "abstract": "On cats.", "id": "kept"}')
    adapter = JsonLinesAdapter(path, id_field="pmid", content_field="abstract", source="pm")
    [document] = await documents_of(adapter)
    assert (document.doc_id, document.source, document.content) == ("7", "pm", "On cats.")
    assert document.metadata == {"id": "kept"}


@pytest.mark.parametrize(
    ("value", "doc_id"),
    [
        ("7", "7"),
        ("-3", "-3"),
        ("1.5", "1.5"),
        ("0.1234567890123456789", "0.1234567890123456789"),
        ('"x"', "x"),
        ('"7"', "7"),
    ],
)
def test_a_numeric_id_becomes_a_string(value: str, doc_id: str) -> None:
    assert parsed(f'{{"id": {value}}}').doc_id == doc_id


@pytest.mark.parametrize("line", ['{"id": 1}', '{"id": 1, "text": null}'])
def test_missing_content_is_empty(line: str) -> None:
    assert not parsed(line).content


def test_an_emoji_written_as_two_escapes_is_text() -> None:
    assert parsed(r'{"id": 1, "text": "\ud83d\ude00"}').content == "\N{GRINNING FACE}"


def parsed(line: str | bytes) -> Document:
    data = line.encode() if isinstance(line, str) else line
    return JsonLinesAdapter("articles.jsonl").parse(LineRecord(7, data))


BAD_LINES: list[tuple[str, str | bytes, str]] = [
    ("no id", '{"text": "x"}', "'id', the id, is missing"),
    ("null id", '{"id": null}', "not null"),
    ("boolean id", '{"id": true}', "not true"),
    ("list id", '{"id": ["a"]}', "not a list"),
    ("object id", '{"id": {}}', "not an object"),
    ("empty id", '{"id": ""}', "not ''"),
    ("infinite id", '{"id": 1e999}', "holds '1e999', a number beyond all floats"),
    ("content is a number", '{"id": 1, "text": 5}', "'text' must be a string, not 5"),
    ("content is a list", '{"id": 1, "text": ["x"]}', "must be a string, not a list"),
    ("a list", "[1, 2]", "must hold a JSON object, not a list"),
    ("a string", '"' + "x" * 200 + '"', "must hold a JSON object, not 'xxx"),
    ("not JSON", "nonsense", "not valid JSON: Expecting value at position 1"),
    ("cut short", '{"id": 1, "te', "not valid JSON: Unterminated string"),
    ("two objects", '{"id": 1} {"id": 2}', "not valid JSON: Extra data at position 11"),
    ("NaN", '{"id": 1, "x": NaN}', "not valid JSON: NaN is not a JSON value"),
    ("minus infinity", '{"id": 1, "x": -Infinity}', "-Infinity is not a JSON value"),
    (
        "6,000 digits",
        '{"id": ' + "9" * 6000 + "}",
        "holds a number with more than 4,300 digits",
    ),
    (
        "deep",
        '{"id": 1, "x": ' + "[" * 100_000 + "]" * 100_000 + "}",
        "nests values too deeply",
    ),
    ("NUL", b"\0\0\0\0", "not valid JSON"),
    ("NUL in a string", b'{"id": "a\0b"}', "not valid JSON: Invalid control character"),
    ("not UTF-8", b'{"id": "caf\xe9"}', "not valid UTF-8: byte 0xe9 at position 12"),
    ("half a pair in the text", r'{"id": 1, "text": "\ud83d"}', r"surrogate pair (\ud83d)"),
    ("half a pair in a key", r'{"id": 1, "\uDE00": 1}', r"surrogate pair (\ude00)"),
    ("half a pair in the id", r'{"id": "\ud83d"}', r"surrogate pair (\ud83d)"),
]


@pytest.mark.parametrize(
    ("line", "why"), [case[1:] for case in BAD_LINES], ids=[c[0] for c in BAD_LINES]
)
def test_a_bad_line_fails_with_file_line_and_reason(line: str | bytes, why: str) -> None:
    with pytest.raises(BadLineError) as caught:
        parsed(line)
    message = str(caught.value)
    assert message.startswith("articles.jsonl, line 7: ")
    assert why in message
    assert len(message) < 250
    assert (caught.value.path, caught.value.line_number) == ("articles.jsonl", 7)
    assert isinstance(caught.value, IngestError | ValueError)


async def test_blank_lines_are_passed_over_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "gaps.jsonl"
    path.write_bytes(b'\n  \n{"id": 1}\n\t\r\n\n{"id": 2}\n\n')
    assert [record.line_number for record in await lines_of(JsonLinesAdapter(path))] == [3, 6]


async def test_windows_line_ends_and_a_byte_order_mark_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n{"id": 2}\r\n')
    documents = await documents_of(JsonLinesAdapter(path))
    assert [document.raw for document in documents] == ['{"id": 1}', '{"id": 2}']


async def test_the_last_line_needs_no_line_feed(tmp_path: Path) -> None:
    path = tmp_path / "open.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2}')
    assert len(await lines_of(JsonLinesAdapter(path))) == 2


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b"\n\n"])
async def test_an_empty_file_has_no_records(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)
    assert await documents_of(JsonLinesAdapter(path)) == []


async def test_lines_longer_than_a_chunk_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "long.jsonl"
    sizes = [1_000_000, 1, 262_144, 262_143, 262_145, 3]
    path.write_bytes(b"\n".join(b"x" * size for size in sizes))
    assert [len(record.data) for record in await lines_of(JsonLinesAdapter(path))] == sizes


async def test_a_file_can_be_read_by_two_runs(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(b'{"id": 1}\n')
    adapter = JsonLinesAdapter(path)
    assert await lines_of(adapter) == await lines_of(adapter)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
async def test_another_encoding_is_named_and_not_a_failure_a_line(
    tmp_path: Path, encoding: str
) -> None:
    path = tmp_path / "windows.jsonl"
    path.write_bytes('\ufeff{"id": 1}\n{"id": 2}\n'.encode(encoding))
    records, error = await read_until_it_fails(JsonLinesAdapter(path))
    assert records == []
    assert str(error).startswith(f"{path}, line 1: the file is {encoding[:6].upper()}")


async def test_a_missing_file_and_a_directory_are_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.jsonl", tmp_path):
        _, error = await read_until_it_fails(JsonLinesAdapter(path))
        assert isinstance(error, FileNotFoundError | IsADirectoryError | PermissionError)
        assert str(path) in str(error)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
async def test_a_read_error_names_the_file() -> None:
    _, error = await read_until_it_fails(JsonLinesAdapter("/proc/self/mem"))
    assert isinstance(error, OSError)
    assert error.filename == "/proc/self/mem"


@pytest.mark.parametrize(
    "fields",
    [{"id_field": ""}, {"content_field": ""}, {"id_field": "x", "content_field": "x"}],
)
def test_fields_that_cannot_work_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(SetupError, match="two different fields"):
        JsonLinesAdapter("articles.jsonl", **fields)


def test_an_empty_path_is_refused() -> None:
    with pytest.raises(SetupError, match="path is empty"):
        JsonLinesAdapter("")


def test_a_path_that_is_not_utf_8_still_gives_a_source_that_is() -> None:
    assert JsonLinesAdapter(os.fsdecode(b"caf\xe9.jsonl")).source == r"caf\udce9.jsonl"


async def test_the_file_is_closed_when_the_fetch_is_left(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(numbered(10))
    before = open_files()
    async with contextlib.aclosing(JsonLinesAdapter(path).fetch()) as records:
        assert isinstance(await anext(records), Cursor)
        assert await anext(records) == LineRecord(1, path.read_bytes().splitlines()[0])
        assert open_files() == before + 1
    assert open_files() == before


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_both_event_loops(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "articles.jsonl.gz"
    path.write_bytes(gzip.compress(numbered(1000)))
    assert len(anyio.run(lines_of, JsonLinesAdapter(path), backend=backend)) == 1000
