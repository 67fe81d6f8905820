"""Where the JSON Lines adapter puts its cursors, and which ones it refuses."""

import contextlib
import gzip
import os
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.jsonl.jsonl_files import items_of, lines_of, numbered
from trio_ingest import CheckpointError, Cursor
from trio_ingest.adapters import BadFileError, JsonLinesAdapter, LineRecord
from trio_ingest.adapters._bytes import positions, reader

MARK = b"\xef\xbb\xbf"
LINES = st.sampled_from([b"", b" ", b"\r", b"x", b"yy\r", b" zzz", b"\t" * 6, b"long " * 3])


def expected(data: bytes, most: int) -> list[LineRecord]:
    """The records of a file, told without chunks."""
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    records = []
    for number, line in enumerate(lines, 1):
        text = line.removeprefix(MARK) if number == 1 else line
        if len(line) > most and line.strip():
            records.append(LineRecord(number, text, len(line)))
        elif text.strip():
            records.append(LineRecord(number, text))
    return records


@given(
    lines=st.lists(LINES, max_size=12),
    mark=st.sampled_from([b"", MARK]),
    end=st.sampled_from([b"", b"\n"]),
    chunk_bytes=st.integers(1, 40),
    checked_bytes=st.integers(1, 60),
    most=st.integers(1, 20),
)
def test_lines_and_cursors_agree_wherever_chunks_end(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    mark: bytes,
    end: bytes,
    chunk_bytes: int,
    checked_bytes: int,
    most: int,
) -> None:
    data = mark + b"\n".join(lines) + end
    path = tmp_path_factory.getbasetemp() / "random.jsonl"
    path.write_bytes(data)
    adapter = JsonLinesAdapter(path, max_record_bytes=most)
    records = expected(data, most)

    async def check() -> None:
        items = await items_of(adapter)
        assert [item for item in items if isinstance(item, LineRecord)] == records
        come = 0
        for number, item in enumerate(items):
            if isinstance(item, LineRecord):
                come += 1
                continue
            before = data[: item.value["offset"]]
            assert before.endswith(b"\n") or not before
            head = data[: item.value["head_bytes"]]
            assert min(len(data), chunk_bytes, checked_bytes) <= len(head)
            assert len(head) <= checked_bytes
            assert item.value["head_check"] == zlib.crc32(head)
            assert item.value["line"] == before.count(b"\n")
            assert item.value["check"] == zlib.crc32(before[-checked_bytes:])
            assert expected(before, most) == records[:come]
            resumed = await items_of(adapter, cursor=item.value)
            assert [r for r in resumed if isinstance(r, LineRecord)] == records[come:]
            if len(before) % chunk_bytes == 0:  # so both have the same chunks from here on
                assert resumed == items[number + 1 :]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reader, "CHUNK_BYTES", chunk_bytes)
        patch.setattr(positions, "CHECKED_BYTES", checked_bytes)
        trio.run(check)


async def test_a_cursor_comes_about_once_a_chunk(tmp_path: Path) -> None:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(numbered(30_000))
    items = await items_of(JsonLinesAdapter(path))
    offsets = [item.value["offset"] for item in items if isinstance(item, Cursor)]
    chunks, rest = divmod(path.stat().st_size, reader.CHUNK_BYTES)
    assert chunks > 3
    assert rest
    assert len(offsets) == chunks + 2
    for number, offset in enumerate(offsets[1:-1], 1):
        assert 0 <= number * reader.CHUNK_BYTES - offset < 100


