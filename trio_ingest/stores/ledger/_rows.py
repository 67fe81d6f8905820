"""The table of a ledger, and the ends of records as its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

from trio_ingest import DocumentCompleted, DocumentFailed, DocumentSkipped, SetupError
from trio_ingest.delivery import Batch
from trio_ingest.storage import path_text

from ._transitions import STATES, LedgerState, legal_in_sql

# Text, but for an id that UTF-8 has no form for: that one is kept as bytes.
Key = str | bytes


class Row(NamedTuple):
    """One end, in the order of the columns."""

    doc_id: Key
    source: str
    state: LedgerState
    attempts: int
    error_type: str | None
    error: str | None
    duration_seconds: float | None
    updated_at: float


_ERROR_CHARACTERS: Final = 2000

# Without row ids it is a third smaller, and found in one search instead of two (measured:
# 58 bytes a document instead of 80, a look-up 0.9 µs faster).
CREATE: Final = f"""
CREATE TABLE IF NOT EXISTS ledger (
    doc_id TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ({", ".join(f"'{state}'" for state in STATES)})),
    attempts INTEGER NOT NULL,
    error_type TEXT,
    error TEXT,
    duration_seconds REAL,
    updated_at REAL NOT NULL
) WITHOUT ROWID
"""

# One statement decides and writes, so that nothing can come between.
_UPSERT: Final = f"""
INSERT INTO ledger VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (doc_id) DO UPDATE SET
    source = excluded.source,
    state = excluded.state,
    attempts = ledger.attempts + excluded.attempts,
    error_type = excluded.error_type,
    error = excluded.error,
    duration_seconds = excluded.duration_seconds,
    updated_at = excluded.updated_at
WHERE {legal_in_sql("ledger.state", "excluded.state")}
"""  # noqa: S608 -- made of our own table of transitions


def check_shape(connection: sqlite3.Connection, path: str) -> None:
    """Refuse a ``ledger`` table that is not ours; none at all is fine."""
    columns = connection.execute("PRAGMA table_info(ledger)").fetchall()
    names = tuple(str(column[1]) for column in columns)
    keys = [column[1] for column in columns if column[5]]
    if columns and (names != Row._fields or keys != ["doc_id"]):
        raise SetupError(
            f"{path_text(path)} has a table 'ledger' of another shape: "
            f"{', '.join(names)!s:.80}. It must be ledger(doc_id PRIMARY KEY, "
            f"{', '.join(Row._fields[1:])}). Rename that table, or give another file."
        )


def write_rows(connection: sqlite3.Connection, rows: Iterable[Row]) -> int:
    """Give each document its new state, one after another, where that is legal.

    Returns:
        the number of failures that were refused: the document is completed, and stays so.
        Being skipped because it is completed is no contradiction and does not count.
    """
    refused = 0
    for state, group in groupby(rows, key=itemgetter(2)):
        same = list(group)
        written = connection.executemany(_UPSERT, same).rowcount
        if state == "failed":
            refused += len(same) - written
    return refused


def write_row(connection: sqlite3.Connection, row: Row) -> bool:
    """Give one document its new state; False when that is not legal."""
    return connection.execute(_UPSERT, row).rowcount == 1


def ledger_rows(batch: Batch) -> list[Row]:
    """Return a row for each end of the batch, in the order of the stream."""
    reasons = {id(rejection.document): rejection.reason for rejection in batch.rejected}
    ends = [
        *((e.sequence, _completed(e, reasons.get(id(e.document)))) for e in batch.completed),
        *((event.sequence, _failed(event)) for event in batch.failed),
        *((event.sequence, _skipped(event)) for event in batch.skipped),
    ]
    ends.sort(key=itemgetter(0))
    return [row for _, row in ends]


def key_of(doc_id: str) -> Key:
    """Return the key of a document in the table: its id, exactly."""
    try:
        doc_id.encode()
    except UnicodeEncodeError:
        return doc_id.encode(errors="surrogatepass")
    return doc_id


def id_of(key: Key) -> str:
    """Return the id of a key; the inverse of ``key_of``."""
    return key if isinstance(key, str) else key.decode(errors="surrogatepass")


def utf8_text(text: str) -> str:
    """Return the text with escapes for what UTF-8 cannot hold."""
    return text if text.isascii() else text.encode(errors="backslashreplace").decode()


def _completed(event: DocumentCompleted, rejection: str | None) -> Row:
    # A document that a sink did not take is nowhere, so it has failed.
    is_there = rejection is None
    return Row(
        key_of(event.document.doc_id),
        utf8_text(event.adapter_metadata["adapter"]),
        "completed" if is_there else "failed",
        event.retry_count + 1,
        None if is_there else "Rejected",
        None if rejection is None else utf8_text(rejection[:_ERROR_CHARACTERS]),
        event.duration if is_there else None,
        event.timestamp,
    )


def _failed(event: DocumentFailed) -> Row:
    doc_id = event.doc_id
    if doc_id is None:
        # As its started event called it.
        doc_id = f"{event.adapter}#{event.record_number}"
    return Row(
        key_of(doc_id),
        utf8_text(event.adapter),
        "failed",
        event.retry_count + 1,
        utf8_text(event.error_type),
        utf8_text(event.error[:_ERROR_CHARACTERS]),
        None,
        event.timestamp,
    )


def _skipped(event: DocumentSkipped) -> Row:
    key, source = key_of(event.doc_id), utf8_text(event.adapter)
    return Row(key, source, "skipped", 1, None, None, None, event.timestamp)
