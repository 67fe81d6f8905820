"""What databases, locks and owner threads promise to sinks, also to those of users."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from trio_ingest import SetupError
from trio_ingest.delivery import SinkError
from trio_ingest.sinks import JsonLinesSink, SqliteSink
from trio_ingest.storage import FileLock, OwnerThread, SqliteDatabase, ThreadResource
from trio_ingest.storage import _owner_thread as _owner
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore, SqliteLedger

KINDS = [SqliteSink, SqliteLedger, SqliteCheckpointStore, JsonLinesSink, FileCheckpointStore]

# Only what hangs comes so far.
PATIENCE_SECONDS = 20

HAS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")


# -- locks and forked processes ------------------------------------------------------------

RELEASED = """
import os, sys
from trio_ingest.storage import FileLock

path = sys.argv[1]
lock = FileLock(path)
lock.acquire()
waits, tells = os.pipe()
if os.fork() == 0:
    os.close(tells)
    os.read(waits, 1)  # until the parent has said so
    os._exit(0)
os.close(waits)
lock.release()
again = FileLock(path)
again.acquire()
os.close(tells)
os.wait()
print("taken")
"""

KILLED = """
import os, signal, sys
from trio_ingest.storage import FileLock

lock = FileLock(sys.argv[1])
lock.acquire()
if os.fork() == 0:
    print("alive", flush=True)
    sys.stdin.read()
    print("still alive", flush=True)
    os._exit(0)
signal.pause()
"""

# A child that leaves by the front door: its copy of the lock is collected, or given back.
CHILD_ENDS = """
import os, sys
from trio_ingest import SetupError
from trio_ingest.storage import FileLock

path = sys.argv[1]
lock = FileLock(path)
lock.acquire()
if os.fork() == 0:
    how = sys.argv[2]
    if how == "releases":
        lock.release()
    elif how == "deletes":
        del lock
    if how == "exits at once":
        os._exit(0)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
try:
    FileLock(path).acquire()
except SetupError as error:
    assert f"in use by process {os.getpid()}" in str(error), error
    print("still held")
"""


def told(program: str, *args: object) -> str:
    """What a program says that comes to a good end."""
    command = [sys.executable, "-c", program, *map(str, args)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=PATIENCE_SECONDS
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


@HAS_FORK
def test_lock_that_was_released_while_a_forked_child_lives_can_be_taken_at_once(
    tmp_path: Path,
) -> None:
    assert told(RELEASED, tmp_path / "file") == "taken"


@pytest.mark.skipif(sys.platform == "win32", reason="a lock is of the process there")
def test_lock_that_was_released_is_free_whoever_has_its_descriptor_still_open(
    tmp_path: Path,
) -> None:
    # As a child has it that was forked behind Python's back, by a library.
    lock, other = FileLock(str(tmp_path / "file")), FileLock(str(tmp_path / "file"))
    lock.acquire()
    assert lock._descriptor is not None
    copy = os.dup(lock._descriptor)
    try:
        with pytest.raises(SetupError, match="is in use by process"):
            other.acquire()
        lock.release()
        other.acquire()
        other.release()
    finally:
        os.close(copy)


@HAS_FORK
def test_lock_of_a_killed_holder_can_be_taken_though_its_forked_child_lives(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "file")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "alive\n"
            with pytest.raises(SetupError, match=f"is in use by process {holder.pid}"):
                FileLock(path).acquire()
            holder.kill()
            holder.wait()
            lock = FileLock(path)
            lock.acquire()
            lock.release()
        finally:
            holder.kill()
            holder.stdin.close()
            rest = holder.stdout.read()
    # So it was alive all the time.
    assert rest == "still alive\n"


@HAS_FORK
@pytest.mark.parametrize("how", ["releases", "deletes", "exits at once", "falls off its end"])
def test_whatever_a_forked_child_does_the_lock_stays_with_its_parent(
    tmp_path: Path, how: str
) -> None:
    assert told(CHILD_ENDS, tmp_path / "file", how) == "still held"


# -- how a database is opened --------------------------------------------------------------


class Lax(sqlite3.Connection):
    """As a SQLite gives it that was built with PRAGMA synchronous = NORMAL, or OFF."""

    level = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        super().execute(f"PRAGMA synchronous = {self.level}")


class Off(Lax):
    level = 0


class WithoutWal(sqlite3.Connection):
    """As on a file system that has no shared memory."""

    closed = False

    def execute(self, sql: str, *args: Any) -> Any:
        if "journal_mode" in sql:
            return iter([("delete",)])
        return super().execute(sql, *args)

    def close(self) -> None:
        type(self).closed = True
        super().close()


@pytest.fixture
def connect_as(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    connect = sqlite3.connect

    def use(factory: Any) -> None:
        monkeypatch.setattr(
            sqlite3, "connect", lambda *args, **more: connect(*args, factory=factory, **more)
        )

    return use


class Opened(ThreadResource):
    """A database in its thread, and nothing else."""

    def __init__(self, path: Path) -> None:
        self._database = SqliteDatabase(path, lambda _: None)
        super().__init__(f"test:{path}", self._database)

    async def run(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        return await self._in_thread(lambda: self._database.run(work))


def pragmas(connection: sqlite3.Connection) -> list[Any]:
    names = ("synchronous", "journal_mode")
    return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]


@pytest.mark.parametrize("factory", [sqlite3.Connection, Lax, Off])
async def test_open_database_is_in_wal_mode_and_waits_for_the_disk_at_each_commit(
    tmp_path: Path, connect_as: Callable[[Any], None], factory: Any
) -> None:
    connect_as(factory)
    async with Opened(tmp_path / "a.db") as database:
        assert await database.run(pragmas) == [2, "wal"]


@pytest.mark.parametrize("kind", [SqliteSink, SqliteLedger, SqliteCheckpointStore])
async def test_database_that_cannot_be_in_wal_mode_is_refused_and_closed_again(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    connect_as: Callable[[Any], None],
    kind: Any,
) -> None:
    before, path = threading.active_count(), tmp_path / "a.db"
    monkeypatch.setattr(WithoutWal, "closed", False)
    connect_as(WithoutWal)
    sink = kind(path)
    with pytest.raises(SetupError, match=r"WAL mode.*in the mode 'delete'.*a local disk"):
        async with sink:
            raise AssertionError
    assert WithoutWal.closed
    assert not [thread for thread in threading.enumerate() if str(path) in thread.name]
    assert threading.active_count() <= before + 1  # a worker of trio's may be kept
    monkeypatch.undo()
    async with kind(path) as sink:
        assert await sink.load() is None


async def test_database_that_was_replaced_is_neither_read_nor_written(tmp_path: Path) -> None:
    path, asked = tmp_path / "a.db", list[Any]()
    async with Opened(path) as database:
        assert await database.run(lambda _: "fine") == "fine"
        path.rename(tmp_path / "b.db")
        for _ in range(2):
            with pytest.raises(SinkError, match=r"a\.db was deleted or replaced while"):
                await database.run(asked.append)
            path.write_bytes(b"")
        # Brought back, it is what it was.
        (tmp_path / "b.db").replace(path)
        assert await database.run(lambda _: "fine") == "fine"
    assert asked == []


# -- owner threads -------------------------------------------------------------------------


@asynccontextmanager
async def no_thread_left() -> AsyncIterator[None]:
    """All of the event loop's threads are in calls that nobody waits for any more."""
    limiter = trio.to_thread.current_default_thread_limiter()
    release, ended = threading.Event(), threading.Semaphore(0)
    count = int(limiter.available_tokens)

    def hang() -> None:
        release.wait()
        ended.release()

    async def abandon() -> None:
        await trio.to_thread.run_sync(hang, abandon_on_cancel=True)

    try:
        async with trio.open_nursery() as nursery:
            for _ in range(count):
                nursery.start_soon(abandon)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert limiter.available_tokens == 0
        yield
    finally:
        release.set()
        for _ in range(count):
            ended.acquire()


