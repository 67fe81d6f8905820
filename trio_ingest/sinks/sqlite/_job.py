"""The tables of a job beside the documents: its checkpoint, and its dead letters."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

import attrs

from trio_ingest import SetupError
from trio_ingest.delivery import DeadLetter, SinkError, SinkState
from trio_ingest.storage import checkpoint_table, path_text

# A clock may say that it is no number, which SQLite keeps as NULL.
_DEAD_LETTERS: Final = """
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

_INSERT_DEAD_LETTER: Final = (
    f"INSERT INTO trio_ingest_dead_letters (job, {', '.join(_FIELDS)}) "  # noqa: S608 -- ours
    f"VALUES (?{', ?' * len(_FIELDS)})"
)

_DEAD_LETTER_COLUMNS: Final = {"job", *_FIELDS}


def check_job_tables(connection: sqlite3.Connection, path: str) -> None:
    """Refuse tables with our names that lack our columns; none at all is fine.

    Raises:
        SetupError: a table is of another shape.
    """
    checkpoint_table.check(connection)
    found = connection.execute(
        "SELECT name FROM pragma_table_info('trio_ingest_dead_letters')"
    )
    names = {name for (name,) in found}
    if names and not names >= _DEAD_LETTER_COLUMNS:
        raise SetupError(
            f"{path_text(path)} has a table 'trio_ingest_dead_letters' of another release of "
            f"trio_ingest, without the columns {', '.join(sorted(_DEAD_LETTER_COLUMNS - names))}. "
            f"Upgrade trio_ingest, rename that table, or write to another file."
        )


def create_job_tables(connection: sqlite3.Connection) -> None:
    """Make the tables that are missing."""
    checkpoint_table.create(connection)
    connection.execute(_DEAD_LETTERS)


class Job:
    """The rows of one job, and the revision of its checkpoint that this run has seen.

    Args:
        name: the name of the job.
        path: the name of the database in messages.
    """

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path
        self.reset()

    def reset(self) -> None:
        """Have seen nothing of the job, as when the database was just opened."""
        self._was_read = False
        self._revision = checkpoint_table.NO_REVISION

    def load(self, connection: sqlite3.Connection) -> SinkState | None:
        """Return what the last commit left; later commits build on it.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
        """
        found = checkpoint_table.read(connection, self._name)
        revision, state = (checkpoint_table.NO_REVISION, None) if found is None else found
        self.committed(revision)
        return state

    def forget(self, connection: sqlite3.Connection) -> int:
        """Drop checkpoint and dead letters; the documents stay.

        Returns:
            the revision to give to ``committed``.
        """
        checkpoint_table.drop(connection, self._name)
        connection.execute("DELETE FROM trio_ingest_dead_letters WHERE job = ?", (self._name,))
        return checkpoint_table.NO_REVISION

    def save(
        self,
        connection: sqlite3.Connection,
        state: SinkState,
        dead_letters: list[DeadLetter],
    ) -> int:
        """Write dead letters and checkpoint beside the documents, within their transaction.

        Returns:
            the revision to give to ``committed``.

        Raises:
            SinkError: another run has written the job; nothing may be committed.
        """
        limit = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        for dead_letter in dead_letters:
            values = attrs.astuple(dead_letter, recurse=False)
            try:
                connection.execute(_INSERT_DEAD_LETTER, (self._name, *values))
            except (sqlite3.DataError, OverflowError, UnicodeEncodeError):
                cut = _cut(values, (limit - len(self._name) * 4) // (len(_FIELDS) + 1))
                connection.execute(_INSERT_DEAD_LETTER, (self._name, *cut))
        if not self._was_read and checkpoint_table.exists(connection, self._name):
            raise SinkError(
                f"{path_text(self._path)} has a checkpoint of the job {self._name!r} already, "
                f"and this run has not looked at it; nothing of this batch was committed. "
                f"Resume from `await resume_point(sink)`, or call `await sink.forget()` to "
                f"begin again."
            )
        return checkpoint_table.save(connection, self._name, self._revision, state)

    def committed(self, revision: int) -> None:
        """Build on this revision from now on: it is in the database."""
        self._was_read, self._revision = True, revision


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
