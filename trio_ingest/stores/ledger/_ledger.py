"""The ledger of a SQLite database: the end of each document, kept over all runs."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Final, Self, TypeVar

from trio_ingest.delivery import Batch, Guarantee, Rejection
from trio_ingest.storage import JobDatabase, ThreadSink

from ._completed import CompletedIds
from ._entries import LedgerEntries, LedgerEntry, entry_of
from ._rows import (
    CREATE,
    Row,
    check_shape,
    key_of,
    ledger_rows,
    utf8_text,
    write_row,
    write_rows,
)
from ._transitions import STATES, LedgerState, known_state
from .errors import LedgerError

Answer = TypeVar("Answer")

_REOPEN: Final = "DELETE FROM ledger WHERE doc_id = ?"
_CLEAR: Final = "DELETE FROM ledger"
_COUNT: Final = "SELECT state, count(*) FROM ledger GROUP BY state"

# Their sum has to stay a number of SQLite's.
_MOST_ATTEMPTS: Final = 10**9


class SqliteLedger(ThreadSink):
    """Keeps the state of every document in the table ``ledger`` of a SQLite file.

    Args:
        path: the file; it and the table are made when missing, other tables left alone.
        busy_timeout_seconds: the longest wait for another program's lock.

    Given to ``deliver``, it also keeps the checkpoint, in the transaction of the states, so
    that each end is counted once however often runs are killed (for adapters with
    ``stable_order``). It comes last, after the sink that has the documents: killed between
    the two, the ledger is behind the sink, and never says ``completed`` of a document that
    the sink has not: what a sink before it did not take has ``failed``.

    Given as ``completed_ids``, it answers for each record whether its document is completed,
    in some microseconds and without waiting for a write under way.

    A document goes from ``failed`` or ``skipped`` to any state. ``completed`` is final: when
    a record with the same id fails later, a double or a newer version, the document of
    before is still where it is, so the entry stays what it was, ``refused`` counts one more,
    and the record is a dead letter. Completed again, the entry tells of the last time.

    A record that failed before its id was known is kept as ``"<source>#<record_number>"``,
    the name that its ``DocumentStarted`` had; adapter runs of one source share these names.

    ``async with`` raises:
        SetupError: the path is empty, a directory, no database, or may not be written; its
            folder is missing; it has a table ``ledger`` of another shape; or another run
            has it. Other programs may read it at any time.
        SinkError: another program holds a lock on it, or the disk fails.

    However the block is left, a write under way has been committed or rolled back, both
    connections are closed, and the thread and the lock are gone.

    Memory: O(one batch).
    """

    __module__ = "trio_ingest.stores"

    def __init__(
        self, path: str | os.PathLike[str], *, busy_timeout_seconds: float = 5.0
    ) -> None:
        self._database = JobDatabase(
            path,
            "default",
            lock="ledger",
            create=lambda connection: connection.execute(CREATE),
            inspect=lambda connection: check_shape(connection, self._database.path),
            busy_timeout_seconds=busy_timeout_seconds,
        )
        self._completed = CompletedIds(self._database.path)
        self._refused = 0
        super().__init__(f"ledger:{self._database.path}", self._database)

    # States and checkpoint are committed in one transaction.
    guarantee: Guarantee = "exactly-once"

    @property
    def refused(self) -> int:
        """Failures of completed documents that this object's ``write`` has passed over."""
        return self._refused

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        try:
            # In this thread, which will ask; it is open already, so that takes no time.
            self._completed.open()
        except BaseException:
            await self._close()  # noqa: ASYNC102 -- it shields itself, with a limit
            raise
        return self

    async def _close(self) -> None:
        self._completed.close()
        await super()._close()

    def __contains__(self, doc_id: object) -> bool:
        """Say whether a document is completed; an id that is no string is not.

        Raises:
            SetupError: the ledger is not open.
            SinkError: the database cannot be read.
        """
        return doc_id in self._completed

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Give each document of the batch its state, and keep the checkpoint.

        Args:
            batch: what has come since the last one.

        Returns:
            no rejections.

        Raises:
            SinkError: the database is locked, full or damaged, or another run has replaced
                the checkpoint; nothing of the batch is kept.

        Cancelled here, all of it is committed, or was not begun.
        """
        self._refused += await self._run_in_thread(
            lambda: self._database.commit(
                lambda connection: (
                    batch.delivered(),
                    write_rows(connection, ledger_rows(batch)),
                )
            )
        )
        return ()

    async def record(
        self,
        doc_id: str,
        state: LedgerState,
        *,
        source: str = "",
        attempts: int = 1,
        error_type: str | None = None,
        error: str | None = None,
        duration_seconds: float | None = None,
        updated_at: float | None = None,
    ) -> None:
        """Give one document a state, by hand; the checkpoint stays.

        Args:
            doc_id: the document's id.
            state: ``completed``, ``failed`` or ``skipped``.
            source: the ``source`` of its adapter; none by default.
            attempts: the number of attempts to add to those in the ledger; 1 by default.
            error_type: the class of its error; None without one.
            error: the message of its error; None without one.
            duration_seconds: the seconds of work on it; None when unknown.
            updated_at: seconds since the epoch; now when None.

        Raises:
            LedgerError: the state that it has does not allow this one; there is no such
                state; or another argument is of the wrong kind.
            SinkError: the database is locked, full or damaged; nothing is kept.

        Cancelled here, it is committed, or was not begun.
        """
        _check_numbers(attempts, duration_seconds, updated_at)
        for name, value in (("source", source), ("error_type", error_type), ("error", error)):
            given: object = value
            if not isinstance(given, str) and (given is not None or name == "source"):
                raise LedgerError(f"{name} must be text; got {given!r:.80}.")
        row = Row(
            key_of(doc_id),
            utf8_text(source),
            known_state(state),
            attempts,
            None if error_type is None else utf8_text(error_type),
            None if error is None else utf8_text(error),
            duration_seconds,
            time.time() if updated_at is None else updated_at,
        )
        await self._run(lambda connection: _record(connection, doc_id, row))

    async def reopen(self, doc_id: str) -> bool:
        """Forget how one document ended, so that it may come to any state again.

        Args:
            doc_id: the document's id.

        Returns:
            True when the ledger knew it.

        Raises:
            SinkError: the database is locked, full or damaged; the entry stays.

        Cancelled here, it is committed, or was not begun.
        """
        key = key_of(doc_id)
        found = await self._run(lambda c: c.execute(_REOPEN, (key,)).rowcount)
        return found == 1

    async def entry(self, doc_id: str) -> LedgerEntry | None:
        """Return the entry of one document, or None when the ledger does not know it.

        Args:
            doc_id: the document's id.

        Raises:
            SinkError: the database cannot be read.
        """
        return await self._run(lambda connection: entry_of(connection, doc_id))

    def entries(self, *, state: LedgerState | None = None) -> LedgerEntries:
        """Return all entries, in the order of their ids, to be read with ``async for``.

        Args:
            state: only those in this state; all when None.

        Raises:
            LedgerError: there is no such state.
            SinkError: the database cannot be read; raised while it is iterated.

        Memory: a page of a thousand entries.
        """
        return LedgerEntries(self._run, None if state is None else known_state(state))

    async def counts(self) -> dict[LedgerState, int]:
        """Return the number of documents in each state; it reads every entry.

        Raises:
            SinkError: the database cannot be read.
        """
        found = dict(await self._run(lambda c: c.execute(_COUNT).fetchall()))
        return {state: found.get(state, 0) for state in STATES}

    async def clear(self) -> None:
        """Drop every entry and the checkpoint.

        Raises:
            SinkError: the database is locked, full or damaged; everything stays.

        Cancelled here, all of it is dropped, or nothing was touched.
        """
        await self._run_in_thread(
            lambda: self._database.forget(lambda connection: connection.execute(_CLEAR))
        )

    async def _run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        return await self._run_in_thread(lambda: self._database.run(work))


def _record(connection: sqlite3.Connection, doc_id: str, row: Row) -> None:
    if not write_row(connection, row):
        raise LedgerError(
            f"The document {doc_id!r:.80} is completed, and a ledger does not let it become "
            f"{row.state}. To have it done again, call `await ledger.reopen(doc_id)` first."
        )


def _check_numbers(attempts: object, *seconds: object) -> None:
    if type(attempts) is not int or not 0 < attempts < _MOST_ATTEMPTS:
        raise LedgerError(
            f"attempts must be a whole number between 1 and {_MOST_ATTEMPTS:,}; got "
            f"{attempts!r:.80}."
        )
    for value in seconds:
        if value is not None and not (
            isinstance(value, int | float) and math.isfinite(value) and value >= 0
        ):
            raise LedgerError(
                f"duration_seconds and updated_at must be numbers of at least 0, or None; got "
                f"{value!r:.80}."
            )
