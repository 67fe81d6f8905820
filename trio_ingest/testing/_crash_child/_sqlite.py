"""Steps for SQLite: each statement, each commit, and rows inside of a statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ._replacement import Replacement

if TYPE_CHECKING:
    from ._steps import StepCounter

# In a statement for many rows: a step for each row would be the same one again.
_ROWS_BETWEEN: Final = 10

# The index of ``factory`` among the arguments of ``connect``.
_FACTORY: Final = 5

_FULL, _NORMAL = 2, 1
# The originals, before the replacements below take their names.
_Cursor: Any = sqlite3.Cursor
_Connection: Any = sqlite3.Connection


def watch_sqlite(counter: StepCounter) -> None:
    """Report the steps of SQLite from now on."""
    cursors = _cursor_class(counter)
    connections = _connection_class(counter, cursors)
    connect: Any = sqlite3.connect

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY:
            kwargs.setdefault("factory", connections)
        return connect(*args, **kwargs)

    names: Any
    for names in (sqlite3, sqlite3.dbapi2):
        # A program derives classes of its own from these.
        names.Cursor, names.Connection = cursors, connections
        names.connect = Replacement(connect, "sqlite3", call)


def _cursor_class(counter: StepCounter) -> Any:
    class Cursor(_Cursor):  # type: ignore[misc] # as it is called here
        def execute(self, sql: str, *args: Any) -> Any:
            with _step(counter, self.connection, sql):
                return super().execute(sql, *args)

        def executemany(self, sql: str, rows: Any, /) -> Any:
            with _step(counter, self.connection, sql):
                return super().executemany(sql, _counted_rows(counter, rows))

        def executescript(self, script: str, /) -> Any:
            with _step(counter, self.connection, script):
                return super().executescript(script)

    return Cursor


def _connection_class(counter: StepCounter, cursors: Any) -> Any:
    class Connection(_Connection):  # type: ignore[misc] # the same
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # Now: an authorizer of the program may refuse the pragma later.
            self.trio_ingest_syncs = True
            _read_syncs(self)

        def cursor(self, *args: Any, **kwargs: Any) -> Any:
            if args or kwargs:
                return super().cursor(*args, **kwargs)
            return super().cursor(cursors)

        def execute(self, sql: str, *args: Any) -> Any:
            return Connection.cursor(self).execute(sql, *args)

        def executemany(self, sql: str, rows: Any, /) -> Any:
            return Connection.cursor(self).executemany(sql, rows)

        def executescript(self, script: str, /) -> Any:
            return Connection.cursor(self).executescript(script)

        def commit(self) -> None:
            with _step(counter, self, "COMMIT"):
                super().commit()

        def rollback(self) -> None:
            with _step(counter, self, "ROLLBACK"):
                super().rollback()

        def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> Any:  # noqa: PYI036 - passed on
            with _step(counter, self, "COMMIT" if kind is None else "ROLLBACK"):
                return super().__exit__(kind, *rest)

    return Connection


@contextmanager
def _step(counter: StepCounter, connection: Any, sql: Any) -> Iterator[None]:
    words = " ".join(sql.split()) if isinstance(sql, str) else repr(sql)
    was_inside, changes = connection.in_transaction, connection.total_changes
    with counter.around(words if len(words) <= 40 else f"{words[:39]}…"):
        yield
        first = words[:8].upper()
        if first.startswith("PRAGMA"):
            _read_syncs(connection)
        elif (
            not connection.in_transaction
            and first != "ROLLBACK"
            and (was_inside or connection.total_changes != changes)
            and connection.trio_ingest_syncs
        ):
            counter.synced()


def _read_syncs(connection: Any) -> None:
    """Note on a connection whether its commits wait for the disk.

    See https://sqlite.org/pragma.html#pragma_synchronous.
    """
    with suppress(sqlite3.Error):
        cursor = _Cursor(connection)
        cursor.row_factory = None
        [synchronous] = cursor.execute("PRAGMA synchronous").fetchone()
        [mode] = cursor.execute("PRAGMA journal_mode").fetchone()
        connection.trio_ingest_syncs = int(synchronous) >= (
            _FULL if mode == "wal" else _NORMAL
        )


def _counted_rows(counter: StepCounter, rows: Iterable[Any]) -> Iterator[Any]:
    for index, row in enumerate(rows):
        if index and index % _ROWS_BETWEEN == 0:
            counter.reach(f"at row {index} of a statement")
        yield row
