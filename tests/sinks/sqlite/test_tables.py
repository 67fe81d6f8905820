"""Which paths and tables the SQLite sink accepts; what it refuses it leaves as it was."""

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document
from trio_ingest import SetupError
from trio_ingest.sinks import SqliteSink

OLD = """CREATE TABLE documents (
    doc_id TEXT NOT NULL PRIMARY KEY, source TEXT NOT NULL, content TEXT NOT NULL,
    raw, metadata TEXT NOT NULL
)"""
FULL_TEXT = """CREATE VIRTUAL TABLE documents_full_text
USING fts5(content, doc_id, content='documents', content_rowid='row_id')"""
KEYLESS = "CREATE TABLE documents (doc_id, source, content, raw, metadata)"


def made(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def asked(path: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "path is empty"),
        ("folder", "it is a directory"),
        ("missing/documents.db", "missing does not exist"),
        ("x" * 300, "File name too long"),
        ("a\0b", "is none that a file can have"),
        ("text.txt", "not a SQLite database"),
    ],
)
async def test_a_path_that_cannot_work_is_a_setup_error(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("Dear diary, " * 1000)
    with pytest.raises(SetupError) as caught:
        async with SqliteSink(tmp_path / name if name else ""):
            pytest.fail("the sink opened")
    assert why in str(caught.value)
    assert not [t for t in threading.enumerate() if t.name.startswith("sqlite:")]
    assert (tmp_path / "text.txt").read_text() == "Dear diary, " * 1000


REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    (
        "somebody else's",
        "CREATE TABLE documents (id INTEGER PRIMARY KEY, body)",
        {},
        "of another shape: id PRIMARY KEY, body. It must have the columns doc_id, source,",
    ),
    (
        "somebody else's, with rows that would never fit",
        KEYLESS.replace("doc_id", "doc_id PRIMARY KEY").replace(")", ", owner NOT NULL)"),
        {},
        "of another shape",
    ),
    (
        "a key that must be given",
        KEYLESS.replace("doc_id", "id TEXT PRIMARY KEY, doc_id UNIQUE") + " WITHOUT ROWID",
        {},
        "of another shape: id PRIMARY KEY, doc_id, source, content",
    ),
    ("a view", "CREATE VIEW documents AS SELECT 1 AS doc_id", {}, "a view or a virtual table"),
    (
        "a virtual table",
        "CREATE VIRTUAL TABLE documents USING fts5(doc_id, source, content, raw, metadata)",
        {},
        "a view or a virtual table",
    ),
    ("no unique key", KEYLESS, {}, "doc_id is no unique key"),
    ("no unique key to keep by", KEYLESS, {"duplicates": "keep"}, "doc_id is no unique key"),
    (
        "a key of two columns",
        KEYLESS.replace(")", ", UNIQUE (doc_id, source))"),
        {"duplicates": "fail"},
        "CREATE UNIQUE INDEX documents_doc_id ON documents (doc_id)",
    ),
    (
        "a key for some",
        KEYLESS + "; CREATE UNIQUE INDEX i ON documents (doc_id) WHERE source = 'feed'",
        {},
        "doc_id is no unique key",
    ),
    ("a unique key", OLD, {"duplicates": "allow"}, "it cannot hold duplicates"),
    (
        "a unique key for some",
        KEYLESS + "; CREATE UNIQUE INDEX i ON documents (doc_id) WHERE source = 'feed'",
        {"duplicates": "allow"},
        "it cannot hold duplicates",
    ),
    ("no row id", OLD, {"full_text": True}, "without a column row_id INTEGER PRIMARY KEY"),
    (
        "a row id that is none",
        OLD.replace("doc_id TEXT", "row_id INT UNIQUE, doc_id TEXT"),
        {"full_text": True},
        "without a column row_id INTEGER PRIMARY KEY",
    ),
    (
        "a row id of another kind",
        KEYLESS.replace("doc_id", "row_id INTEGER PRIMARY KEY, doc_id UNIQUE")
        + " WITHOUT ROWID",
        {"full_text": True},
        "of another shape",
    ),
    (
        "another table with the name of the index",
        "CREATE TABLE documents_full_text (content)",
        {"full_text": True},
        "has a table 'documents_full_text' that is no full-text index of ours",
    ),
    (
        "another index",
        FULL_TEXT,
        {"full_text": True},
        "that is no full-text index of ours",
    ),
    (
        "a table of another release",
        "CREATE TABLE trio_ingest_checkpoint (job PRIMARY KEY, state)",
        {},
        "has a table 'trio_ingest_checkpoint' of another shape: job, state",
    ),
    (
        "dead letters of another release",
        "CREATE TABLE trio_ingest_dead_letters (job, error)",
        {},
        "has a table 'trio_ingest_dead_letters' of another release of trio_ingest",
    ),
]


