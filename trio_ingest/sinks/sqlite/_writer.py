"""The writing of rows: all at once, and one by one when one of them is at fault."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from ._rows import Row, reason_of

Duplicates: TypeAlias = Literal["replace", "keep", "fail", "allow"]

_INSERT: Final = (
    "INSERT INTO documents (doc_id, source, content, raw, metadata) VALUES (?, ?, ?, ?, ?)"
)

# An upsert and not REPLACE: the row keeps its row id, by which the full-text index finds
# it. The function is called once for each document that was there already, so it counts
# them whatever the table is like, and says whether the row is to change.
_UPSERT: Final = f"""
{_INSERT}
ON CONFLICT (doc_id) DO UPDATE SET
    source = excluded.source,
    content = excluded.content,
    raw = excluded.raw,
    metadata = excluded.metadata
WHERE trio_ingest_conflict()
"""

# The errors by which a row is at fault, and not the database.
_FAULT_OF_A_ROW: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    OverflowError,
    UnicodeEncodeError,
)


class RowWriter:
    """Writes rows into ``documents``, by the rule for duplicates.

    Args:
        duplicates: the rule for a document whose id is there already.
    """

    def __init__(self, duplicates: Duplicates) -> None:
        self._duplicates = duplicates
        self._statement = _INSERT if duplicates == "allow" else _UPSERT
        self._changes_rows = duplicates == "replace"
        # Documents of the last ``write`` whose id was there already.
        self.conflicts = 0

    def attach(self, connection: sqlite3.Connection) -> None:
        """Give the connection the function that the statement calls."""
        connection.create_function("trio_ingest_conflict", 0, self._conflict)

    def write(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> dict[int, str]:
        """Write the rows into the table, within the transaction that is open.

        It may begin that anew, so nothing else may have been written in it.

        Returns:
            the reason for each row that the table does not take, by its index.

        Raises:
            sqlite3.Error: the database is at fault.
        """
        self.conflicts = 0
        try:
            connection.executemany(self._statement, rows)
        except _FAULT_OF_A_ROW:
            pass
        else:
            if self._duplicates != "fail" or not self.conflicts:
                return {}
        return self._one_by_one(connection, rows)

    def _one_by_one(
        self, connection: sqlite3.Connection, rows: Sequence[Row]
    ) -> dict[int, str]:
        fatal: dict[int, str] = {}
        while True:
            _begin_anew(connection)
            self.conflicts = 0
            bad = dict(fatal)
            for place, row in enumerate(rows):
                if place in bad:
                    continue
                reason = self._write_one(connection, row)
                if reason is not None:
                    bad[place] = reason
                    if not connection.in_transaction:
                        # A trigger or a constraint of a user's table may roll all of it
                        # back (RAISE(ROLLBACK)), the good rows before it as well.
                        fatal[place] = reason
                        break
            else:
                return bad

    def _write_one(self, connection: sqlite3.Connection, row: Row) -> str | None:
        before = self.conflicts
        # A failed statement leaves what its triggers have done by then (RAISE(FAIL)).
        connection.execute("SAVEPOINT trio_ingest_row")
        try:
            connection.execute(self._statement, row)
        except _FAULT_OF_A_ROW as error:
            self.conflicts = before
            if connection.in_transaction:
                connection.execute("ROLLBACK TO trio_ingest_row")
                connection.execute("RELEASE trio_ingest_row")
            limit = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
            return reason_of(error, row, limit)
        connection.execute("RELEASE trio_ingest_row")
        if self._duplicates == "fail" and self.conflicts != before:
            return f"a document with the id {row[0]!r:.200} is there already."
        return None

    def _conflict(self) -> bool:
        self.conflicts += 1
        return self._changes_rows


def _begin_anew(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
