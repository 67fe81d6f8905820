"""The checkpoint of a job in a SQLite database."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from trio_ingest import Checkpoint
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState, Totals

from ._job_database import DEFAULT_JOB, JobDatabase


class SqliteCheckpointStore:
    """Keeps the checkpoint of a job in the table ``trio_ingest_checkpoint`` of a SQLite file.

    Args:
        path: the file; it and the table are made when missing, other tables left alone.
        job: whose checkpoint it is; several jobs may share a file, also at one time.
        busy_timeout_seconds: how long to wait for another program's lock.

    In a delivery it comes last, after the sink that has the documents: killed between the
    two, it is behind, and what it lacks comes again.

    Use it with ``async with``, which raises:
        SetupError: the path is empty, a directory, no database, or may not be written; its
            folder is missing; it has such a table of another shape; or another run has it.
        SinkError: another program holds a lock on it, or the disk fails.

    However the block is left, a write under way has been committed or rolled back, the
    connection is closed, and its thread and its lock are gone.

    Memory: O(one checkpoint).
    """

    __module__ = "trio_ingest.stores"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        job: str = DEFAULT_JOB,
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        self._database = JobDatabase(
            path, "checkpoint", job, busy_timeout_seconds=busy_timeout_seconds
        )
        suffix = "" if job == DEFAULT_JOB else f"#{job}"
        self._name = f"checkpoint:{self._database.path}{suffix}"

    @property
    def name(self) -> str:
        """What messages call it."""
        return self._name

    @property
    def guarantee(self) -> Guarantee:
        """It commits after the documents, not with them."""
        return "at-least-once"

    async def __aenter__(self) -> Self:
        await self._database.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._database.close()  # noqa: ASYNC102 -- it shields itself, with a limit

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Keep the checkpoint of the batch, once everybody before it has its documents.

        Raises:
            SinkError: as ``save``.

        Cancelled here, it is committed, or was not begun.
        """
        await self._save(batch.delivered())
        return ()

    async def save(self, checkpoint: Checkpoint, totals: Totals | None = None) -> None:
        """Keep a checkpoint in the place of the one before.

        Args:
            checkpoint: covers what is safe.
            totals: of the whole job until there, where somebody counts.

        Raises:
            SinkError: the database is locked, full or damaged, or another run has moved
                the checkpoint; the one before stays.

        Cancelled here, it is committed, or was not begun.
        """
        await self._save(SinkState(checkpoint, Totals() if totals is None else totals))

    async def load(self) -> SinkState | None:
        """What was kept last, or None when there is nothing.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
            SinkError: the database cannot be read.
        """
        return await self._database.load()

    async def forget(self) -> None:
        """Drop the checkpoint, so that the job can begin again.

        Raises:
            SinkError: the database is locked, full or damaged; the checkpoint stays.

        Cancelled here, it is dropped, or was not touched.
        """
        await self._database.forget()

    async def _save(self, delivered: SinkState) -> None:
        await self._database.commit(delivered, lambda _: None)
