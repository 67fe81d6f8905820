"""The table that keeps the checkpoint of a job, and lets only one run replace it.

A run says which revision it has seen; the checkpoint is replaced only if it still has that
revision. So a run that was thought dead, and is not, cannot cover documents that it never
wrote.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from contextlib import suppress
from typing import Final

from trio_ingest import CheckpointError, SetupError
from trio_ingest.delivery import SinkError, SinkState

from ._paths import path_text

TABLE: Final = "trio_ingest_checkpoint"

# The revision that a run has seen when it has seen no checkpoint.
NO_REVISION: Final = 0
_DAMAGED: Final = -1

_COLUMNS: Final = {"job", "revision", "delivered"}

_CREATE: Final = f"""
CREATE TABLE IF NOT EXISTS {TABLE} (
    job TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    delivered TEXT NOT NULL
)
"""

# No first revision is like another: a run that sleeps while others drop the checkpoint and
# begin the job again must not wake to the number that it left.
_FIRST_REVISION_BITS: Final = 48

_INSERT: Final = f"""
INSERT INTO {TABLE} (job, revision, delivered) VALUES (:job, :next, :delivered)
ON CONFLICT DO NOTHING
"""  # noqa: S608 -- our own name
_UPDATE: Final = f"""
UPDATE {TABLE} SET revision = :next, delivered = :delivered
WHERE job = :job AND revision = :seen
"""  # noqa: S608 -- the same
_DROP: Final = f"DELETE FROM {TABLE} WHERE job = ?"  # noqa: S608 -- the same

# As bytes, because damaged text cannot be read as text.
_READ: Final = f"""
SELECT revision, CAST(delivered AS BLOB) FROM {TABLE} WHERE job = ?
"""  # noqa: S608 -- the same
_REVISION: Final = f"SELECT revision FROM {TABLE} WHERE job = ?"  # noqa: S608 -- the same


def check_table(connection: sqlite3.Connection) -> None:
    """Refuse a table of this name that is not ours; none at all is fine.

    Args:
        connection: nothing is changed through it.

    Raises:
        SetupError: its columns or its primary key are others.
    """
    found = {str(c[1]): c[5] for c in connection.execute(f"PRAGMA table_info({TABLE})")}
    if found and not (found.keys() >= _COLUMNS and found["job"]):
        raise SetupError(
            f"{_file_of(connection)} has a table '{TABLE}' of another shape: "
            f"{', '.join(found)!s:.80}. It must be {TABLE}(job PRIMARY KEY, revision, "
            f"delivered). Rename that table, or give another file."
        )


def create(connection: sqlite3.Connection) -> None:
    """Make the table where it is missing; inside the caller's transaction."""
    connection.execute(_CREATE)


def revision(connection: sqlite3.Connection, job: str) -> int:
    """Return the revision of the job's checkpoint, readable or not, or ``NO_REVISION``."""
    row = connection.execute(_REVISION, (job,)).fetchone()
    if row is None:
        return NO_REVISION
    # A damaged one is no revision, so nothing replaces it until it is dropped.
    return row[0] if type(row[0]) is int else _DAMAGED


def read(connection: sqlite3.Connection, job: str) -> tuple[int, SinkState] | None:
    """Return the revision and the state of the job, or None where there is none.

    Args:
        connection: nothing is changed through it.
        job: the name of the job.

    Raises:
        CheckpointError: it is damaged, or a newer release wrote it.
    """
    row = connection.execute(_READ, (job,)).fetchone()
    if row is None:
        return None
    number, text = row
    where = f"the checkpoint of job {job!r:.80} in {_file_of(connection)}"
    try:
        if type(number) is not int:
            raise ValueError("the revision is no whole number")
        return number, SinkState.from_dict(json.loads(text))
    except CheckpointError as error:
        raise CheckpointError(
            f"The job cannot be resumed from {where}. {error} To begin the job again, call "
            f"`await sink.forget()`, on the command line with --restart."
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"The job cannot be resumed from {where}: it is damaged "
            f"({type(error).__name__}). Restore an older copy of the file, or begin the job "
            f"again after `await sink.forget()`, on the command line with --restart."
        ) from error


def unfinished_jobs(connection: sqlite3.Connection) -> list[str]:
    """Return the names of the jobs that have not come to their end.

    Args:
        connection: nothing is changed through it.
    """
    names = []
    for (name,) in connection.execute(f"SELECT job FROM {TABLE} ORDER BY job").fetchall():  # noqa: S608 -- of ours
        try:
            found = read(connection, name)
        except CheckpointError:
            continue  # loading that job says so
        if found is not None and not found[1].checkpoint.finished:
            names.append(str(name))
    return names


def save(connection: sqlite3.Connection, job: str, seen: int, state: SinkState) -> int:
    """Keep ``state`` in the place of the one that has the revision ``seen``.

    Args:
        connection: inside the transaction that brings the documents.
        job: the name of the job.
        seen: the revision that ``read`` or the last ``save`` gave; ``NO_REVISION`` before
            the first.
        state: of the job, the documents of this transaction included.

    Returns:
        the new revision.

    Raises:
        SinkError: another run has replaced or dropped it; the transaction must not be
            committed.
    """
    first = seen == NO_REVISION
    new = secrets.randbits(_FIRST_REVISION_BITS) + 1 if first else seen + 1
    values = {
        "job": job,
        "seen": seen,
        "next": new,
        # All of ASCII, so that SQLite can hold whatever a cursor is made of.
        "delivered": json.dumps(state.to_dict(), separators=(",", ":")),
    }
    if connection.execute(_INSERT if first else _UPDATE, values).rowcount != 1:
        raise SinkError(
            f"Another run is writing the job {job!r:.80} into {_file_of(connection)}: its "
            f"checkpoint has moved since this run looked at it, so nothing of this batch was "
            f"committed. Let that run end and resume from what it leaves, or give this run "
            f"another job."
        )
    return new


def drop(connection: sqlite3.Connection, job: str) -> None:
    """Forget the checkpoint; a run that has seen it can no longer replace it."""
    connection.execute(_DROP, (job,))


def _file_of(connection: sqlite3.Connection) -> str:
    """Return the file of the connection, for a message."""
    with suppress(sqlite3.OperationalError):  # its path is not UTF-8
        for _, name, path in connection.execute("PRAGMA database_list"):
            if name == "main" and path:
                return path_text(str(path))
    return "the database"