@pytest.fixture
def short_closing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What hangs is left to itself soon; that is a warning, and so the test's failure."""
    monkeypatch.setattr(_owner, "CLOSING_SECONDS", PATIENCE_SECONDS / 4)
    return iter([None])


async def test_owner_thread_works_and_closes_though_the_loop_has_no_thread_left(
    short_closing: None,
) -> None:
    owner, calls = OwnerThread("owner"), []
    async with no_thread_left():
        with trio.fail_after(PATIENCE_SECONDS / 4):
            assert await owner.call(threading.get_ident) != threading.get_ident()
        await owner.aclose(lambda: calls.append("last"))
    assert calls == ["last"]


@pytest.mark.parametrize("kind", KINDS)
async def test_sinks_and_stores_open_and_close_though_the_loop_has_no_thread_left(
    tmp_path: Path, short_closing: None, kind: Any
) -> None:
    async with no_thread_left():
        with trio.fail_after(PATIENCE_SECONDS / 4):
            async with kind(tmp_path / "file") as sink:
                assert await sink.load() is None


async def test_closing_gives_up_on_a_call_that_hangs_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(_owner, "CLOSING_SECONDS", 7.0)
    owner = OwnerThread("the owner of a.db")
    hangs, release, closed = threading.Event(), threading.Event(), threading.Event()
    events: list[str] = []

    def hang() -> None:
        hangs.set()
        release.wait()
        events.append("came back")

    def last() -> None:
        events.append("last")
        closed.set()

    async def close() -> None:
        with pytest.warns(RuntimeWarning, match="'the owner of a.db' has not come back in 7"):
            await owner.aclose(last)
        events.append("given up")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owner.call, hang)
        await trio.to_thread.run_sync(hangs.wait)
        try:
            nursery.start_soon(close)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(6.5)
            await trio.testing.wait_all_tasks_blocked()
            assert events == []
            mock_clock.jump(1)
            await trio.testing.wait_all_tasks_blocked()
            assert events == ["given up"]
        finally:
            release.set()
    # What it had begun goes on without anybody, and closes then.
    assert await trio.to_thread.run_sync(lambda: closed.wait(PATIENCE_SECONDS))
    assert events == ["given up", "came back", "last"]


async def test_closing_waits_for_a_call_under_way_though_it_is_cancelled() -> None:
    owner, events = OwnerThread("owner"), []
    hangs, release = threading.Event(), threading.Event()

    def work() -> None:
        hangs.set()
        release.wait()
        events.append("done")

    async def close() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await owner.aclose(lambda: events.append("last"))
            events.append("closed")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(owner.call, work)
        await trio.to_thread.run_sync(hangs.wait)
        nursery.start_soon(close)
        await trio.testing.wait_all_tasks_blocked()
        assert events == []
        release.set()
    assert events == ["done", "last", "closed"]
