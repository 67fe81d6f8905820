"""Documents into a SQLite database, each batch with its checkpoint in one transaction."""

from __future__ import annotations

import os
import sqlite3
from typing import get_args

from trio_ingest import SetupError
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState
from trio_ingest.storage import JobDatabase, ThreadSink

from ._dead_letters import (
    check_dead_letters,
    create_dead_letters,
    delete_dead_letters,
    insert_dead_letters,
)
from ._full_text import build_full_text, check_full_text
from ._rows import rows_of
from ._schema import check_documents, create_documents
from ._writer import Duplicates, RowWriter


class SqliteSink(ThreadSink):
    """Puts documents into the table ``documents`` of a SQLite file.

    Args:
        path: the file; it and its tables are made when missing.
        duplicates: the rule for a document whose ``doc_id`` is there already: ``replace``
            puts it in place of the earlier one, ``keep`` leaves the earlier one, ``fail``
            rejects it, ``allow`` makes every document a row.
        full_text: True to make an FTS5 index, ``documents_full_text(content)``. Triggers keep
            it from then on, also when other programs write (but for their ``INSERT OR
            REPLACE``, of which SQLite tells no trigger unless that program turns on
            ``recursive_triggers``); rows that are there already are read once.
        job: the name of the checkpoint in the database. Jobs share the documents.
        busy_timeout_seconds: the longest wait for another program's lock.

    ``raw`` is stored as it is when it is text, bytes, a number or None, and as JSON
    otherwise; ``metadata`` as JSON. The checkpoint of each job is in the table
    ``trio_ingest_checkpoint``, its failed records and rejected documents are in
    ``trio_ingest_dead_letters``; ``forget`` drops both, and the documents stay. A run that
    writes a job while another has added to it, or dropped it, fails at its next batch. The
    database is in WAL mode, so others can read while a run writes.

    ``async with`` raises:
        SetupError: an argument is wrong; the path is empty or a directory, its folder is
            missing, the file is no database, may not be written, or has a table
            ``documents`` that does not fit; or this SQLite has no FTS5.
        SinkError: another program holds a lock on it, or the disk fails.

    However the block is left, a write under way has been committed or rolled back, the
    connection is closed and its thread is gone.

    Memory: O(one batch).
    """

    __module__ = "trio_ingest.sinks"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        duplicates: Duplicates = "replace",
        full_text: bool = False,
        job: str = "default",
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        if duplicates not in get_args(Duplicates):
            raise SetupError(
                f"duplicates must be 'replace', 'keep', 'fail' or 'allow'; got "
                f"{duplicates!r:.80}."
            )
        self._duplicates = duplicates
        self._full_text = full_text
        self._job = job
        self._writer = RowWriter(duplicates)
        self._conflicts = 0
        self._database = JobDatabase(
            path,
            job,
            create=self._create,
            inspect=self._inspect,
            forget=lambda connection: delete_dead_letters(connection, job),
            busy_timeout_seconds=busy_timeout_seconds,
        )
        suffix = "" if job == "default" else f"#{job}"
        super().__init__(f"sqlite:{self._database.path}{suffix}", self._database)

    # Documents and checkpoint are committed in one transaction.
    guarantee: Guarantee = "exactly-once"

    @property
    def replaced(self) -> int:
        """The number of documents that this object has put in place of an earlier one."""
        return self._conflicts if self._duplicates == "replace" else 0

    @property
    def kept(self) -> int:
        """The number of documents that gave way to an earlier one, which was kept."""
        return self._conflicts if self._duplicates == "keep" else 0

    async def write(self, batch: Batch) -> list[Rejection]:
        """Commit a batch in one transaction: documents, dead letters and checkpoint.

        Args:
            batch: what has come since the last one.

        Returns:
            the documents that cannot be stored, with the reason: half of a surrogate
            pair, a value too long, no JSON form, a rule of a table that was there, or,
            with ``duplicates="fail"``, an id that is there already.

        Raises:
            SinkError: the database is locked, full or damaged, or another run is writing
                the job. Nothing of this batch is stored, and what was committed before
                stays; once the cause is gone, the same batch can be written again.

        Cancelled here, the batch has been committed whole or not begun, so nothing is
        lost: a resumed run begins where the checkpoint says. Some hundred documents in a
        batch make its cost small beside SQLite's own.

        Memory: O(the batch).
        """
        return await self._run_in_thread(lambda: self._write(batch))

    async def unfinished_jobs(self) -> list[str]:
        """Return the names of the jobs in the file that have not come to their end.

        Raises:
            SinkError: the database cannot be read.
        """
        return await self._run_in_thread(self._database.unfinished_jobs)

    # Everything below runs in the owner thread.

    def _inspect(self, connection: sqlite3.Connection) -> None:
        path, is_unique = self._database.path, self._duplicates != "allow"
        check_documents(connection, path, is_unique=is_unique, full_text=self._full_text)
        check_full_text(connection, path, wanted=self._full_text)
        check_dead_letters(connection, path)

    def _create(self, connection: sqlite3.Connection) -> None:
        create_documents(connection, is_unique=self._duplicates != "allow")
        create_dead_letters(connection)
        if self._full_text:
            build_full_text(connection)
        self._writer.attach(connection)

    def _write(self, batch: Batch) -> list[Rejection]:
        documents = batch.documents
        rows, unfit = rows_of(documents)
        rejections = [Rejection(documents[place], why) for place, why in unfit.items()]

        def write(connection: sqlite3.Connection) -> tuple[SinkState, int]:
            refused = self._writer.write(connection, rows)
            if refused:
                rowed = [d for place, d in enumerate(documents) if place not in unfit]
                rejections.extend(
                    Rejection(rowed[place], why) for place, why in refused.items()
                )
            insert_dead_letters(connection, self._job, batch.dead_letters(rejections))
            return batch.delivered(rejections), self._writer.conflicts

        self._conflicts += self._database.commit(write)
        return rejections
