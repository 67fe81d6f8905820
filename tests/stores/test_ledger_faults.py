"""A ledger that is locked, full, foreign or in use loses nothing that was committed."""

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.sinks.batches import batch_of, document
from trio_ingest import CheckpointError, SetupError
from trio_ingest.delivery import SinkError
from trio_ingest.stores import SqliteLedger

ROOT = Path(__file__).parents[2]


def made(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def completed_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT doc_id FROM ledger ORDER BY doc_id")
        return [doc_id for (doc_id,) in rows]


def contents_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def owner_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("ledger:")]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "path is empty"),
        ("folder", "it is a directory"),
        ("missing/ledger.db", "missing does not exist"),
        ("x" * 300, "File name too long"),
        ("a\0b", "is none that a file can have"),
        ("text.txt", "not a SQLite database"),
        ("foreign.db", "a table 'ledger' of another shape: account, balance. It must be"),
        ("keyless.db", "a table 'ledger' of another shape: doc_id, source, state"),
        ("checkpoint.db", "a table 'trio_ingest_checkpoint' of another shape: job, number"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_is_changed(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text.txt").write_text("Dear diary, " * 1000)
    made(tmp_path / "foreign.db", "CREATE TABLE ledger (account, balance)")
    made(
        tmp_path / "keyless.db",
        "CREATE TABLE ledger (doc_id, source, state, attempts, error_type, error, "
        "duration_seconds, updated_at)",
    )
    made(tmp_path / "checkpoint.db", "CREATE TABLE trio_ingest_checkpoint (job, number)")
    before = contents_of(tmp_path)
    with pytest.raises(SetupError) as caught:
        async with SqliteLedger(tmp_path / name if name else ""):
            pytest.fail("the ledger opened")
    assert why in str(caught.value)
    assert owner_threads() == []
    assert contents_of(tmp_path) == before


async def test_other_tables_of_the_database_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    made(path, "CREATE TABLE notes (body)")
    async with SqliteLedger(path) as ledger:
        await ledger.record("a", "completed")
    with closing(sqlite3.connect(path)) as connection:
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        assert {name for (name,) in names} == {"notes", "ledger", "trio_ingest_checkpoint"}


async def test_a_locked_database_fails_the_write_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path, busy_timeout_seconds=0) as ledger:
        await ledger.write(batch_of([document("a")]))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for write in (
                ledger.write(batch_of([document("b")])),
                ledger.record("b", "completed"),
                ledger.reopen("a"),
                ledger.forget(),
                ledger.clear(),
            ):
                with pytest.raises(SinkError, match="another program has held a lock"):
                    await write
            other.execute("ROLLBACK")
        assert "a" in ledger
        assert "b" not in ledger
        await ledger.write(batch_of([document("c")]))
    assert completed_in(path) == ["a", "c"]


async def test_a_full_database_fails_the_write_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        await ledger.write(batch_of([document("a")]))
        before = await ledger.load()
        await ledger._run(lambda c: c.execute("PRAGMA max_page_count = 20"))
        with pytest.raises(SinkError, match="database or disk is full"):
            await ledger.write(batch_of(document(f"{n}{'x' * 500}") for n in range(1000)))
        assert await ledger.load() == before
        await ledger.write(batch_of([document("b")]))
    assert completed_in(path) == ["a", "b"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "it is damaged (JSONDecodeError)"),
        ("[" * 100_000, "it is damaged (RecursionError)"),
        ('{"version": 99}', "has version 99"),
        ('{"version": 1}', "is damaged (KeyError"),
        ("[]", "is damaged (TypeError"),
    ],
)
async def test_a_damaged_checkpoint_says_where_it_is_and_can_be_dropped(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        await ledger.write(batch_of([document("a")]))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE trio_ingest_checkpoint SET delivered = ?", (text,))
    async with SqliteLedger(path) as ledger:
        with pytest.raises(CheckpointError) as caught:
            await ledger.load()
        assert why in str(caught.value)
        assert "ledger.db" in str(caught.value)
        assert "await sink.forget()" in str(caught.value)
        await ledger.forget()
        assert await ledger.load() is None
        assert "a" in ledger


async def test_a_second_run_is_refused_and_readers_are_not(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        with pytest.raises(SetupError, match=f"in use by process {os.getpid()}"):
            async with SqliteLedger(path):
                pytest.fail("the second one opened")
        with pytest.raises(SetupError, match="open already"):
            await ledger.__aenter__()
        await ledger.write(batch_of([document("a")]))
        assert completed_in(path) == ["a"]
    async with SqliteLedger(path) as ledger:
        assert "a" in ledger


HOLD = """
import os, signal, sys, trio
from trio_ingest.stores import SqliteLedger

async def hold():
    async with SqliteLedger(sys.argv[1]) as ledger:
        await ledger.record("a", "completed")
        print("held", flush=True)
        sys.stdin.read()
        os.kill(os.getpid(), signal.SIGKILL)

trio.run(hold)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_holder_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"

    async def open_it() -> None:
        async with SqliteLedger(path) as ledger:
            assert "a" in ledger

    command = [sys.executable, "-c", HOLD, str(path)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        assert child.stdout.readline() == b"held\n"
        with pytest.raises(SetupError, match=f"in use by process {child.pid}\\."):
            trio.run(open_it)
        child.stdin.close()
        assert child.wait() == -signal.SIGKILL
        trio.run(open_it)


AS_ANOTHER_USER = """
import os, sys, anyio, anyio._backends._trio, encodings.idna, trio
from trio_ingest import SetupError
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore, SqliteLedger

async def open_it():
    async with eval(sys.argv[2])(sys.argv[1]):
        print("IT IS OPEN")

os.seteuid(65534)
try:
    trio.run(open_it)
except SetupError as error:
    print(error)
finally:
    # Whatever the interpreter writes at its end, it may.
    os.seteuid(0)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="needs root, to become a user who may not write",
)
@pytest.mark.parametrize("lock_is_there", [True, False])
@pytest.mark.parametrize(
    "kind", ["SqliteLedger", "SqliteCheckpointStore", "FileCheckpointStore"]
)
def test_what_may_only_be_read_is_a_setup_error(kind: str, lock_is_there: bool) -> None:
    # Not tmp_path, whose parents let nobody else in.
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder, "kept")
        if kind != "FileCheckpointStore":
            made(path, "CREATE TABLE notes (body)")
            path.chmod(0o444)
        if lock_is_there:
            Path(f"{path}.lock").touch()
            Path(f"{path}.lock").chmod(0o666)
        command = [sys.executable, "-c", AS_ANOTHER_USER, str(path), kind]
        child = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "IT IS OPEN" not in child.stdout
    assert "may write" in child.stdout


async def test_a_cancelled_write_is_committed_whole_or_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    batch = batch_of(document(f"{number:05}") for number in range(5000))
    async with SqliteLedger(path) as ledger:
        with trio.CancelScope() as scope:
            scope.cancel()
            await ledger.write(batch)
        assert await ledger.load() is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger.write, batch)
            # The write is in its thread once it has run up to its first wait.
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        # And the ledger knows that it was: the next one goes on from there.
        await ledger.write(batch_of([document("z")]))
    assert len(completed_in(path)) == 5001
    assert owner_threads() == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError, trio.Cancelled])
async def test_no_thread_and_no_log_is_left_however_the_block_ends(
    tmp_path: Path, end: type[BaseException]
) -> None:
    path = tmp_path / "ledger.db"
    with trio.CancelScope() as scope, pytest.raises(end):
        async with SqliteLedger(path) as ledger:
            await ledger.write(batch_of([document("a")]))
            assert "a" in ledger
            if end is trio.Cancelled:
                scope.cancel()
                await trio.sleep_forever()
            raise end
    assert owner_threads() == []
    assert sorted(contents_of(tmp_path)) == ["ledger.db", "ledger.db.ledger.lock"]
    async with SqliteLedger(path) as ledger:
        assert "a" in ledger
