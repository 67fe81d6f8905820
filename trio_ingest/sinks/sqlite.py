"""Documents into a SQLite database, in batches, through one thread."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Final, Self

import anyio

from trio_ingest import Document, SetupError

from ._owner import OwnerThread
from ._rows import (
    CREATE,
    LAST_ROW,
    UPSERT,
    Row,
    check_shape,
    counts_up,
    row_of,
    shortened,
)
from .errors import Rejection, SinkError

# What says that a row is at fault, and not the database.
_FAULT_OF_A_ROW: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    UnicodeEncodeError,
)

# What no later attempt changes: somebody must give another path, or permission.
_MISTAKES_OF_SETUP: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
    }
)

# No wait of ours is without end, but a thread cannot be cut short: past this the
# close goes on until the write under way is over.
_CLOSING_SECONDS: Final = 60.0


class SqliteSink:
    """Puts documents into the table ``documents`` of a SQLite file.

    Args:
        path: the file; it and the table are made when missing.
        busy_timeout_seconds: how long to wait for another program's lock before
            a write fails.

    A document whose ``doc_id`` is there already takes the place of the old one.
    ``raw`` is stored as it is when it is text, bytes, a number or None, and as
    JSON otherwise; ``metadata`` as JSON. The database is in WAL mode, so others
    can read while a run writes.

    Use it with ``async with``, which raises:
        SetupError: the path is empty or a directory, its folder is missing, the
            file is no database, may not be written, or has a table ``documents``
            of another shape.
        SinkError: another program holds a lock on it, or the disk fails.

    However the block is left, a write under way has been committed or rolled
    back, the connection is closed and its thread is gone.

    Memory: O(one batch).
    """

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout_seconds: float = 5.0
    ) -> None:
        self._path = os.fspath(path)
        self._busy_timeout_seconds = busy_timeout_seconds
        self._owner: OwnerThread | None = None
        self._connection: sqlite3.Connection | None = None
        self._tells_replaced = False
        self._replaced = 0

    @property
    def replaced(self) -> int:
        """How many of the documents written took the place of an earlier one.

        Always 0 for a table that somebody else made with other row ids than ours.
        """
        return self._replaced

    async def __aenter__(self) -> Self:
        if self._owner is not None:
            raise SetupError("This sink is in use already; make one sink for each block.")
        self._owner = OwnerThread(f"sqlite {self._path}")
        try:
            await self._owner.call(self._open)
        except BaseException:
            with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
                await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with anyio.move_on_after(_CLOSING_SECONDS, shield=True):
            await self._close()

    async def write(self, documents: Iterable[Document]) -> list[Rejection]:
        """Store a batch in one transaction.

        Returns:
            the documents that SQLite cannot hold, with the reason (half of a
            surrogate pair, a value too long, metadata without a JSON form); all
            others are committed.

        Raises:
            SinkError: the database is locked, full or damaged; none of this
                batch is stored.

        Cancelled here, the batch has been committed whole, or was not begun.
        A thousand documents a call make its cost small beside SQLite's own.
        """
        if self._owner is None:
            raise SetupError("Open the sink first: async with SqliteSink(...) as sink.")
        batch = list(documents)
        return await self._owner.call(lambda: self._write(batch))

    async def _close(self) -> None:
        owner, self._owner = self._owner, None
        assert owner is not None
        await owner.aclose(self._disconnect)

    # Everything below runs in the owner thread.

    def _open(self) -> None:
        if not self._path:
            raise SetupError("path is empty; give the file to write to.")
        try:
            # With a folder before it, a name like ``:memory:`` is a name.
            self._connection = sqlite3.connect(
                os.path.join(os.curdir, self._path),  # noqa: PTH118 - Path drops the ``./``
                timeout=self._busy_timeout_seconds,
                isolation_level=None,
            )
            # Looked at before anything is changed: it may be somebody else's.
            check_shape(self._connection, self._path)
            self._connection.execute("PRAGMA journal_mode = WAL")
            # Immediate, so that a file that cannot be written says so now and
            # not after the first batch.
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.execute(CREATE)
            self._connection.execute("COMMIT")
            self._tells_replaced = counts_up(self._connection)
        except sqlite3.Error as error:
            raise self._explained(error, "opened") from error
        except ValueError as error:
            raise SetupError(
                f"The path {shortened(repr(self._path))} is none that a file can have: "
                f"{error}."
            ) from error

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _write(self, batch: Sequence[Document]) -> list[Rejection]:
        rejections: list[Rejection] = []
        accepted: list[tuple[Document, Row]] = []
        for document in batch:
            try:
                accepted.append((document, row_of(document)))
            except (TypeError, ValueError, RecursionError) as error:
                reason = f"its raw or its metadata has no JSON form: {_reason(error)}"
                rejections.append(Rejection(document, reason))
        try:
            rejections += self._commit(accepted)
        except sqlite3.Error as error:
            raise self._explained(error, "written") from error
        return rejections

    def _commit(self, accepted: list[tuple[Document, Row]]) -> list[Rejection]:
        connection = self._connection
        assert connection is not None
        try:
            connection.execute("BEGIN IMMEDIATE")
            before = self._last_row(connection)
            try:
                connection.executemany(UPSERT, [row for _, row in accepted])
                rejections = []
            except _FAULT_OF_A_ROW:
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                rejections = self._one_by_one(connection, accepted)
            added = self._last_row(connection) - before
            connection.execute("COMMIT")
            if self._tells_replaced:
                self._replaced += len(accepted) - len(rejections) - added
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        return rejections

    def _last_row(self, connection: sqlite3.Connection) -> int:
        # An insert takes the next row id, an update none: so two looks at the last
        # one count the inserts, and cost nothing beside a batch.
        if not self._tells_replaced:
            return 0
        [(last,)] = connection.execute(LAST_ROW)
        return int(last)

    def _one_by_one(
        self, connection: sqlite3.Connection, accepted: list[tuple[Document, Row]]
    ) -> list[Rejection]:
        rejections = []
        for document, row in accepted:
            try:
                connection.execute(UPSERT, row)
            except _FAULT_OF_A_ROW as error:
                rejections.append(Rejection(document, _reason(error)))
        return rejections

    def _explained(self, error: sqlite3.Error, done: str) -> SetupError | SinkError:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        path = shortened(self._path)
        if done == "opened" and code in _MISTAKES_OF_SETUP:
            mistake, remedy = self._mistake(error, code)
            return SetupError(f"{path} cannot be opened: {mistake}. {remedy}.")
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            return SinkError(
                f"{path} cannot be {done}: another program has held a lock on it for "
                f"{self._busy_timeout_seconds:g} seconds. End that program, or try later."
            )
        return SinkError(f"{path} cannot be {done}: {error}. What was committed stays.")

    def _mistake(self, error: sqlite3.Error, code: int) -> tuple[str, str]:
        if os.path.isdir(self._path):  # noqa: PTH112 - Path.is_dir may raise
            return "it is a directory", "Give a file"
        if code == sqlite3.SQLITE_NOTADB:
            return "it is a file, but not a SQLite database", "Give another path"
        folder = os.path.dirname(self._path) or os.curdir  # noqa: PTH120 - as it was given
        try:
            os.stat(folder)  # noqa: PTH116 - the error is what is wanted
            os.stat(self._path)  # noqa: PTH116 - the error is what is wanted
        except FileNotFoundError:
            if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise
                return f"the folder {shortened(folder)} does not exist", "Make it first"
        except OSError as problem:
            return str(problem.strerror), "Give another path"
        return str(error), "Give a file that you may write, in a folder that you may write"


def _reason(error: Exception) -> str:
    match error:
        case UnicodeEncodeError():
            half = ord(error.object[error.start])
            return (
                f"it holds half of a surrogate pair (\\u{half:04x}), which no UTF-8 text can."
            )
        case RecursionError():
            return "it nests values too deeply."
    return f"{error}."