@pytest.mark.parametrize(
    ("script", "arguments", "why"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
async def test_a_table_that_does_not_fit_is_refused_and_left_as_it_was(
    tmp_path: Path, script: str, arguments: dict[str, Any], why: str
) -> None:
    path = tmp_path / "foreign.db"
    made(path, script)
    before = path.read_bytes()
    with pytest.raises(SetupError) as caught:
        async with SqliteSink(path, **arguments):
            pytest.fail("the sink opened")
    assert why in str(caught.value)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["foreign.db"]  # noqa: PTH208 - the names are all


ROW_ID = "row_id INTEGER PRIMARY KEY, "
ACCEPTED: list[tuple[str, str, dict[str, Any]]] = [
    ("that of an older release", OLD, {}),
    (
        "columns in another order",
        "CREATE TABLE Documents (raw, METADATA, content, source, doc_id UNIQUE)",
        {},
    ),
    ("other columns", OLD.replace("raw,", "raw, note, owner TEXT NOT NULL DEFAULT 'x',"), {}),
    ("a generated column", OLD.replace("raw,", "raw, size AS (length(content)),"), {}),
    (
        "a row id that is never NULL",
        KEYLESS.replace("doc_id", "row_id INTEGER NOT NULL PRIMARY KEY, doc_id UNIQUE"),
        {"full_text": True},
    ),
    (
        "row ids that never come again",
        KEYLESS.replace("doc_id", "row_id INTEGER PRIMARY KEY AUTOINCREMENT, doc_id UNIQUE"),
        {},
    ),
    (
        "a number of its own",
        KEYLESS.replace("doc_id", "id INTEGER PRIMARY KEY, doc_id UNIQUE"),
        {},
    ),
    ("no row ids", OLD + " WITHOUT ROWID", {}),
    ("a unique index", KEYLESS + "; CREATE UNIQUE INDEX i ON documents (doc_id)", {}),
    ("a key that ignores case", OLD.replace("doc_id TEXT", "doc_id TEXT COLLATE NOCASE"), {}),
    ("no key", KEYLESS, {"duplicates": "allow"}),
    (
        "a key of two",
        KEYLESS.replace(")", ", UNIQUE (doc_id, content))"),
        {"duplicates": "allow"},
    ),
    (
        "a strict one",
        KEYLESS.replace(",", " ANY,")
        .replace("doc_id ANY", "doc_id TEXT PRIMARY KEY")
        .replace("metadata)", "metadata TEXT) STRICT"),
        {},
    ),
]


@pytest.mark.parametrize(
    ("script", "arguments"), [c[1:] for c in ACCEPTED], ids=[c[0] for c in ACCEPTED]
)
async def test_a_table_that_fits_is_used_as_it_is(
    tmp_path: Path, script: str, arguments: dict[str, Any]
) -> None:
    path = tmp_path / "theirs.db"
    made(path, script)
    before = asked(path, "SELECT sql FROM sqlite_master WHERE name = 'documents'")
    async with SqliteSink(path, **arguments) as sink:
        assert await sink.write(batch_of([document("a", "old")])) == []
    async with SqliteSink(path, job="second", **arguments) as sink:
        batch = batch_of([document("a", "new"), document("b"), document("a", "newest")])
        assert await sink.write(batch) == []
        assert sink.replaced == (0 if arguments.get("duplicates") == "allow" else 2)
    found = asked(path, "SELECT doc_id, content FROM documents ORDER BY doc_id, content")
    if arguments.get("duplicates") != "allow":
        assert found == [("a", "newest"), ("b", "text")]
    else:
        assert found == [("a", "new"), ("a", "newest"), ("a", "old"), ("b", "text")]
    assert asked(path, "SELECT sql FROM sqlite_master WHERE name = 'documents'") == before


async def test_other_tables_of_the_database_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    made(path, "CREATE TABLE notes (body)")
    async with SqliteSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    names = {name for (name,) in asked(path, "SELECT name FROM sqlite_master")}
    ours = {"documents", "trio_ingest_checkpoint", "trio_ingest_dead_letters"}
    assert {name for name in names if not name.startswith("sqlite_")} == {"notes", *ours}


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
@pytest.mark.parametrize(
    ("script", "what", "why"),
    [
        ("CREATE TABLE notes (body)", "file", "attempt to write a readonly database"),
        ("PRAGMA journal_mode = WAL; CREATE TABLE notes (body)", "file", "readonly database"),
        (
            "PRAGMA journal_mode = WAL; CREATE TABLE notes (body)",
            "folder",
            "readonly database",
        ),
        (None, "folder", "unable to open database file"),
    ],
)
def test_what_may_not_be_written_is_a_setup_error(
    script: str | None, what: str, why: str
) -> None:
    # Not tmp_path, whose parents let nobody else in: root can write anything, so
    # the child becomes another user.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "documents.db")
        if script is not None:
            made(path, script)
            path.chmod(0o444 if what == "file" else 0o666)
        Path(folder).chmod(0o555 if what == "folder" else 0o777)
        command = [sys.executable, "-c", AS_ANOTHER_USER, str(path)]
        root = Path(__file__).parents[2]
        child = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        Path(folder).chmod(0o777)
    assert "cannot be opened" in child.stdout
    assert why in child.stdout
    assert "that you may write" in child.stdout