def several_chunks(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(numbered(10_000))
    return path


async def first_cursor(path: Path) -> dict[str, Any]:
    items = await items_of(JsonLinesAdapter(path))
    cursors = [item.value for item in items if isinstance(item, Cursor)]
    assert cursors[0]["offset"] == 0
    value: dict[str, Any] = cursors[1]
    return value


async def test_what_lies_before_a_cursor_is_not_read_again(tmp_path: Path) -> None:
    path = several_chunks(tmp_path)
    cursor = await first_cursor(path)
    rest = await lines_of(JsonLinesAdapter(path), cursor=cursor)
    with path.open("r+b") as file:
        file.seek(positions.CHECKED_BYTES)
        file.write(b"\n" * (cursor["offset"] - 2 * positions.CHECKED_BYTES))
    assert await lines_of(JsonLinesAdapter(path), cursor=cursor) == rest
    assert rest[0].line_number == cursor["line"] + 1


async def test_a_mark_is_a_mark_only_at_the_start_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    path.write_bytes(b"x\n" * (reader.CHUNK_BYTES // 2) + MARK + b"y")
    *_, cursor, last = await items_of(JsonLinesAdapter(path))
    assert isinstance(cursor, Cursor)
    assert isinstance(last, LineRecord)
    assert last.data == MARK + b"y"
    assert await lines_of(JsonLinesAdapter(path), cursor=cursor.value) == [last]


async def test_what_follows_a_cursor_is_not_taken_for_gzip(tmp_path: Path) -> None:
    path = tmp_path / "magic.jsonl"
    path.write_bytes(b"x\n" * (reader.CHUNK_BYTES // 2) + b"\x1f\x8b")
    *_, cursor, last = await items_of(JsonLinesAdapter(path))
    assert isinstance(cursor, Cursor)
    assert isinstance(last, LineRecord)
    assert last.data == b"\x1f\x8b"
    assert await lines_of(JsonLinesAdapter(path), cursor=cursor.value) == [last]


async def test_a_file_may_have_grown_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "growing.jsonl"
    path.write_bytes(b'{"id": 1}\n')
    *_, cursor = await items_of(JsonLinesAdapter(path))
    assert isinstance(cursor, Cursor)
    with path.open("ab") as file:
        file.write(b'{"id": 2}\n')
    grown = await lines_of(JsonLinesAdapter(path), cursor=cursor.value)
    assert grown == [LineRecord(2, b'{"id": 2}')]


async def refusal(path: Path | str, cursor: object) -> str:
    """The message that refuses the cursor, less the file's name."""
    with pytest.raises(CheckpointError) as caught:
        await items_of(JsonLinesAdapter(path, source="articles"), cursor=cursor)
    name, _, message = str(caught.value).partition(": ")
    assert name == ("standard input" if path == "-" else str(path))
    assert "resume_from" in message
    assert "--restart" in message
    assert message.endswith(".")
    return message


GOOD = {"offset": 20, "line": 2, "check": 7}
NO_PLACES = [
    7,
    "page 2",
    [20, 2, 7],
    {},
    {"offset": 20, "line": 2},
    GOOD | {"size": 3},
    GOOD | {"offset": "20"},
    GOOD | {"offset": 20.0},
    GOOD | {"offset": 2**63},
    GOOD | {"offset": True, "line": True},
    GOOD | {"line": -1},
    GOOD | {"check": -1},
    GOOD | {"check": 2**32},
    GOOD | {"check": None},
]


@pytest.mark.parametrize("value", NO_PLACES, ids=repr)
async def test_a_cursor_that_is_no_place_is_refused(tmp_path: Path, value: object) -> None:
    message = await refusal(tmp_path / "articles.jsonl", value)
    assert message.startswith(f"the checkpoint's cursor is {value!r}, which is no place")


@pytest.mark.parametrize("back", [1, 17, positions.CHECKED_BYTES])
async def test_a_file_changed_before_the_cursor_is_refused(tmp_path: Path, back: int) -> None:
    path = several_chunks(tmp_path)
    cursor = await first_cursor(path)
    with path.open("r+b") as file:
        file.seek(cursor["offset"] - back)
        file.write(b"!")
    message = await refusal(path, cursor)
    assert f"byte {cursor['offset']:,}, the end of line {cursor['line']:,}" in message
    assert "is not what was read there" in message


async def test_a_file_with_a_line_more_before_the_cursor_is_refused(tmp_path: Path) -> None:
    path = several_chunks(tmp_path)
    cursor = await first_cursor(path)
    path.write_bytes(b'{"id": "new"}\n' + path.read_bytes())
    assert "is not what was read there" in await refusal(path, cursor)


@pytest.mark.parametrize("missing", [1, 5000, None])
async def test_a_file_that_is_too_short_is_refused(
    tmp_path: Path, missing: int | None
) -> None:
    path = several_chunks(tmp_path)
    cursor = await first_cursor(path)
    os.truncate(path, 0 if missing is None else cursor["offset"] - missing)
    message = await refusal(path, cursor)
    assert f"byte {cursor['offset']:,}, the end of line {cursor['line']:,}" in message
    assert "the file is shorter than that now" in message


async def test_a_file_that_has_become_gzip_is_refused(tmp_path: Path) -> None:
    path = several_chunks(tmp_path)
    cursor = await first_cursor(path)
    packed = gzip.compress(numbered(10_000))
    for other in (path, tmp_path / "articles.jsonl.gz"):
        other.write_bytes(packed)
        assert "begins otherwise" in await refusal(other, cursor)


def packed(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl.gz"
    path.write_bytes(gzip.compress(numbered(30_000), 1))
    assert path.stat().st_size > 2 * reader.CHUNK_BYTES
    return path


@contextlib.contextmanager
def as_standard_input(path: Path, *, is_pipe: bool) -> Iterator[None]:
    before = os.dup(0)
    writer: threading.Thread | None = None
    try:
        with contextlib.ExitStack() as stack:
            if is_pipe:
                ours, theirs = os.pipe()
                writer = threading.Thread(target=pour, args=(path.read_bytes(), theirs))
                writer.start()
                os.dup2(ours, 0)
                os.close(ours)
            else:
                os.dup2(stack.enter_context(path.open("rb")).fileno(), 0)
            yield
    finally:
        os.dup2(before, 0)
        os.close(before)
        if writer is not None:
            writer.join()


def pour(data: bytes, descriptor: int) -> None:
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb", buffering=0) as pipe:
        pipe.write(data[:1])  # so that the first bytes come in pieces
        pipe.write(data[1:])


STREAMS = pytest.mark.parametrize("is_pipe", [False, True], ids=["file", "pipe"])
PACKED = pytest.mark.parametrize("is_gzip", [False, True], ids=["plain", "gzip"])


@STREAMS
@PACKED
async def test_standard_input_goes_on_behind_any_cursor(
    tmp_path: Path, is_pipe: bool, is_gzip: bool
) -> None:
    path = packed(tmp_path) if is_gzip else several_chunks(tmp_path)
    adapter = JsonLinesAdapter("-")
    with as_standard_input(path, is_pipe=is_pipe):
        items = await items_of(adapter)
    places = [place for place, item in enumerate(items) if isinstance(item, Cursor)]
    assert len(places) > 2
    for place in (places[0], places[1], places[-1]):
        item = items[place]
        assert isinstance(item, Cursor)
        rest = [item for item in items[place:] if isinstance(item, LineRecord)]
        with as_standard_input(path, is_pipe=is_pipe):
            assert await lines_of(adapter, cursor=item.value) == rest


@STREAMS
@PACKED
@pytest.mark.parametrize("damage", ["start", "before", "short"])
async def test_standard_input_that_is_another_is_refused(
    tmp_path: Path, is_pipe: bool, is_gzip: bool, damage: str
) -> None:
    path = packed(tmp_path) if is_gzip else several_chunks(tmp_path)
    adapter = JsonLinesAdapter("-", source="articles")
    with as_standard_input(path, is_pipe=is_pipe):
        items = await items_of(adapter)
    cursor = [item.value for item in items if isinstance(item, Cursor)][1]
    data = bytearray(path.read_bytes())
    if damage == "short":
        del data[cursor["offset"] - 1 :]
    else:
        data[100 if damage == "start" else cursor["offset"] - 100] ^= 1
    path.write_bytes(data)
    with (
        as_standard_input(path, is_pipe=is_pipe),
        pytest.raises((CheckpointError, BadFileError)),
    ):
        await items_of(adapter, cursor=cursor)


async def test_gzip_goes_on_behind_any_cursor(tmp_path: Path) -> None:
    adapter = JsonLinesAdapter(packed(tmp_path))
    items = await items_of(adapter)
    places = [place for place, item in enumerate(items) if isinstance(item, Cursor)]
    assert len(places) > 2
    for place in places:
        item = items[place]
        assert isinstance(item, Cursor)
        rest = [item for item in items[place:] if isinstance(item, LineRecord)]
        assert await lines_of(adapter, cursor=item.value) == rest


@pytest.mark.parametrize("back", [1, 17, positions.CHECKED_BYTES])
async def test_gzip_changed_before_the_cursor_is_refused(tmp_path: Path, back: int) -> None:
    path = packed(tmp_path)
    cursor = await first_cursor(path)
    with path.open("r+b") as file:
        file.seek(cursor["offset"] - back)
        byte = file.read(1)[0]
        file.seek(cursor["offset"] - back)
        file.write(bytes([byte ^ 1]))
    assert "is not what was read there" in await refusal(path, cursor)


@pytest.mark.parametrize("name", ["articles.jsonl", "articles.jsonl.gz"])
async def test_another_file_is_refused_before_the_first_record_too(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    pack = gzip.compress if name.endswith(".gz") else bytes
    path.write_bytes(pack(numbered(50)))
    items = await items_of(JsonLinesAdapter(path))
    cursor = items[0]
    assert isinstance(cursor, Cursor)
    path.write_bytes(pack(numbered(50).replace(b"1", b"2")))
    assert "begins otherwise" in await refusal(path, cursor.value)


async def test_a_cursor_of_version_0_1_is_taken(tmp_path: Path) -> None:
    path = several_chunks(tmp_path)
    cursor = await first_cursor(path)
    old = {name: cursor[name] for name in ("offset", "line", "check")}
    adapter = JsonLinesAdapter(path)
    rest = await lines_of(adapter, cursor=old)
    assert rest == await lines_of(adapter, cursor=cursor)
    assert rest
