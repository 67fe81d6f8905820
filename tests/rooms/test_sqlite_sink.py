"""What the SQLite sink stores, refuses and leaves behind."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from trio_ingest import Document, SetupError
from trio_ingest.sinks import Rejection, SinkError, SqliteSink


def document(doc_id: str, content: str = "text", **fields: Any) -> Document:
    return Document(doc_id, "feed", content, **fields)


def rows_of(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            f"SELECT {columns} FROM documents ORDER BY doc_id"
        ).fetchall()
    finally:
        connection.close()


def owner_threads() -> list[str]:
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite ")
    ]


async def test_a_document_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        first = document("a", "On cats.", raw="{}", metadata={"größe": [1, None]})
        assert await sink.write([first, document("b")]) == []
    assert rows_of(path) == [
        ("a", "feed", "On cats.", "{}", '{"größe": [1, null]}'),
        ("b", "feed", "text", None, "{}"),
    ]


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (None, None),
        ("text", "text"),
        (b"\xff\x00", b"\xff\x00"),
        (7, 7),
        (1.5, 1.5),
        ({"a": [1]}, '{"a": [1]}'),
        (("x",), '["x"]'),
        ("nul\0inside", "nul\0inside"),
    ],
)
async def test_raw_is_stored_as_it_is_or_as_json(
    tmp_path: Path, raw: Any, stored: Any
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        assert await sink.write([document("a", raw=raw)]) == []
    assert rows_of(path, "raw") == [(stored,)]


async def test_a_document_takes_the_place_of_an_older_one(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write([document("a", "old"), document("b", "kept")])
        await sink.write([document("a", "new"), document("a", "newest")])
    async with SqliteSink(path) as sink:
        await sink.write([document("c")])
    assert rows_of(path, "doc_id, content") == [("a", "newest"), ("b", "kept"), ("c", "text")]
    assert sorted(rows_of(path, "rowid, doc_id")) == [(1, "a"), (2, "b"), (3, "c")]


BAD_DOCUMENTS: list[tuple[str, Document, str]] = [
    ("half a pair in the id", document("\ud800"), r"half of a surrogate pair (\ud800)"),
    ("half a pair in the content", document("x", "\udc00"), "half of a surrogate pair"),
    ("half a pair in the metadata", document("x", metadata={"a": "\ud800"}), "surrogate pair"),
    ("metadata without a JSON form", document("x", metadata={"a": {1}}), "has no JSON form"),
    ("metadata that is infinite", document("x", metadata={"a": 1e999}), "has no JSON form"),
    ("raw without a JSON form", document("x", raw=object()), "has no JSON form"),
    ("raw beyond 64 bits", document("x", raw=2**64), "too large"),
    ("no content", Document("x", "feed", None), "NOT NULL"),  # type: ignore[arg-type]
    ("content of no type", Document("x", "feed", object()), "not supported"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("bad", "why"),
    [case[1:] for case in BAD_DOCUMENTS],
    ids=[case[0] for case in BAD_DOCUMENTS],
)
async def test_a_bad_document_is_rejected_and_its_batch_is_kept(
    tmp_path: Path, bad: Document, why: str
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        [rejection] = await sink.write([document("a"), bad, document("b")])
    assert rejection == Rejection(bad, rejection.reason)
    assert why in rejection.reason
    assert rows_of(path, "doc_id") == [("a",), ("b",)]


async def test_metadata_nested_too_deeply_is_rejected(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    async with SqliteSink(tmp_path / "documents.db") as sink:
        [rejection] = await sink.write([document("x", metadata={"deep": deep})])
        assert "nests values too deeply" in rejection.reason
    while deep:
        # Taken apart by hand: comparing or freeing it would recurse as well.
        [deep] = deep


async def test_a_value_too_long_for_sqlite_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        # The limit belongs to the connection, which only the sink has.
        connection = sink._connection
        assert connection is not None
        await sink._owner.call(lambda: connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000))  # type: ignore[union-attr]
        [rejection] = await sink.write([document("a"), document("b", "x" * 2000)])
    assert "too big" in rejection.reason
    assert rows_of(path, "doc_id") == [("a",)]


async def test_others_can_read_while_the_sink_is_open(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write([document("a")])
        assert rows_of(path, "doc_id") == [("a",)]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "path is empty"),
        ("folder", "it is a directory"),
        ("missing/documents.db", "missing does not exist"),
        ("x" * 300, "File name too long"),
        ("a\0b", "is none that a file can have"),
        ("text.txt", "not a SQLite database"),
        ("foreign.db", "of another shape: id PRIMARY KEY, body"),
        ("keyless.db", "of another shape: doc_id, source, content, raw, metadata"),
    ],
)
async def test_a_path_that_cannot_work_is_a_setup_error(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("Dear diary, " * 1000)
    made(tmp_path / "foreign.db", "CREATE TABLE documents (id INTEGER PRIMARY KEY, body)")
    made(
        tmp_path / "keyless.db",
        "CREATE TABLE documents (doc_id, source, content, raw, metadata)",
    )
    before = (tmp_path / "foreign.db").read_bytes()
    with pytest.raises(SetupError) as caught:
        async with SqliteSink(tmp_path / name if name else ""):
            pytest.fail("the sink opened")
    assert why in str(caught.value)
    assert owner_threads() == []
    assert (tmp_path / "foreign.db").read_bytes() == before


@pytest.mark.parametrize("name", [":memory:", "file:x.db?mode=memory"])
async def test_a_name_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with SqliteSink(name) as sink:
        await sink.write([document("a")])
        await sink.write([document("a"), document("b"), document("b")])
        assert sink.replaced == 2
    assert len(rows_of(tmp_path / name)) == 2


def made(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.close()


async def test_other_tables_of_the_database_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    made(path, "CREATE TABLE notes (body)")
    async with SqliteSink(path) as sink:
        await sink.write([document("a")])
    connection = sqlite3.connect(path)
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
    ).fetchall()
    connection.close()
    assert {name for (name,) in names} == {"notes", "documents"}


AS_ANOTHER_USER = """
import os, sys, anyio, anyio._backends._trio, encodings.idna, trio
from trio_ingest import SetupError
from trio_ingest.sinks import SqliteSink

