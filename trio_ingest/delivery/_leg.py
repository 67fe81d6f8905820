"""One sink on the way of a delivery: what it has, and what it must not get twice.

After a crash between two sinks' commits one of them is ahead. The run resumes from what
both have, so the one ahead sees documents again that it holds; they are kept from it
until the run has caught up.
"""

from __future__ import annotations

from collections.abc import Sequence

from trio_ingest import Checkpoint, CheckpointError

from ._pending import Pending
from ._sink import Rejection, Remembers, Sink
from ._totals import Delivered, Totals


class Leg:
    """One sink, with what it has committed.

    Args:
        sink: open.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.name = sink.name
        self.totals = Totals()
        # None until the first commit of a new job.
        self.checkpoint: Checkpoint | None = None
        self._is_ahead = False

    async def begin(  # noqa: ASYNC910 -- a sink that remembers nothing is not asked
        self, resumed_from: Checkpoint | None
    ) -> None:
        """Look at what the sink has, and refuse a run that does not fit it.

        Raises:
            CheckpointError: the run would pass over documents that the sink lacks, or
                begin a job again that the sink has a checkpoint of.
        """
        stored = await self._sink.load() if isinstance(self._sink, Remembers) else None
        if stored is None:
            if isinstance(self._sink, Remembers) and _claims_something(resumed_from):
                raise CheckpointError(
                    f"The stream resumes in the middle of a job, and {self.name} has nothing "
                    f"of it, so documents would be missing there. Pass "
                    f"resume_from=await resume_point(...) with all sinks of the delivery."
                )
            return  # noqa: ASYNC910 -- the same
        self.totals, self.checkpoint = stored.totals, stored.checkpoint
        if resumed_from is None:
            raise CheckpointError(
                f"{self.name} has a checkpoint of this job, {_described(stored)}. To go on "
                f"from there, pass resume_from=await resume_point(...) to stream_events; to "
                f"begin again, call `await sink.forget()` first."
            )
        if _keys_of(stored.checkpoint) != _keys_of(resumed_from):
            raise CheckpointError(
                f"What {self.name} has belongs to another pipeline or other params, "
                f"{_described(stored)}. Deliver this job into another place; or, to begin "
                f"again there, call `await sink.forget()` first."
            )
        if not stored.checkpoint.covers(resumed_from):
            raise CheckpointError(
                f"The stream resumes behind what {self.name} has, so documents would be "
                f"missing there. Pass resume_from=await resume_point(...) with all sinks of "
                f"the delivery."
            )
        self._is_ahead = not resumed_from.covers(stored.checkpoint)

    async def commit(
        self, pending: Pending, checkpoint: Checkpoint, rejected: Sequence[Rejection]
    ) -> Sequence[Rejection]:
        """Let the sink commit what it lacks of ``pending``, and the checkpoint.

        Args:
            pending: what has come since the last commit.
            checkpoint: covers exactly that and all before.
            rejected: what the sinks before this one did not take.

        Returns:
            what this one did not take.

        Raises:
            Exception: what the sink's ``write`` raises; then it has what it had.
        """
        if self._is_ahead and self.checkpoint is not None:
            pending = pending.without(self.checkpoint, checkpoint)
            joined = self.checkpoint.join(checkpoint)
            self._is_ahead = joined != checkpoint
            checkpoint = joined
        batch = pending.batch(checkpoint, self.totals, rejected)
        rejections = tuple(await self._sink.write(batch) or ())
        self.totals, self.checkpoint = batch.delivered(rejections).totals, checkpoint
        return rejections

    def described(self) -> str:
        """What the sink has, for a message."""
        of_this_run = "" if isinstance(self._sink, Remembers) else " of this run"
        return f"{self.name} has {_counted(self.totals)}{of_this_run}"


def _claims_something(checkpoint: Checkpoint | None) -> bool:
    return checkpoint is not None and not Checkpoint(()).covers(checkpoint)


def _keys_of(checkpoint: Checkpoint) -> set[tuple[str, str]]:
    return {(p.source, p.parameters) for p in checkpoint.positions}


def _described(stored: Delivered) -> str:
    how = "which has come to its end" if stored.checkpoint.finished else "which was stopped"
    return f"{how} with {_counted(stored.totals)}"


def _counted(totals: Totals) -> str:
    noun = "document" if totals.delivered == 1 else "documents"
    bad = f" and {totals.bad:,} failed" if totals.bad else ""
    return f"{totals.delivered:,} {noun}{bad}"
