"""What the files adapter makes of a directory: documents, in order, with what fails."""

import contextlib
import os
import socket
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Cursor,
    Document,
    DocumentFailed,
    DocumentStarted,
    IngestError,
    IngestionPipeline,
    SetupError,
)
from trio_ingest.adapters import BadDocumentError, FileRecord, FilesAdapter
from trio_ingest.adapters.files import _reading

MARK = "\ufeff"


def fill(directory: Path, files: dict[str, bytes] | list[str]) -> Path:
    contents = files if isinstance(files, dict) else dict.fromkeys(files, b"text")
    for name, content in contents.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return directory


async def items_of(adapter: FilesAdapter) -> list[Any]:
    async with contextlib.aclosing(adapter.fetch()) as items:
        return [item async for item in items]


async def records_of(adapter: FilesAdapter) -> list[FileRecord]:
    return [item for item in await items_of(adapter) if isinstance(item, FileRecord)]


async def documents_of(adapter: FilesAdapter) -> list[Document]:
    return [adapter.parse(record) for record in await records_of(adapter)]


async def test_a_document_is_path_text_and_what_the_index_needs(tmp_path: Path) -> None:
    fill(tmp_path, {"cats/about.txt": b"On cats.\r\n"})
    os.utime(tmp_path / "cats/about.txt", (0, 86_400.25))
    assert await documents_of(FilesAdapter(tmp_path)) == [
        Document(
            "cats/about.txt",
            str(tmp_path),
            "On cats.\r\n",
            None,
            {
                "path": f"{tmp_path}/cats/about.txt",
                "name": "about.txt",
                "size_bytes": 10,
                "modified": "1970-01-02T00:00:00.250000+00:00",
            },
        )
    ]


async def test_another_source_can_be_named(tmp_path: Path) -> None:
    [document] = await documents_of(FilesAdapter(fill(tmp_path, ["a"]), source="notes"))
    assert document.source == "notes"


@pytest.mark.parametrize("end", ["", "/", "/."])
async def test_a_slash_behind_the_directory_changes_no_id(tmp_path: Path, end: str) -> None:
    [document] = await documents_of(FilesAdapter(f"{fill(tmp_path, ['a/b'])}{end}"))
    assert document.doc_id == "a/b"
    assert Path(document.metadata["path"]) == tmp_path / "a/b"
    assert "//" not in document.metadata["path"]


async def test_files_come_sorted_by_the_parts_of_their_paths(tmp_path: Path) -> None:
    # As strings, "a-b/x" and "a.txt" would come before "a/b".
    names = ["a/b", "a/c/d", "a-b/x", "a.txt", "B", "ä", "z/y/x/w", "z/y.txt", "0/00", "10"]
    records = await records_of(FilesAdapter(fill(tmp_path, names)))
    assert [r.path for r in records] == sorted(names, key=lambda name: name.split("/"))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_both_event_loops(tmp_path: Path, backend: str) -> None:
    adapter = FilesAdapter(fill(tmp_path, [f"{n:03}" for n in range(300)]))
    assert len(anyio.run(records_of, adapter, backend=backend)) == 300
    assert anyio.run(adapter.estimate_total, backend=backend) == 300


