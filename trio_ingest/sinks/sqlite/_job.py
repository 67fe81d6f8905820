"""What a job leaves beside the documents: its checkpoint, and its dead letters."""

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

_ADD_LETTER: Final = (
    f"INSERT INTO trio_ingest_dead_letters (job, {', '.join(_FIELDS)}) "  # noqa: S608 -- ours
    f"VALUES (?{', ?' * len(_FIELDS)})"
)

_LETTER_COLUMNS: Final = {"job", *_FIELDS}


def check_job_tables(connection: sqlite3.Connection, path: str) -> None:
    """Refuse tables with our names that lack our columns; none at all is fine.

    Raises:
        SetupError: says which.
    """
    checkpoint_table.inspect(connection)
    found = connection.execute(
        "SELECT name FROM pragma_table_info('trio_ingest_dead_letters')"
    )
    names = {name for (name,) in found}
    if names and not names >= _LETTER_COLUMNS:
        raise SetupError(
            f"{path_text(path)} has a table 'trio_ingest_dead_letters' of another release of "
            f"trio_ingest, without the columns {', '.join(sorted(_LETTER_COLUMNS - names))}. "
            f"Upgrade trio_ingest, rename that table, or write to another file."
        )


def create_job_tables(connection: sqlite3.Connection) -> None:
    """Make what is missing of them."""
    checkpoint_table.create(connection)
    connection.execute(_DEAD_LETTERS)


class Job:
    """One job's rows, and the revision at which this run knows them to be.

    Args:
        name: of the job.
        path: of the database, for messages.
    """

    def __init__(self, name: str, path: str) -> None:
        self._name = name
        self._path = path
        self.reset()

    def reset(self) -> None:
        """Know nothing of the job, as when the database was just opened."""
        self._was_read = False
        self._revision = checkpoint_table.NO_REVISION

    def load(self, connection: sqlite3.Connection) -> SinkState | None:
        """What the last commit left; later commits build on it.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
        """
        found = checkpoint_table.read(connection, self._name)
        revision, delivered = (checkpoint_table.NO_REVISION, None) if found is None else found
        self._was_read, self._revision = True, revision
        return delivered

    def forget(self, connection: sqlite3.Connection) -> None:
        """Drop checkpoint and dead letters; the documents stay."""
        checkpoint_table.drop(connection, self._name)
        connection.execute("DELETE FROM trio_ingest_dead_letters WHERE job = ?", (self._name,))

    def was_forgotten(self) -> None:
        """That was committed."""
        self._was_read, self._revision = True, checkpoint_table.NO_REVISION

    def save(
        self, connection: sqlite3.Connection, delivered: SinkState, letters: list[DeadLetter]
    ) -> int:
        """Put letters and checkpoint beside the documents, within their transaction.

        Returns:
            the revision to give to ``was_saved`` when that is committed.

        Raises:
            SinkError: somebody else has written the job; nothing may be committed.
        """
        limit = connection.getlimit(sqlite3.SQLITE_LIMIT_LENGTH)
        for letter in letters:
            values = attrs.astuple(letter, recurse=False)
            try:
                connection.execute(_ADD_LETTER, (self._name, *values))
            except (sqlite3.DataError, OverflowError, UnicodeEncodeError):
                cut = _cut(values, (limit - len(self._name) * 4) // (len(_FIELDS) + 1))
                connection.execute(_ADD_LETTER, (self._name, *cut))
        if not self._was_read and checkpoint_table.exists(connection, self._name):
            raise SinkError(
                f"{path_text(self._path)} has a checkpoint of the job {self._name!r} already, "
                f"and this run has not looked at it; nothing of this batch was committed. "
                f"Resume from `await resume_point(sink)`, or call `await sink.forget()` to "
                f"begin again."
            )
        return checkpoint_table.move(connection, self._name, self._revision, delivered)

    def was_saved(self, revision: int) -> None:
        """That was committed."""
        self._was_read, self._revision = True, revision


def _cut(values: tuple[Any, ...], most_bytes: int) -> list[Any]:
    """The values with each text at a length at which the letter fits into a row."""
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
