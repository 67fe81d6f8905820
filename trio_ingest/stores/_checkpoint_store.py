"""The base of stores that keep the checkpoint of a job and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trio_ingest import Checkpoint
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState, Totals
from trio_ingest.storage import StateResource, ThreadSink


class StateKeeper(StateResource, Protocol):
    """A file or a database that keeps one ``SinkState``; for one thread."""

    def save(self, state: SinkState) -> object:
        """Keep a state in the place of the one before."""


class CheckpointStore(ThreadSink):
    """Base of the stores that keep a checkpoint, and no documents.

    In a delivery a store comes last, after the sink that has the documents: killed between
    the two, it is behind, and what it lacks comes again.

    Args:
        name: the name in messages.
        keeper: the file or database with the checkpoint.

    Memory: O(one checkpoint).
    """

    # It commits after the documents, not with them.
    guarantee: Guarantee = "at-least-once"

    def __init__(self, name: str, keeper: StateKeeper) -> None:
        super().__init__(name, keeper)
        self._keeper = keeper

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
        await self._run_in_thread(lambda: self._keeper.save(batch.delivered()))
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
        await self._run_in_thread(lambda: self._keeper.save(state))
