"""The base of stores that keep the checkpoint of a job and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trio_ingest import Checkpoint
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState, Totals
from trio_ingest.storage import Resource, ThreadResource


class StateKeeper(Resource, Protocol):
    """A file or a database that keeps one ``SinkState``; for one thread."""

    def load(self) -> SinkState | None:
        """Return what was saved last, or None."""

    def save(self, state: SinkState) -> object:
        """Keep a state in the place of the one before."""

    def forget(self) -> object:
        """Drop what was saved."""


class CheckpointStore(ThreadResource):
    """Base of the stores that keep a checkpoint, and no documents.

    In a delivery a store comes last, after the sink that has the documents: killed between
    the two, it is behind, and what it lacks comes again.

    Args:
        name: the name in messages.
        keeper: the file or database with the checkpoint.

    Memory: O(one checkpoint).
    """

    def __init__(self, name: str, keeper: StateKeeper) -> None:
        super().__init__(name, keeper)
        self._keeper = keeper

    @property
    def guarantee(self) -> Guarantee:
        """At least once: it commits after the documents, not with them."""
        return "at-least-once"

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Keep the checkpoint of a batch, once the sinks before it have its documents.

        Args:
            batch: as they have committed it.

        Returns:
            no rejections.

        Raises:
            SinkError: as ``save``.

        Cancelled here, it is kept, or was not begun.
        """
        await self._in_thread(lambda: self._keeper.save(batch.delivered()))
        return ()

    async def save(self, checkpoint: Checkpoint, totals: Totals | None = None) -> None:
        """Keep a checkpoint in the place of the one before.

        Args:
            checkpoint: covers what is safe.
            totals: of the whole job until there; none counted when None.

        Raises:
            SinkError: the place is locked, full, damaged or cannot be made to outlive a
                crash, or another run has moved the checkpoint.

        Cancelled here, it is kept, or was not begun.
        """
        state = SinkState(checkpoint, Totals() if totals is None else totals)
        await self._in_thread(lambda: self._keeper.save(state))

    async def load(self) -> SinkState | None:
        """Return what was kept last, or None when there is nothing.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
            SinkError: it cannot be read.
        """
        return await self._in_thread(self._keeper.load)

    async def forget(self) -> None:
        """Drop the checkpoint, so that the job can begin again.

        Raises:
            SinkError: it cannot be dropped, or not for good.

        Cancelled here, it is dropped, or was not touched.
        """
        await self._in_thread(self._keeper.forget)
