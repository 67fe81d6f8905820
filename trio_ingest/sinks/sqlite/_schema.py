"""The table ``documents``: as we make it, and the columns that a user's own must have."""

from __future__ import annotations

import sqlite3
from typing import Final, NamedTuple

from trio_ingest import SetupError
from trio_ingest.storage import path_text

from ._rows import COLUMNS

# The row id is a column, because VACUUM may give other ids to rows that name none, and
# the full-text index finds rows by it.
_CREATE: Final = """
CREATE TABLE documents (
    row_id INTEGER PRIMARY KEY,
    doc_id TEXT NOT NULL{unique},
    source TEXT NOT NULL,
    content TEXT NOT NULL,
    raw,
    metadata TEXT NOT NULL
)
"""


class _Column(NamedTuple):
    name: str
    is_needed: bool
    is_key: bool


class _Table(NamedTuple):
    columns: list[_Column]
    has_row_id: bool
    unique: set[str]

    def __str__(self) -> str:
        text = ", ".join(f"{c.name} PRIMARY KEY" if c.is_key else c.name for c in self.columns)
        return text if len(text) <= 80 else text[:77] + "..."


def exists(connection: sqlite3.Connection, name: str) -> bool:
    """Say whether there is a table or view of this name."""
    found = connection.execute(
        "SELECT 1 FROM sqlite_master "
        "WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')",
        (name,),
    )
    return found.fetchone() is not None


def create_documents(connection: sqlite3.Connection, *, is_unique: bool) -> None:
    """Make the table when it is missing."""
    if not exists(connection, "documents"):
        connection.execute(_CREATE.format(unique=" UNIQUE" if is_unique else ""))


def check_documents(
    connection: sqlite3.Connection, path: str, *, is_unique: bool, full_text: bool
) -> None:
    """Refuse a table ``documents`` that cannot take the documents; none at all is fine.

    Args:
        connection: nothing is changed through it.
        path: the name of the file in messages.
        is_unique: True when ``doc_id`` must be a unique key; False when it must be none.
        full_text: True when rows must have the explicit ``row_id``.
    """
    if not exists(connection, "documents"):
        return
    if not _is_plain_table(connection):
        raise SetupError(
            f"{path_text(path)} has a 'documents' that is a view or a virtual table, and "
            f"documents go into a plain one. Rename it, or write to another file."
        )
    table = _table(connection)
    names = {column.name.lower() for column in table.columns}
    missing = [name for name in COLUMNS if name not in names]
    needed = [c.name for c in table.columns if c.is_needed and c.name.lower() not in COLUMNS]
    if missing or needed:
        raise SetupError(
            f"{path_text(path)} has a table 'documents' of another shape: {table}. It must "
            f"have the columns doc_id, source, content, raw and metadata, and others may be "
            f"empty or have a default. Rename that table, or write to another file."
        )
    if is_unique and "doc_id" not in table.unique:
        raise SetupError(
            f"{path_text(path)} has a table 'documents' of another shape: {table}, in which "
            f"doc_id is no unique key, so an earlier document could not be found by it. Make "
            f"one (CREATE UNIQUE INDEX documents_doc_id ON documents (doc_id)), pass "
            f"duplicates='allow', or write to another file."
        )
    if not is_unique and table.unique & {"doc_id", "doc_id, in part"}:
        raise SetupError(
            f"{path_text(path)} has a table 'documents' in which doc_id is a unique key, so "
            f"it cannot hold duplicates. Pass duplicates='replace', 'keep' or 'fail', or "
            f"write to another file."
        )
    if full_text and not table.has_row_id:
        raise SetupError(
            f"{path_text(path)} has a table 'documents' without a column row_id INTEGER "
            f"PRIMARY KEY, by which a full-text index finds its rows. Pass full_text=False, "
            f"or write to another file."
        )


def _is_plain_table(connection: sqlite3.Connection) -> bool:
    # Views and virtual tables have no page of their own.
    found = connection.execute(
        "SELECT rootpage FROM sqlite_master "
        "WHERE name = 'documents' COLLATE NOCASE AND type IN ('table', 'view')"
    )
    return bool(found.fetchone()[0])


def _table(connection: sqlite3.Connection) -> _Table:
    found = connection.execute(
        'SELECT name, "notnull", dflt_value, pk FROM pragma_table_info(?)', ("documents",)
    ).fetchall()
    keys = [name for name, _, _, key in found if key]
    unique = set()
    key_has_an_index = False
    indexes = connection.execute(
        'SELECT name, origin, partial FROM pragma_index_list(?) WHERE "unique"', ("documents",)
    ).fetchall()
    for index, origin, is_partial in indexes:
        key_has_an_index |= origin == "pk"
        of = connection.execute("SELECT name FROM pragma_index_info(?)", (index,)).fetchall()
        if len(of) == 1 and of[0][0] is not None:
            unique.add(of[0][0].lower() + (", in part" if is_partial else ""))
    # A key that is the row id itself has no index, and a value when none is given.
    row_id = keys[0].lower() if len(keys) == 1 and not key_has_an_index else None
    if row_id is not None:
        unique.add(row_id)
    columns = [
        _Column(name, bool(needed) and default is None and name.lower() != row_id, bool(key))
        for name, needed, default, key in found
    ]
    return _Table(columns, row_id == "row_id", unique)
