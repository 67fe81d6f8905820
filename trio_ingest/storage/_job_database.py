"""A SQLite file that keeps the checkpoint of a job, in one transaction with other work."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

from trio_ingest import SetupError
from trio_ingest.delivery import SinkError, SinkState

from . import checkpoint_table as table
from ._locks import FileLock
from ._paths import path_text
from ._sqlite import SqliteDatabase, transaction

Answer = TypeVar("Answer")


class JobDatabase(SqliteDatabase):
    """A SQLite file with the checkpoint of a job, to be used in one thread.

    A run that has not read the checkpoint, or of which another run has replaced it, commits
    nothing.

    Args:
        path: the file; it and its tables are made when missing.
        job: the name of the job; jobs may share the file, also at one time.
        create: makes further tables, inside a transaction; None for none.
        inspect: refuses a database that cannot be used, before anything is changed.
        forget: drops what goes with the checkpoint, inside a transaction; None for nothing.
        lock: a word that keeps a second run away that has the same word and job, with a
            lock file named by both; such a run need not read the checkpoint, and has one of
            its own. None for no lock.
        busy_timeout_seconds: the longest wait for another program's lock.

    Raises:
        SetupError: ``job`` is no name, or ``busy_timeout_seconds`` is out of range.

    Memory: as ``SqliteDatabase``.
    """

    __module__ = "trio_ingest.storage"

    def __init__(
        self,
        path: str | os.PathLike[str],
        job: str,
        *,
        create: Callable[[sqlite3.Connection], object] | None = None,
        inspect: Callable[[sqlite3.Connection], object] | None = None,
        forget: Callable[[sqlite3.Connection], object] | None = None,
        lock: str | None = None,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        given: object = job
        if not isinstance(given, str) or not given or not given.isprintable():
            raise SetupError(
                f"job must be a text of at least one printable character; got {job!r:.80}."
            )
        super().__init__(
            path,
            self._prepare_job,
            inspect=self._inspect_job,
            busy_timeout_seconds=busy_timeout_seconds,
        )
        self._job = job if lock is None else f"{lock}:{job}"
        suffix = "" if job == "default" else f"-{quote(job, safe='')}"
        self._lock = None if lock is None else FileLock(f"{self.path}.{lock}{suffix}")
        self._create = create
        self._inspect_further = inspect
        self._forget_further = forget
        self._was_read = False
        self._revision = table.NO_REVISION

    def close(self) -> None:
        """Close the file and release the lock."""
        try:
            super().close()
        finally:
            if self._lock is not None:
                self._lock.release()

    def load(self) -> SinkState | None:
        """Return what the last commit of the job left, or None before the first one.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
            SinkError: the database cannot be read.
        """
        found = self.run(lambda connection: table.read(connection, self._job))
        self._was_read = True
        self._revision, state = (table.NO_REVISION, None) if found is None else found
        return state

    def unfinished_jobs(self) -> list[str]:
        """Return the names of the jobs in the file that have not come to their end.

        Raises:
            SinkError: the database cannot be read.
        """
        return self.run(table.unfinished_jobs)

    def commit(self, work: Callable[[sqlite3.Connection], tuple[SinkState, Answer]]) -> Answer:
        """Do ``work`` and save the checkpoint, in one transaction.

        Args:
            work: writes what is to be committed; returns the state to save with it, and
                what ``commit`` returns.

        Raises:
            SinkError: SQLite failed; another run has replaced the checkpoint; or there is
                one that was not read. Nothing is committed.
        """

        def commit(connection: sqlite3.Connection) -> Answer:
            with transaction(connection):
                state, answer = work(connection)
                if not self._was_read and table.revision(connection, self._job):
                    raise SinkError(
                        f"{path_text(self.path)} has a checkpoint of the job {self._job!r} "
                        f"already, and this run has not looked at it; nothing of this batch "
                        f"was committed. Resume from `await resume_point(sink)`, or call "
                        f"`await sink.forget()` to begin again."
                    )
                revision = table.save(connection, self._job, self._revision, state)
            # Here and not in the caller's task, which may be cancelled by now.
            self._was_read, self._revision = True, revision
            return answer

        return self.run(commit)

    def forget(self, work: Callable[[sqlite3.Connection], object] | None = None) -> None:
        """Drop the checkpoint, and what goes with it, in one transaction.

        Args:
            work: drops that; None for the ``forget`` that the database was made with.

        Raises:
            SinkError: SQLite failed; nothing is dropped.
        """
        work = work or self._forget_further

        def forget(connection: sqlite3.Connection) -> None:
            with transaction(connection):
                if work is not None:
                    work(connection)
                table.drop(connection, self._job)
            self._was_read, self._revision = True, table.NO_REVISION

        self.run(forget)

    def _check(self, connection: sqlite3.Connection) -> None:
        table.check_table(connection)
        if self._inspect_further is not None:
            self._inspect_further(connection)

    def _inspect_job(self, connection: sqlite3.Connection) -> None:
        self._check(connection)
        if self._lock is not None:
            # Only now: a file that is refused gets no lock file beside it.
            self._lock.acquire()

    def _prepare_job(self, connection: sqlite3.Connection) -> None:
        # Once more, now that no other process can write: it may have been made meanwhile.
        self._check(connection)
        table.create(connection)
        if self._create is not None:
            self._create(connection)
        self._was_read, self._revision = False, table.NO_REVISION
        if self._lock is not None:
            self._was_read, self._revision = True, table.revision(connection, self._job)
