"""One SQLite file, opened, used and closed in one thread, with errors that say what to do."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeVar

from trio_ingest import SetupError
from trio_ingest.delivery import SinkError

from ._paths import absolute_path, checked_path, path_text

Answer = TypeVar("Answer")

# Errors that no later attempt changes: another path or a permission is needed.
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

# SQLite counts milliseconds in 31 bits.
_LONGEST_WAIT_SECONDS: Final = 2_000_000

_WHAT_STAYS: Final = "What was committed before stays, and the job can be resumed."


class SqliteDatabase:
    """A SQLite file in WAL mode, to be opened, used and closed in one thread.

    A ``ThreadResource`` around it gives it that thread.

    Args:
        path: the file; it is made when missing.
        prepare: called by ``open`` with the connection, inside a transaction that it may
            write in; what it raises is raised by ``open``.
        inspect: called before anything is changed, likewise; None for no such look.
        busy_timeout_seconds: the longest wait for another program's lock, up to 2,000,000.

    Raises:
        SetupError: ``busy_timeout_seconds`` is no such number.

    Memory: 16 MiB of pages at most, besides what is read and written.
    """

    __module__ = "trio_ingest.storage"

    def __init__(
        self,
        path: str | os.PathLike[str],
        prepare: Callable[[sqlite3.Connection], object],
        *,
        inspect: Callable[[sqlite3.Connection], object] | None = None,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        kind = type(busy_timeout_seconds)
        if kind not in (int, float) or not 0 <= busy_timeout_seconds <= _LONGEST_WAIT_SECONDS:
            raise SetupError(
                f"busy_timeout_seconds must be a number between 0 and "
                f"{_LONGEST_WAIT_SECONDS:,}; got {busy_timeout_seconds!r:.80}."
            )
        self.path = os.fspath(path)
        # Where that is, once it has been opened: an adapter may change the directory.
        self._full_path = self.path
        self._prepare = prepare
        self._inspect = inspect
        self._identity: tuple[int, int] | None = None
        self._busy_timeout_seconds = busy_timeout_seconds
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, and make what is missing.

        Raises:
            SetupError: the path is empty, a directory, no database, or may not be
                written; or its folder is missing.
            SinkError: another program holds a lock on it, or the disk fails.

        After either, ``close`` has to be called.
        """
        self._full_path = absolute_path(checked_path(self.path))
        if self._file() is not None and not os.access(self._full_path, os.W_OK):
            # A database in WAL mode that may only be read says so at its first change.
            raise SetupError(
                f"{path_text(self.path)} cannot be opened: it may not be written by you. "
                f"Give a file that you may write, or have its owner let you."
            )
        try:
            self._connection = sqlite3.connect(
                # With its folder before it, a name like ``:memory:`` is a name.
                self._full_path,
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
            )
            # Looked at before anything is changed: it may be of another program.
            if self._inspect is not None:
                self._inspect(self._connection)
            self._connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
            # Not left to what this SQLite was built with: the sinks after it in a delivery
            # count on it that what was committed is on the disk.
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

    def close(self) -> None:
        """Close the file; nothing happens when it is not open."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Return what ``work`` returns when called with the connection.

        Args:
            work: reads or writes; a transaction that it begins, it also ends.

        Raises:
            SinkError: SQLite failed: locked, full, damaged, or the file was taken away.
            Exception: what ``work`` raises.
        """
        assert self._connection is not None
        if self._file() != self._identity:
            # SQLite would go on writing into a file that no process can open any more.
            raise SinkError(
                f"{path_text(self.path)} was deleted or replaced while it was in use, so "
                f"what is written would be lost. Leave it in its place, and begin the job "
                f"again if the file is gone."
            )
        try:
            return work(self._connection)
        except sqlite3.Error as error:
            raise self._explained(error, "used") from error

    def _file(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._full_path)  # noqa: PTH116 - as it was given
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _explained(self, error: sqlite3.Error, done: str) -> SetupError | SinkError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        path = path_text(self.path)
        if done == "opened" and code in _MISTAKES_OF_SETUP:
            if code == sqlite3.SQLITE_NOTADB:
                return SetupError(
                    f"{path} cannot be opened: it is a file, but not a SQLite database. Give "
                    f"another path."
                )
            return SetupError(
                f"{path} cannot be opened: {error}. Give a file that you may write, in a "
                f"folder that you may write."
            )
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


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction that may write: committed at the end, rolled back by an exception.

    Args:
        connection: in autocommit mode, as that of a ``SqliteDatabase`` is.

    Raises:
        sqlite3.Error: it cannot begin or be committed; nothing of it is kept.
    """
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
