"""The table of dead letters, committed with the documents."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import attrs

from trio_ingest import SetupError
from trio_ingest.delivery import DeadLetter
from trio_ingest.storage import path_text

# A clock may say that it is no number, which SQLite keeps as NULL.
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS trio_ingest_dead_letters (
    letter_id INTEGER PRIMARY KEY,
    job TEXT NOT NULL,
    doc_id TEXT,
    adapter TEXT NOT NULL,
    record_number INTEGER NOT NULL,
    stage TEXT NOT NULL,
    error_type TEXT NOT NULL,
    error TEXT NOT NULL,
    retry_count INTEGER NOT NULL,
    is_retryable INTEGER NOT NULL,
    traceback TEXT,
    raw TEXT NOT NULL,
    timestamp REAL
)
"""

_FIELDS: Final = [field.name for field in attrs.fields(DeadLetter)]
_RAW: Final = _FIELDS.index("raw")

_INSERT: Final = (
    f"INSERT INTO trio_ingest_dead_letters (job, {', '.join(_FIELDS)}) "  # noqa: S608 -- ours
    f"VALUES (?{', ?' * len(_FIELDS)})"
)


def check_dead_letters(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a table of this name that lacks our columns; none at all is fine."""
    found = connection.execute(
        "SELECT name FROM pragma_table_info('trio_ingest_dead_letters')"
    )
    names = {name for (name,) in found}
    missing = {"job", *_FIELDS} - names
    if names and missing:
        raise SetupError(
            f"{path_text(path)} has a table 'trio_ingest_dead_letters' of another release of "
            f"trio_ingest, without the columns {', '.join(sorted(missing))}. Upgrade "
            f"trio_ingest, rename that table, or write to another file."
        )


def create_dead_letters(connection: sqlite3.Connection) -> None:
    """Make the table when it is missing."""
    connection.execute(_CREATE)


def insert_dead_letters(
    connection: sqlite3.Connection, job: str, dead_letters: Iterable[DeadLetter]
) -> None:
    """Write dead letters, each cut to what the database can hold."""
    for dead_letter in dead_letters:
        values = attrs.astuple(dead_letter, recurse=False)
        try:
            connection.execute(_INSERT, (job, *values))
        except (sqlite3.DataError, OverflowError, UnicodeEncodeError):
            limit = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
            cut = _cut(values, (limit - len(job) * 4) // (len(_FIELDS) + 1))
            connection.execute(_INSERT, (job, *cut))


def delete_dead_letters(connection: sqlite3.Connection, job: str) -> None:
    """Delete the dead letters of a job."""
    connection.execute("DELETE FROM trio_ingest_dead_letters WHERE job = ?", (job,))


def _cut(values: tuple[Any, ...], most_bytes: int) -> list[Any]:
    """Return the values with each text cut to a length with which they fit into a row."""
    cut = list(values)
    for place, value in enumerate(values):
        if isinstance(value, str):
            data = value.encode(errors="backslashreplace")
            if place == _RAW and len(data) > most_bytes:
                # Still JSON: the start of the text, as a string. Its quotes and
                # backslashes double.
                start = data[: max(most_bytes - 2, 0) // 2].decode(errors="ignore")
                cut[place] = json.dumps(start, ensure_ascii=False)
            else:
                cut[place] = data[:most_bytes].decode(errors="ignore")
    return cut
