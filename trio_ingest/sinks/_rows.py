"""How a document becomes a row, and how a table must look to take it."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final, TypeAlias

from trio_ingest import Document, SetupError

Row: TypeAlias = tuple[str, str, str, str | bytes | int | float | None, str]

COLUMNS: Final = ("doc_id", "source", "content", "raw", "metadata")

CREATE: Final = """
CREATE TABLE IF NOT EXISTS documents (
    doc_id TEXT NOT NULL PRIMARY KEY,
    source TEXT NOT NULL,
    content TEXT NOT NULL,
    raw,
    metadata TEXT NOT NULL
)
"""

# An upsert and not REPLACE: the row keeps its rowid, by which indexes find it.
UPSERT: Final = """
INSERT INTO documents (doc_id, source, content, raw, metadata) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (doc_id) DO UPDATE SET
    source = excluded.source,
    content = excluded.content,
    raw = excluded.raw,
    metadata = excluded.metadata
"""

LAST_ROW: Final = "SELECT coalesce(max(rowid), 0) FROM documents"

_JSON = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


def row_of(document: Document) -> Row:
    """The row for ``document``.

    Text, bytes, numbers and None stay what they are as ``raw``; any other
    ``raw`` and the metadata are stored as JSON.

    Raises:
        TypeError or ValueError: JSON has no form for one of them.
        RecursionError: one of them is nested too deeply.
    """
    raw = document.raw
    if raw is not None and not isinstance(raw, str | bytes | int | float):
        raw = _JSON.encode(raw)
    return (
        document.doc_id,
        document.source,
        document.content,
        raw,
        _JSON.encode(_plain(document.metadata)),
    )


def check_shape(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a ``documents`` table that is not ours; none at all is fine.

    Raises:
        SetupError: its columns or its primary key are others.
    """
    columns = connection.execute("PRAGMA table_info(documents)").fetchall()
    names = tuple(sorted(column[1] for column in columns))
    keys = [column[1] for column in columns if column[5]]
    if columns and (names != tuple(sorted(COLUMNS)) or keys != ["doc_id"]):
        raise SetupError(
            f"{shortened(path)} has a table 'documents' of another shape: "
            f"{_shape_of(columns)}. "
            f"It must be documents(doc_id PRIMARY KEY, source, content, raw, metadata). "
            f"Rename that table, or write to another file."
        )


def counts_up(connection: sqlite3.Connection) -> bool:
    """Whether each new row of ``documents`` has the row id after the last one."""
    [kind] = [
        column[2]
        for column in connection.execute("PRAGMA table_info(documents)")
        if column[1] == "doc_id"
    ]
    try:
        connection.execute(LAST_ROW).fetchone()
    except sqlite3.OperationalError:
        # Made WITHOUT ROWID.
        return False
    # Such a key is the row id itself.
    return str(kind).upper() != "INTEGER"


def shortened(path: str) -> str:
    """``path``, or its end: the end tells more than the start."""
    return path if len(path) <= 80 else f"…{path[-79:]}"


def _shape_of(columns: list[tuple[Any, ...]]) -> str:
    text = ", ".join(f"{c[1]} PRIMARY KEY" if c[5] else str(c[1]) for c in columns)
    return text if len(text) <= 80 else text[:77] + "..."


def _plain(metadata: Any) -> Any:
    # The encoder knows dict alone; a Mapping of another kind is as good.
    return metadata if isinstance(metadata, dict) else dict(metadata)
