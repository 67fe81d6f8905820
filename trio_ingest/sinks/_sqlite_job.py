"""What a job leaves beside the documents: its checkpoint, and its dead letters."""

from __future__ import annotations

import json
import secrets
import sqlite3
from typing import Any, Final

import attrs

from trio_ingest import CheckpointError, SetupError
from trio_ingest.databases import shortened
from trio_ingest.delivery import DeadLetter, Delivered, SinkError

_CHECKPOINT: Final = """
CREATE TABLE IF NOT EXISTS trio_ingest_checkpoint (
    job TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    delivered TEXT NOT NULL
)
"""

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

_OURS: Final = {
    "trio_ingest_checkpoint": {"job", "revision", "delivered"},
    "trio_ingest_dead_letters": {"job", *_FIELDS},
}

# No first revision is like another: a run that sleeps while others forget the job and
# begin it again must not wake to the number that it left.
_FIRST_REVISION_BITS: Final = 48


def check_job_tables(connection: sqlite3.Connection, path: str) -> None:
    """Refuse tables with our names that lack our columns; none at all is fine.

    Raises:
        SetupError: says which.
    """
    for table, columns in _OURS.items():
        found = connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        names = {name for (name,) in found}
        if names and not columns <= names:
            raise SetupError(
                f"{shortened(path)} has a table '{table}' of another release of trio_ingest, "
                f"without the columns {', '.join(sorted(columns - names))}. Upgrade "
                f"trio_ingest, rename that table, or write to another file."
            )


def create_job_tables(connection: sqlite3.Connection) -> None:
    """Make what is missing of them."""
    connection.execute(_CHECKPOINT)
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
        self._was_read = False
        # Of the row of this job; None where there is none.
        self._revision: int | None = None

    def load(self, connection: sqlite3.Connection) -> Delivered | None:
        """What the last commit left; later commits build on it.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
        """
        # As bytes, because damaged text cannot be read as text.
        found = connection.execute(
            "SELECT revision, CAST(delivered AS BLOB) FROM trio_ingest_checkpoint "
            "WHERE job = ?",
            (self._name,),
        ).fetchone()
        if found is None:
            delivered, revision = None, None
        else:
            revision, text = found
            delivered = self._read(revision, text)
        self._was_read, self._revision = True, revision
        return delivered

    def forget(self, connection: sqlite3.Connection) -> None:
        """Drop checkpoint and dead letters; the documents stay."""
        for table in _OURS:
            connection.execute(f"DELETE FROM {table} WHERE job = ?", (self._name,))  # noqa: S608 -- ours

    def was_forgotten(self) -> None:
        """That was committed."""
        self._was_read, self._revision = True, None

    def save(
        self, connection: sqlite3.Connection, delivered: Delivered, letters: list[DeadLetter]
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
        # In ASCII, so that it can be stored whatever a source or a cursor holds.
        text = json.dumps(delivered.to_dict())
        if self._revision is None:
            return self._save_first(connection, text)
        changed = connection.execute(
            "UPDATE trio_ingest_checkpoint SET revision = revision + 1, delivered = ? "
            "WHERE job = ? AND revision = ?",
            (text, self._name, self._revision),
        )
        if changed.rowcount != 1:
            raise self._is_in_use()
        return self._revision + 1

    def was_saved(self, revision: int) -> None:
        """That was committed."""
        self._was_read, self._revision = True, revision

    def _save_first(self, connection: sqlite3.Connection, text: str) -> int:
        revision = secrets.randbits(_FIRST_REVISION_BITS)
        added = connection.execute(
            "INSERT INTO trio_ingest_checkpoint (job, revision, delivered) VALUES (?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (self._name, revision, text),
        )
        if added.rowcount == 1:
            return revision
        if self._was_read:
            raise self._is_in_use()
        raise SinkError(
            f"{shortened(self._path)} has a checkpoint of the job {self._name!r} already, and "
            f"this run has not looked at it; nothing of this batch was committed. Resume from "
            f"`await resume_point(sink)`, or call `await sink.forget()` to begin again."
        )

    def _is_in_use(self) -> SinkError:
        return SinkError(
            f"Another run is writing the job {self._name!r} into {shortened(self._path)}: its "
            f"checkpoint has moved since this run looked at it, so nothing of this batch was "
            f"committed. Let that run end and resume from what it leaves, or give this run "
            f"another job."
        )

    def _read(self, revision: Any, text: bytes) -> Delivered:
        try:
            if type(revision) is not int:
                raise ValueError(f"revision is {revision!r}")
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise CheckpointError(
                f"The checkpoint of the job {self._name!r} in {shortened(self._path)} is "
                f"damaged ({error!r:.80}). Restore the database, or call `await "
                f"sink.forget()` to begin again."
            ) from error
        try:
            return Delivered.from_dict(data)
        except CheckpointError as error:
            error.add_note(
                f"It is the checkpoint of the job {self._name!r} in {shortened(self._path)}; "
                f"`await sink.forget()` drops it."
            )
            raise


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
