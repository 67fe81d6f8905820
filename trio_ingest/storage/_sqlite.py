"""One SQLite file, opened, used and closed in one thread, with errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from trio_ingest import SetupError
from trio_ingest.delivery import SinkError

from ._owner_thread import OwnerThread
from ._paths import path_text

Answer = TypeVar("Answer")

# What no later attempt changes: somebody must give another path, or permission.
_MISTAKES_OF_SETUP: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
    }
)

# Rows of documents are longer than the 4 KiB that a page of SQLite has by default, and
# spill over: with these a row costs a third less to write, and the file is smaller. Still
# larger ones make each change to an index write more. Only a new file can have them.
_PAGE_BYTES: Final = 16 * 1024

# SQLite's own 2 MiB hold the index of some ten thousand ids; past that, each insert of an
# id out of order reads a page again. Much more, and it shows as this process's memory.
_CACHE_KIBIBYTES: Final = 16 * 1024

_WHAT_STAYS: Final = "What was committed before stays, and the job can be resumed."


class SqliteDatabase:
    """A SQLite file in WAL mode, behind one thread.

    Args:
        path: the file; it is made when missing.
        prepare: called once with the connection, in the thread, inside a transaction that
            it may write in; what it raises is raised by ``open``.
        inspect: called before anything is changed, likewise.
        closed: called in the thread when the connection has been closed.
        busy_timeout_seconds: how long to wait for another program's lock.

    Memory: 16 MiB of pages at most, besides what is read and written.
    """

    __module__ = "trio_ingest.storage"

    def __init__(
        self,
        path: str | os.PathLike[str],
        prepare: Callable[[sqlite3.Connection], object],
        *,
        inspect: Callable[[sqlite3.Connection], object] | None = None,
        closed: Callable[[], object] | None = None,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        self.path = os.fspath(path)
        self._prepare = prepare
        self._inspect = inspect
        self._closed = closed
        self._identity: tuple[int, int] | None = None
        self._busy_timeout_seconds = busy_timeout_seconds
        self._owner: OwnerThread | None = None
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._owner is not None

    async def open(self) -> None:
        """Open it, and make what is missing.

        Raises:
            SetupError: the path is empty, a directory, no database, or may not be
                written; its folder is missing; or it is open already.
            SinkError: another program holds a lock on it, or the disk fails.

        Cancelled here, it is closed again.
        """
        if self._owner is not None:
            raise SetupError(
                f"{path_text(self.path)} is open already. Make one object for each block."
            )
        self._owner = OwnerThread(f"sqlite {self.path}")
        try:
            await self._owner.call(self._open)
        except BaseException:
            await self.close()  # noqa: ASYNC102 -- it shields itself, with a limit
            raise

    async def close(self) -> None:  # noqa: ASYNC910 -- nothing to close, nothing to wait for
        """Close it: a write under way has been committed or rolled back by then."""
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.aclose(self._disconnect)

    async def run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """What ``work`` returns when called with the connection, in the thread.

        Raises:
            SetupError: it is not open.
            SinkError: SQLite failed: locked, full, damaged, or taken away.

        Cancelled before it began, it does not begin; cancelled later, it is waited for.
        """
        if self._owner is None:
            raise SetupError(
                f"{path_text(self.path)} is not open. Use it inside its `async with` block."
            )
        return await self._owner.call(lambda: self._guarded(work))

    # Everything below runs in the owner thread.

    def _open(self) -> None:
        if not self.path:
            raise SetupError("path is empty; give the file to write to.")
        if self._file() is not None and not os.access(self.path, os.W_OK):
            # A database in WAL mode that may only be read says so at its first change.
            raise SetupError(
                f"{path_text(self.path)} cannot be opened: it may not be written by you. "
                f"Give a file that you may write, or have its owner let you."
            )
        try:
            self._connection = self._connected()
            # Looked at before anything is changed: it may be somebody else's.
            if self._inspect is not None:
                self._inspect(self._connection)
            self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
            # Not left to what this SQLite was built with: whoever comes after it in a
            # delivery counts on it that what was committed is on the disk.
            self._connection.execute("PRAGMA synchronous = FULL")
            [(mode,)] = self._connection.execute("PRAGMA journal_mode = WAL")
            if mode != "wal":
                raise SetupError(
                    f"{path_text(self.path)} cannot be used in WAL mode, which lets others "
                    f"read while a run writes; SQLite stays in the mode {mode!r}. Put it on "
                    f"a local disk: file systems of a network have no shared memory."
                )
            # A transaction, so that a file that cannot be written says so now and
            # not after the first batch.
            with transaction(self._connection):
                self._prepare(self._connection)
            self._identity = self._file()
        except sqlite3.Error as error:
            raise self._explained(error, "opened") from error

    def _connected(self) -> sqlite3.Connection:
        try:
            # With a folder before it, a name like ``:memory:`` is a name.
            return sqlite3.connect(
                os.path.join(os.curdir, self.path),  # noqa: PTH118 - Path drops the ``./``
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
            )
        except ValueError as error:
            raise SetupError(
                f"The path {path_text(repr(self.path))} is none that a file can have: {error}."
            ) from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                connection.close()
        finally:
            if self._closed is not None:
                self._closed()

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116 - as it was given
        except (OSError, ValueError):
            return None
        return found.st_dev, found.st_ino

    def _guarded(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        assert self._connection is not None
        if self._file() != self._identity:
            # SQLite would go on writing into what nobody can open any more.
            raise SinkError(
                f"{path_text(self.path)} was deleted or replaced while it was in use, so "
                f"what is written would be lost. Leave it in its place, and begin the job "
                f"again if the file is gone."
            )
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            raise self._explained(error, "used") from error

    def _explained(self, error: sqlite3.Error, done: str) -> SetupError | SinkError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        path = path_text(self.path)
        if done == "opened" and code in _MISTAKES_OF_SETUP:
            mistake, remedy = self._mistake(error, code)
            return SetupError(f"{path} cannot be opened: {mistake}. {remedy}.")
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return SinkError(
                f"{path} cannot be {done}: another program has held a lock on it for "
                f"{self._busy_timeout_seconds:g} seconds. End that program, or try later. "
                f"{_WHAT_STAYS}"
            )
        if code == sqlite3.SQLITE_FULL:
            return SinkError(
                f"{path} cannot be written: {error}. Make room, then go on. {_WHAT_STAYS}"
            )
        return SinkError(f"{path} cannot be {done}: {error}. {_WHAT_STAYS}")

    def _mistake(self, error: sqlite3.Error, code: int) -> tuple[str, str]:
        if os.path.isdir(self.path):  # noqa: PTH112 - Path.is_dir may raise
            return "it is a directory", "Give a file"
        if code == sqlite3.SQLITE_NOTADB:
            return "it is a file, but not a SQLite database", "Give another path"
        folder = os.path.dirname(self.path) or os.curdir  # noqa: PTH120 - as it was given
        try:
            os.stat(folder)  # noqa: PTH116 - the error is what is wanted
            os.stat(self.path)  # noqa: PTH116 - the error is what is wanted
        except FileNotFoundError:
            if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise
                return f"the folder {path_text(folder)} does not exist", "Make it first"
        except OSError as problem:
            return str(problem.strerror), "Give another path"
        return str(error), "Give a file that you may write, in a folder that you may write"


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction that may write: committed at the end, rolled back by an exception."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # SQLite has rolled back by itself after some failures, a full disk among them.
        if connection.in_transaction:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
