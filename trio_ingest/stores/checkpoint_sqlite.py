"""The checkpoint of a job in a SQLite database."""

from __future__ import annotations

import os

from trio_ingest.delivery import SinkState
from trio_ingest.storage import JobDatabase

from ._checkpoint_store import CheckpointStore


class SqliteCheckpointStore(CheckpointStore):
    """Keeps the checkpoint of a job in the table ``trio_ingest_checkpoint`` of a SQLite file.

    In a delivery it comes last, after the sink that has the documents: killed between the
    two, it is behind, and what it lacks comes again.

    Args:
        path: the file; it and the table are made when missing, other tables left alone.
        job: the name of the job; several jobs may share a file, also at one time.
        busy_timeout_seconds: the longest wait for another program's lock.

    ``async with`` raises:
        SetupError: the path is empty, a directory, no database, or may not be written; its
            folder is missing; it has such a table of another shape; or another run has it.
        SinkError: another program holds a lock on it, or the disk fails.

    However the block is left, a save under way has been committed or rolled back, the
    connection is closed, and its thread and its lock are gone.

    Memory: O(one checkpoint).
    """

    __module__ = "trio_ingest.stores"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        job: str = "default",
        busy_timeout_seconds: float = 5.0,
    ) -> None:
        keeper = _CheckpointDatabase(
            path, job, lock="checkpoint", busy_timeout_seconds=busy_timeout_seconds
        )
        suffix = "" if job == "default" else f"#{job}"
        super().__init__(f"checkpoint:{keeper.path}{suffix}", keeper)


class _CheckpointDatabase(JobDatabase):
    """A database that keeps the checkpoint and nothing else."""

    def save(self, state: SinkState) -> None:
        """Keep a state in the place of the one before; see ``commit``."""
        self.commit(lambda _: (state, None))
