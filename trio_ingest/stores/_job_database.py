"""A database that keeps the checkpoint of one job, for one run at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote

from trio_ingest import SetupError
from trio_ingest.delivery import SinkState
from trio_ingest.storage import FileLock, SqliteDatabase, path_text, transaction
from trio_ingest.storage import checkpoint_table as table

from ._taking import take

Answer = TypeVar("Answer")

DEFAULT_JOB: Final = "default"


class JobDatabase:
    """A SQLite file, locked against a second run, with the checkpoint of one job.

    Args:
        path: the file; it and its tables are made when missing.
        kind: what keeps it, so that a store, a ledger and a sink in one file do not take
            each other's checkpoint for their own.
        job: whose checkpoint it is.
        create: makes further tables, inside a transaction.
        inspect: refuses a database that is not ours, before anything is changed.
        busy_timeout_seconds: how long to wait for another program's lock.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        kind: str,
        job: str,
        *,
        create: Callable[[sqlite3.Connection], object] | None = None,
        inspect: Callable[[sqlite3.Connection], object] | None = None,
        busy_timeout_seconds: float,
    ) -> None:
        given: object = job
        if not isinstance(given, str) or not given or not given.isprintable():
            raise SetupError(
                f"job must be a name, a string that can be printed; got {job!r:.80}."
            )
        # Jobs in one file may run side by side.
        suffix = "" if job == DEFAULT_JOB else f"-{quote(job, safe='')}"
        self._lock = FileLock(f"{os.fspath(path)}.{kind}{suffix}")
        self._database = SqliteDatabase(
            path,
            self._prepare,
            inspect=self._look,
            # In the thread: not while a write is under way.
            closed=self._lock.release,
            busy_timeout_seconds=busy_timeout_seconds,
        )
        self.path = self._database.path
        self._job = f"{kind}:{job}"
        self._create = create
        self._inspect = inspect
        # Touched in the thread alone.
        self._revision = table.NO_REVISION

    async def open(self) -> None:
        """Open it, and keep other runs away; see ``SqliteDatabase.open``.

        Raises:
            SetupError: also when another run has it.
        """
        if self._database.is_open:
            raise SetupError(
                f"{path_text(self.path)} is open already. Make one object for each block."
            )
        await self._database.open()

    async def close(self) -> None:
        """Close it: a write under way has been committed or rolled back by then."""
        await self._database.close()

    async def run(self, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """What ``work`` returns; see ``SqliteDatabase.run``."""
        return await self._database.run(work)

    async def load(self) -> SinkState | None:
        """What the job has, or None before its first commit.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
        """
        return await self._database.run(self._load)

    async def commit(
        self, delivered: SinkState, work: Callable[[sqlite3.Connection], Answer]
    ) -> Answer:
        """Do ``work`` and move the checkpoint, in one transaction.

        Raises:
            SinkError: SQLite failed, or another run has moved the checkpoint.

        Cancelled here, both are committed, or neither was begun.
        """
        return await self._database.run(lambda c: self._commit(c, delivered, work))

    async def forget(self, work: Callable[[sqlite3.Connection], object] | None = None) -> None:
        """Do ``work`` and drop the checkpoint, in one transaction."""
        await self._database.run(lambda c: self._forget(c, work))

    # Everything below runs in the thread of the database.

    def _look(self, connection: sqlite3.Connection) -> None:
        table.inspect(connection)
        if self._inspect is not None:
            self._inspect(connection)
        # Only now: a file that is refused gets no lock file beside it.
        take(self._lock, self.path)

    def _prepare(self, connection: sqlite3.Connection) -> None:
        table.create(connection)
        if self._create is not None:
            self._create(connection)
        self._revision = table.revision(connection, self._job)

    def _load(self, connection: sqlite3.Connection) -> SinkState | None:
        found = table.read(connection, self._job)
        self._revision, delivered = (table.NO_REVISION, None) if found is None else found
        return delivered

    def _commit(
        self,
        connection: sqlite3.Connection,
        delivered: SinkState,
        work: Callable[[sqlite3.Connection], Answer],
    ) -> Answer:
        with transaction(connection):
            answer = work(connection)
            revision = table.move(connection, self._job, self._revision, delivered)
        self._revision = revision
        return answer

    def _forget(
        self,
        connection: sqlite3.Connection,
        work: Callable[[sqlite3.Connection], object] | None,
    ) -> None:
        with transaction(connection):
            if work is not None:
                work(connection)
            table.drop(connection, self._job)
        self._revision = table.NO_REVISION