async def test_an_empty_directory_has_no_documents(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert await items_of(FilesAdapter(tmp_path)) == []


async def test_an_empty_file_is_an_empty_document(tmp_path: Path) -> None:
    [document] = await documents_of(FilesAdapter(fill(tmp_path, {"empty": b""})))
    assert not document.content
    assert document.metadata["size_bytes"] == 0


async def test_a_directory_can_be_read_by_two_runs(tmp_path: Path) -> None:
    adapter = FilesAdapter(fill(tmp_path, ["a", "b"]))
    assert await items_of(adapter) == await items_of(adapter)


@pytest.mark.parametrize("count", [0, 1, 1999, 2000, 2001])
async def test_the_total_is_the_number_of_files_that_match(tmp_path: Path, count: int) -> None:
    fill(tmp_path, [f"{n}.txt" for n in range(count)])
    fill(tmp_path, ["other.md"])
    assert await FilesAdapter(tmp_path, pattern="*.txt").estimate_total() == count


# -- ids ---------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="needs file names that are bytes")
async def test_a_name_that_is_not_utf_8_is_written_with_escapes(tmp_path: Path) -> None:
    directory = os.fsencode(tmp_path) + b"/d\xff"
    try:
        os.mkdir(directory)  # noqa: PTH102 - a Path takes no bytes
    except OSError:
        pytest.skip("this file system takes no such names")
    (Path(os.fsdecode(directory)) / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    [document] = await documents_of(FilesAdapter(tmp_path))
    assert document.doc_id == r"d\udcff/caf\udce9.txt"
    assert document.metadata["name"] == r"caf\udce9.txt"
    [inner] = await documents_of(FilesAdapter(os.fsdecode(directory)))
    assert inner.source == f"{tmp_path}/d\\udcff"
    inner.metadata["path"].encode()


async def test_completed_ids_pass_over_files_without_decoding_them(tmp_path: Path) -> None:
    fill(tmp_path, {"a": b"\xff", "b": b"text", "c": b"\xff"})
    pipeline = IngestionPipeline(FilesAdapter(tmp_path))
    async with pipeline.stream_events(completed_ids={"a", "c"}) as stream:
        events = [event async for event in stream]
    assert [e.doc_id for e in events if isinstance(e, DocumentStarted)] == ["b"]
    [*_, last] = [e for e in events if isinstance(e, BatchProgress)]
    assert (last.completed, last.failed, last.skipped) == (1, 0, 2)


# -- files that fail -----------------------------------------------------------------------


async def failure_of(adapter: FilesAdapter) -> str:
    [record] = await records_of(adapter)
    with pytest.raises(BadDocumentError) as caught:
        adapter.parse(record)
    assert isinstance(caught.value, IngestError)
    assert caught.value.path == record.path
    message = str(caught.value)
    assert message.startswith(f"{record.path}: ")
    assert message.endswith(".")
    return message


async def test_a_byte_that_is_not_in_the_encoding_is_named_with_its_place(
    tmp_path: Path,
) -> None:
    fill(tmp_path, {"d/menu.txt": b"x" * 1500 + b"caf\xe9 au lait"})
    message = await failure_of(FilesAdapter(tmp_path))
    assert message == (
        "d/menu.txt: the file is not valid utf-8: byte 0xe9 at position 1,504 (invalid "
        "continuation byte). Convert it, or give the encoding that it has."
    )
    [document] = await documents_of(FilesAdapter(tmp_path, encoding="latin-1"))
    assert document.content.endswith("café au lait")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
async def test_the_place_of_a_bad_byte_counts_the_byte_order_mark(
    tmp_path: Path, encoding: str
) -> None:
    fill(tmp_path, {"a": b"\xef\xbb\xbfab\xe9"})
    assert "position 6 " in await failure_of(FilesAdapter(tmp_path, encoding=encoding))


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"],
)
async def test_a_byte_order_mark_is_removed(tmp_path: Path, encoding: str) -> None:
    bare = encoding in {"utf-8-sig", "utf-16", "utf-32"}  # these write the mark themselves
    fill(tmp_path, {"a": ("On cats." if bare else MARK + "On cats.").encode(encoding)})
    [document] = await documents_of(FilesAdapter(tmp_path, encoding=encoding))
    assert document.content == "On cats."


@pytest.mark.parametrize("read_as", ["utf-8", "latin-1", "cp1252"])
@pytest.mark.parametrize("written", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
async def test_a_byte_order_mark_of_another_encoding_is_named(
    tmp_path: Path, written: str, read_as: str
) -> None:
    fill(tmp_path, {"a": (MARK + "text").encode(written)})
    message = await failure_of(FilesAdapter(tmp_path, encoding=read_as))
    name = written[:6].upper()
    assert f"the file is {name}, as its byte order mark says" in message
    assert message.endswith(f"iconv -f {name} -t UTF-8.")


async def test_a_large_file_fails_and_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"just": b"x" * 2000, "more": b"x" * 2001})
    opened = []
    read_up_to = _reading._read_up_to

    def noted(most: int, descriptor: int, expected: int) -> bytes:
        opened.append(expected)
        return read_up_to(most, descriptor, expected)

    monkeypatch.setattr(_reading, "_read_up_to", noted)
    adapter = FilesAdapter(tmp_path, max_record_bytes=2000)
    just, more = await records_of(adapter)
    assert len(adapter.parse(just).content) == 2000
    assert (more.data, more.size_bytes) == (b"", 2001)
    with pytest.raises(
        BadDocumentError,
        match=r"^more: the file is 2,001 bytes .* max_record_bytes is 2,000\.",
    ):
        adapter.parse(more)
    assert opened == [2000]


async def test_a_file_that_says_it_is_smaller_than_it_is_never_passes_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"a": b"x" * 5000})
    status = os.fstat

    def before_it_grew(descriptor: int) -> os.stat_result:
        found = list(status(descriptor))
        found[6] = 100
        return os.stat_result(found)

    monkeypatch.setattr(os, "fstat", before_it_grew)
    [document] = await documents_of(FilesAdapter(tmp_path, max_record_bytes=5000))
    assert (len(document.content), document.metadata["size_bytes"]) == (5000, 5000)
    assert "bytes long" in await failure_of(FilesAdapter(tmp_path, max_record_bytes=4999))


