"""A database that keeps the checkpoint of one job, for one run at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote

from trio_ingest import SetupError
from trio_ingest.delivery import SinkState
from trio_ingest.storage import FileLock, SqliteDatabase, transaction
from trio_ingest.storage import checkpoint_table as table

Answer = TypeVar("Answer")

DEFAULT_JOB: Final = "default"


class JobDatabase(SqliteDatabase):
    """A SQLite file, locked against a second run, with the checkpoint of one job.

    For one thread, like every ``SqliteDatabase``.

    Args:
        path: the file; it and its tables are made when missing.
        kind: the kind of its owner, so that a store, a ledger and a sink in one file do not
            take each other's checkpoint for their own.
        job: the name of the job.
        create: makes further tables, inside a transaction.
        inspect: refuses a database that is not ours, before anything is changed.
        busy_timeout_seconds: the longest wait for another program's lock.
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
        super().__init__(
            path,
            self._prepare_job,
            inspect=self._inspect_job,
            busy_timeout_seconds=busy_timeout_seconds,
        )
        # Jobs in one file may run side by side.
        suffix = "" if job == DEFAULT_JOB else f"-{quote(job, safe='')}"
        self._lock = FileLock(f"{self.path}.{kind}{suffix}")
        self._job = f"{kind}:{job}"
        self._create = create
        self._inspect_further = inspect
        self._revision = table.NO_REVISION

    def close(self) -> None:
        """Close the file and release the lock."""
        try:
            super().close()
        finally:
            self._lock.release()

    def load(self) -> SinkState | None:
        """Return what the job has, or None before its first commit.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
            SinkError: the database cannot be read.
        """
        return self.run(self._load)

    def save(self, state: SinkState) -> None:
        """Save the checkpoint alone; see ``commit``."""
        self.commit(state, lambda _: None)

    def commit(self, state: SinkState, work: Callable[[sqlite3.Connection], Answer]) -> Answer:
        """Do ``work`` and save the checkpoint, in one transaction.

        Raises:
            SinkError: SQLite failed, or another run has replaced the checkpoint.
        """

        def commit(connection: sqlite3.Connection) -> Answer:
            with transaction(connection):
                answer = work(connection)
                revision = table.save(connection, self._job, self._revision, state)
            self._revision = revision
            return answer

        return self.run(commit)

    def forget(self, work: Callable[[sqlite3.Connection], object] | None = None) -> None:
        """Do ``work`` and drop the checkpoint, in one transaction.

        Raises:
            SinkError: SQLite failed.
        """

        def forget(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if work is not None:
                    work(connection)
                table.drop(connection, self._job)
            self._revision = table.NO_REVISION

        self.run(forget)

    def _inspect_job(self, connection: sqlite3.Connection) -> None:
        table.check(connection)
        if self._inspect_further is not None:
            self._inspect_further(connection)
        # Only now: a file that is refused gets no lock file beside it.
        self._lock.acquire()

    def _prepare_job(self, connection: sqlite3.Connection) -> None:
        table.create(connection)
        if self._create is not None:
            self._create(connection)
        self._revision = table.revision(connection, self._job)

    def _load(self, connection: sqlite3.Connection) -> SinkState | None:
        found = table.read(connection, self._job)
        self._revision, state = (table.NO_REVISION, None) if found is None else found
        return state
