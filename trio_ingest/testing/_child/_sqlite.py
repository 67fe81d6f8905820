"""Makes steps of what is done to SQLite: each statement, each commit, rows between them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._points import Points

# Inside one statement for many rows; each of them would be the same point again.
_ROWS_BETWEEN: Final = 10

# Where ``factory`` stands among the arguments of ``connect``.
_FACTORY: Final = 5

_FULL, _NORMAL = 2, 1


def watch_sqlite(points: Points) -> None:
    """Tell of the steps from now on."""
    connect: Any = sqlite3.connect

    @cache
    def watched(kind: type[sqlite3.Connection]) -> type[sqlite3.Connection]:
        return _connection_class(points, kind)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > _FACTORY:
            before, kind, after = args[:_FACTORY], args[_FACTORY], args[_FACTORY + 1 :]
            return connect(*before, watched(kind), *after, **kwargs)
        kind = kwargs.pop("factory", sqlite3.Connection)
        return connect(*args, factory=watched(kind), **kwargs)

    sqlite3.connect = sqlite3.dbapi2.connect = call


def _connection_class(
    points: Points, base: type[sqlite3.Connection]
) -> type[sqlite3.Connection]:
    """A connection whose statements are steps."""

    class WatchedCursor(sqlite3.Cursor):
        def execute(self, sql: str, *args: Any) -> Any:
            with _step(points, self.connection, sql):
                return super().execute(sql, *args)

        def executemany(self, sql: str, rows: Any) -> Any:
            with _step(points, self.connection, sql):
                return super().executemany(sql, _passing(points, rows))

        def executescript(self, script: str) -> Any:
            with _step(points, self.connection, script):
                return super().executescript(script)

    class WatchedConnection(base):  # type: ignore[misc, valid-type]
        def cursor(self, factory: Any = WatchedCursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, *args: Any) -> Any:
            with _step(points, self, sql):
                return super().execute(sql, *args)

        def executemany(self, sql: str, rows: Any) -> Any:
            with _step(points, self, sql):
                return super().executemany(sql, _passing(points, rows))

        def executescript(self, script: str) -> Any:
            with _step(points, self, script):
                return super().executescript(script)

        def commit(self) -> None:
            with _step(points, self, "COMMIT"):
                super().commit()

        def rollback(self) -> None:
            with _step(points, self, "ROLLBACK"):
                super().rollback()

        def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> Any:  # noqa: PYI036 - passed on
            with _step(points, self, "COMMIT" if kind is None else "ROLLBACK"):
                return super().__exit__(kind, *rest)

    return WatchedConnection


@contextmanager
def _step(points: Points, connection: sqlite3.Connection, sql: str) -> Iterator[None]:
    words = " ".join(sql.split())
    was_inside, changes = connection.in_transaction, connection.total_changes
    with points.around(words if len(words) <= 40 else f"{words[:39]}…"):
        yield
        if (
            not connection.in_transaction
            and not words.upper().startswith("ROLLBACK")
            and (was_inside or connection.total_changes != changes)
            and _syncs(connection)
        ):
            points.synced()


def _syncs(connection: sqlite3.Connection) -> bool:
    """Whether a commit waits for the disk (https://sqlite.org/pragma.html#pragma_synchronous)."""
    cursor = sqlite3.Cursor(connection)
    cursor.row_factory = None
    [synchronous] = cursor.execute("PRAGMA synchronous").fetchone()
    [mode] = cursor.execute("PRAGMA journal_mode").fetchone()
    return int(synchronous) >= (_FULL if mode == "wal" else _NORMAL)


def _passing(points: Points, rows: Iterable[Any]) -> Iterator[Any]:
    for place, row in enumerate(rows):
        if place and place % _ROWS_BETWEEN == 0:
            points.here(f"at row {place} of a statement")
        yield row