@pytest.mark.parametrize("instead", ["directory", "pipe", "socket"])
async def test_a_file_that_is_none_when_its_turn_comes_is_a_failed_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instead: str
) -> None:
    monkeypatch.setattr(_reading, "BATCH_FILES", 1)
    path = fill(tmp_path, ["a", "b", "c"]) / "b"
    adapter = FilesAdapter(tmp_path)
    ends = []
    async with contextlib.aclosing(adapter.fetch()) as items:
        async for item in items:
            if isinstance(item, FileRecord):
                if item.path == "a":
                    replace(path, instead)
                ends.append(item)
    a, b, c = ends
    assert adapter.parse(a).content == adapter.parse(c).content == "text"
    with pytest.raises(BadDocumentError, match=r"^b: .*\.$") as caught:
        adapter.parse(b)
    reasons = {"directory": "a directory", "pipe": "a named pipe"}
    assert reasons.get(instead, "cannot be read (") in str(caught.value)


def replace(path: Path, instead: str) -> None:
    path.unlink()
    match instead:
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "socket":
            with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(path.parent):
                server.bind(path.name)


async def test_failed_files_do_not_stop_a_run(tmp_path: Path) -> None:
    fill(tmp_path, {"a": b"\xff", "b": b"text", "c": b"x" * 101})
    pipeline = IngestionPipeline(FilesAdapter(tmp_path, max_record_bytes=100))
    async with pipeline.stream_events() as stream:
        failed = [event async for event in stream if isinstance(event, DocumentFailed)]
    assert [(e.doc_id, e.is_retryable) for e in failed] == [("a", False), ("c", False)]


async def test_a_time_outside_the_calendar_is_left_out() -> None:
    record = FileRecord("a", b"", 0, 1e15)
    assert FilesAdapter(".").parse(record).metadata["modified"] is None


# -- what is held ----------------------------------------------------------------------------


async def test_no_file_stays_open_between_records(tmp_path: Path) -> None:
    adapter = FilesAdapter(fill(tmp_path, [f"{n}/{n}" for n in range(200)]))
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208 - iterdir would hold one open itself
    async with contextlib.aclosing(adapter.fetch()) as items:
        async for _ in items:
            assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208 - the same


async def test_a_batch_ends_with_the_file_that_fills_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "BATCH_BYTES", 1000)
    fill(tmp_path, {f"{n}": b"x" * 400 for n in range(7)})
    items = await items_of(FilesAdapter(tmp_path))
    kinds = "".join("c" if isinstance(item, Cursor) else "r" for item in items)
    assert kinds == "crrrcrrrcr"


async def test_a_disk_that_does_not_answer_does_not_hold_whoever_cancels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, asked = threading.Event(), threading.Event()
    read = _reading.BatchReader.read

    def late(reader: _reading.BatchReader) -> _reading.FileBatch:
        asked.set()
        answer.wait()
        return read(reader)

    monkeypatch.setattr(_reading.BatchReader, "read", late)
    pipeline = IngestionPipeline(FilesAdapter(fill(tmp_path, ["a"])))
    try:
        async with pipeline.stream_events() as stream:
            assert isinstance(await anext(stream), AdapterStateChange)
            await trio.to_thread.run_sync(asked.wait)
    finally:
        answer.set()


# -- what is refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"pattern": ""}, "matches no file"),
        ({"pattern": "./"}, "matches no file"),
        ({"pattern": "/etc/*"}, "an absolute path"),
        ({"pattern": "../*"}, r"leads out of the directory with '\.\.'"),
        ({"pattern": "a/../b"}, r"leads out of the directory with '\.\.'"),
        ({"pattern": "docs/"}, r"Write 'docs' with /\*\* behind it"),
        ({"pattern": "a**/b"}, r"\*\* is joined to something else"),
        ({"encoding": "klingon"}, "The encoding 'klingon' is not known"),
        ({"encoding": "base64"}, "The encoding 'base64' is not known"),
        ({"encoding": ""}, "The encoding '' is not known"),
        ({"encoding": "utf\0"}, "is not known"),
        ({"max_record_bytes": 0}, "a whole number of at least 1; got 0"),
        ({"max_record_bytes": True}, "a whole number of at least 1; got True"),
        ({"source": ""}, "source is empty"),
    ],
)
def test_arguments_that_cannot_work_are_refused(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(SetupError, match=why):
        FilesAdapter(".", **arguments)


def test_a_directory_that_is_missing_or_none_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, ["file"])
    with pytest.raises(SetupError, match="directory is empty"):
        FilesAdapter("")
    with pytest.raises(SetupError, match=f"The directory {tmp_path}/missing does not exist"):
        FilesAdapter(tmp_path / "missing")
    with pytest.raises(SetupError, match=f"{tmp_path}/file is not a directory"):
        FilesAdapter(tmp_path / "file")
    with pytest.raises(SetupError, match="cannot be read"):
        FilesAdapter("a\0b")


async def test_a_directory_that_is_gone_when_the_run_begins_ends_it(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    adapter = FilesAdapter(tmp_path / "d")
    (tmp_path / "d").rmdir()
    with pytest.raises(FileNotFoundError, match=r"No such file"):
        await items_of(adapter)
    assert await adapter.estimate_total() is None