async def open_it():
    async with SqliteSink(sys.argv[1]):
        print("opened")

user = os.geteuid()
if user == 0:
    os.seteuid(65534)
try:
    trio.run(open_it)
except SetupError as error:
    print(error)
finally:
    # Whatever the interpreter writes at its end, it may.
    os.seteuid(user)
"""


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="needs Unix permissions")
def test_a_read_only_database_is_a_setup_error() -> None:
    # Not tmp_path, whose parents let nobody else in: root can write anything, so
    # the child becomes another user.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "documents.db")
        made(path, "CREATE TABLE notes (body)")
        path.chmod(0o444)
        command = [sys.executable, "-c", AS_ANOTHER_USER, str(path)]
        root = Path(__file__).parents[2]
        child = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert "cannot be opened: attempt to write a readonly database" in child.stdout


async def test_a_locked_database_fails_the_write_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    other = sqlite3.connect(path, isolation_level=None)
    async with SqliteSink(path, busy_timeout_seconds=0) as sink:
        await sink.write([document("a")])
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SinkError, match="another program has held a lock"):
            await sink.write([document("b")])
        other.execute("ROLLBACK")
        await sink.write([document("c")])
        other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match="cannot be opened: another program"):
        async with SqliteSink(path, busy_timeout_seconds=0):
            pytest.fail("the sink opened")
    other.close()
    assert rows_of(path, "doc_id") == [("a",), ("c",)]


async def test_a_full_database_fails_the_write_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        connection = sink._connection
        assert connection is not None
        assert sink._owner is not None
        await sink._owner.call(lambda: connection.execute("PRAGMA max_page_count = 20"))
        await sink.write([document("a")])
        with pytest.raises(SinkError, match="database or disk is full"):
            await sink.write([document("b", "x" * 200_000)])
    assert rows_of(path, "doc_id") == [("a",)]


async def test_the_connection_is_only_touched_by_its_own_thread(tmp_path: Path) -> None:
    # sqlite3 itself raises when a second thread touches a connection.
    async with SqliteSink(tmp_path / "documents.db") as sink, trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(sink.write, [document(str(number))])
    assert len(rows_of(tmp_path / "documents.db")) == 20


async def test_a_cancelled_write_is_committed_whole_or_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    batch = [document(str(number)) for number in range(5000)]
    async with SqliteSink(path) as sink:
        with trio.CancelScope() as scope:
            scope.cancel()
            await sink.write(batch)
        assert rows_of(path) == []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.write, batch)
            # The write is in its thread once it has run up to its first wait.
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    assert len(rows_of(path)) == 5000
    assert owner_threads() == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError, trio.Cancelled])
async def test_no_thread_and_no_lock_is_left_however_the_block_ends(
    tmp_path: Path, end: type[BaseException]
) -> None:
    path = tmp_path / "documents.db"
    with trio.CancelScope() as scope, pytest.raises(end):
        async with SqliteSink(path) as sink:
            await sink.write([document("a")])
            assert owner_threads() != []
            if end is trio.Cancelled:
                scope.cancel()
                await trio.sleep_forever()
            raise end
    assert owner_threads() == []
    assert os.listdir(tmp_path) == ["documents.db"]  # noqa: PTH208 - the names are all


async def test_a_sink_that_is_not_open_says_how_to_open_it(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "documents.db")
    with pytest.raises(SetupError, match="async with SqliteSink"):
        await sink.write([])
    async with sink:
        with pytest.raises(SetupError, match="in use already"):
            await sink.__aenter__()
        await sink.write([document("a")])


async def test_an_empty_batch_is_no_work(tmp_path: Path) -> None:
    async with SqliteSink(tmp_path / "documents.db") as sink:
        assert await sink.write([]) == []


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_both_event_loops(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "documents.db"

    async def store() -> None:
        async with SqliteSink(path) as sink:
            await sink.write([document("a")])

    anyio.run(store, backend=backend)
    assert rows_of(path, "doc_id") == [("a",)]
