"""The full-text index over ``documents``: made once, then kept by triggers of the database."""

from __future__ import annotations

import sqlite3
from typing import Final

from trio_ingest import SetupError
from trio_ingest.storage import path_text

INDEX: Final = "documents_full_text"
_MODULE: Final = "fts5"

# The content stays in the table alone; the index finds it there by its row id.
_CREATE: Final = """
CREATE VIRTUAL TABLE documents_full_text
USING fts5(content, content='documents', content_rowid='row_id')
"""

_OPTIONS: Final = ("content='documents'", "content_rowid='row_id'")

_ADD: Final = """
    INSERT INTO documents_full_text (rowid, content) VALUES (new.row_id, new.content);
"""
_REMOVE: Final = """
    INSERT INTO documents_full_text (documents_full_text, rowid, content)
    VALUES ('delete', old.row_id, old.content);
"""

# A refreshed document has the same content more often than not.
_CHANGED: Final = "old.content IS NOT new.content OR old.row_id IS NOT new.row_id"

_TRIGGERS: Final = {
    "documents_full_text_insert": f"AFTER INSERT ON documents BEGIN {_ADD} END",
    "documents_full_text_delete": f"AFTER DELETE ON documents BEGIN {_REMOVE} END",
    "documents_full_text_update": (
        f"AFTER UPDATE ON documents WHEN {_CHANGED} BEGIN {_REMOVE} {_ADD} END"
    ),
}


def check_full_text(connection: sqlite3.Connection, path: str, *, wanted: bool) -> None:
    """Refuse an index that cannot be kept; none at all is fine unless it is wanted."""
    found = connection.execute(
        "SELECT sql FROM sqlite_master WHERE name = ? COLLATE NOCASE", (INDEX,)
    ).fetchone()
    if found is None and not wanted:
        return
    if not _has_module(connection):
        raise SetupError(
            f"This SQLite ({sqlite3.sqlite_version}) was built without FTS5, so the full-text "
            f"index of {path_text(path)} cannot be kept. Use another build of SQLite, or "
            f"another file with full_text=False."
        )
    if found is not None and not _is_ours(connection, str(found[0])):
        raise SetupError(
            f"{path_text(path)} has a table '{INDEX}' that is no full-text index of ours: "
            f"{found[0]!r:.80}. Rename it, or pass full_text=False."
        )


def build_full_text(connection: sqlite3.Connection) -> None:
    """Make what is missing of the index; rows that are there already are read once.

    Memory: O(1); time: O(the table) when something was missing.
    """
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
    missing = [name for name in _TRIGGERS if name not in there]
    if INDEX not in there:
        connection.execute(_CREATE)
    elif not missing:
        return
    for name in missing:
        connection.execute(f"CREATE TRIGGER {name} {_TRIGGERS[name]}")
    connection.execute(f"INSERT INTO {INDEX} ({INDEX}) VALUES ('rebuild')")  # noqa: S608 -- ours


def _is_ours(connection: sqlite3.Connection, statement: str) -> bool:
    # The tokenizer may be another: a user who wants one makes the table first.
    words = "".join(statement.lower().replace('"', "'").split())
    if "usingfts5(" not in words or not all(option in words for option in _OPTIONS):
        return False
    columns = connection.execute("SELECT name FROM pragma_table_info(?)", (INDEX,))
    return columns.fetchall() == [("content",)]


def _has_module(connection: sqlite3.Connection) -> bool:
    found = connection.execute("SELECT 1 FROM pragma_module_list WHERE name = ?", (_MODULE,))
    return found.fetchone() is not None
