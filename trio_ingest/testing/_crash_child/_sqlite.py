"""Makes steps of what is done to SQLite: each statement, each commit, rows between them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from ._replacement import Stand

if TYPE_CHECKING:
    from ._steps import Points

# Inside one statement for many rows; each of them would be the same point again.
_ROWS_BETWEEN: Final = 10

# Where ``factory`` stands among the arguments of ``connect``.
_FACTORY: Final = 5

_FULL, _NORMAL = 2, 1
# Before others stand in their places.
_Cursor: Any = sqlite3.Cursor
_Connection: Any = sqlite3.Connection


def watch_sqlite(points: Points) -> None:
    """Tell of the steps from now on."""
    cursors = _cursor_class(points)
    connections = _connection_class(points, cursors)
    connect: Any = sqlite3.connect

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) <= _FACTORY:
            kwargs.setdefault("factory", connections)
        return connect(*args, **kwargs)

    names: Any
    for names in (sqlite3, sqlite3.dbapi2):
        # Whoever derives a class of his own derives it from these.
        names.Cursor, names.Connection = cursors, connections
        names.connect = Stand(connect, "sqlite3", call)


def _cursor_class(points: Points) -> Any:
    class Cursor(_Cursor):  # type: ignore[misc] # as it is called here
        def execute(self, sql: str, *args: Any) -> Any:
            with _step(points, self.connection, sql):
                return super().execute(sql, *args)

        def executemany(self, sql: str, rows: Any, /) -> Any:
            with _step(points, self.connection, sql):
                return super().executemany(sql, _passing(points, rows))

        def executescript(self, script: str, /) -> Any:
            with _step(points, self.connection, script):
                return super().executescript(script)

    return Cursor


def _connection_class(points: Points, cursors: Any) -> Any:
    """A connection whose statements are steps."""

    class Connection(_Connection):  # type: ignore[misc] # the same
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # Asked for before the program can have a say in what may be asked.
            self.trio_ingest_syncs = True
            _look(self)

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
            with _step(points, self, "COMMIT"):
                super().commit()

        def rollback(self) -> None:
            with _step(points, self, "ROLLBACK"):
                super().rollback()

        def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> Any:  # noqa: PYI036 - passed on
            with _step(points, self, "COMMIT" if kind is None else "ROLLBACK"):
                return super().__exit__(kind, *rest)

    return Connection


@contextmanager
def _step(points: Points, connection: Any, sql: Any) -> Iterator[None]:
    words = " ".join(sql.split()) if isinstance(sql, str) else repr(sql)
    was_inside, changes = connection.in_transaction, connection.total_changes
    with points.around(words if len(words) <= 40 else f"{words[:39]}…"):
        yield
        first = words[:8].upper()
        if first.startswith("PRAGMA"):
            _look(connection)
        elif (
            not connection.in_transaction
            and first != "ROLLBACK"
            and (was_inside or connection.total_changes != changes)
            and connection.trio_ingest_syncs
        ):
            points.synced()


def _look(connection: Any) -> None:
    """Find out whether its commits wait for the disk.

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


def _passing(points: Points, rows: Iterable[Any]) -> Iterator[Any]:
    for place, row in enumerate(rows):
        if place and place % _ROWS_BETWEEN == 0:
            points.here(f"at row {place} of a statement")
        yield row
