"""The delivery into one sink, which must lack nothing and get nothing twice.

After a crash between two sinks' commits one of them is ahead. The run resumes from what
both have, so the one ahead sees documents again that it holds; they are kept from it
until the run has caught up.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence

from trio_ingest import Checkpoint, CheckpointError, SetupError

from ._batch_builder import BatchBuilder
from ._sink import Batch, Rejection, ResumableSink, Sink, matched, record_key
from ._totals import RecordKey, SinkState, Totals
from .errors import SinkError


class SinkTask:
    """One sink of a delivery, and the state that it has committed.

    Args:
        sink: open.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self.name = sink.name
        # None until the first commit of a new job.
        self._state: SinkState | None = None
        self._is_ahead = False

    @property
    def totals(self) -> Totals:
        """The counts of the whole job, as far as the sink has it."""
        return Totals() if self._state is None else self._state.totals

    @property
    def keeps_checkpoint(self) -> bool:
        """True if the sink keeps what a later run can go on from."""
        return isinstance(self._sink, ResumableSink)

    async def is_readable(self) -> bool:  # noqa: ASYNC910 -- a sink without state is not asked
        """Say whether the state of the sink can be read."""
        if not isinstance(self._sink, ResumableSink):
            return True  # noqa: ASYNC910 -- the same
        try:
            await self._sink.load()
        except CheckpointError:
            return False  # noqa: ASYNC910 -- the same
        return True

    async def forget(self) -> None:  # noqa: ASYNC910 -- the same
        """Let the sink drop what it keeps of the job."""
        if isinstance(self._sink, ResumableSink):
            await self._sink.forget()

    async def load(  # noqa: ASYNC910 -- the same
        self, resumed_from: Checkpoint | None
    ) -> None:
        """Read the state of the sink, and refuse a run that does not fit it.

        Raises:
            CheckpointError: the run would pass over documents that the sink lacks, or
                begin a job again that the sink has a checkpoint of.
            Exception: what the sink's ``load`` raises.
        """
        stored = await self._sink.load() if isinstance(self._sink, ResumableSink) else None
        if stored is None:
            if isinstance(self._sink, ResumableSink) and _claims_something(resumed_from):
                raise CheckpointError(
                    f"The stream resumes in the middle of a job, and {self.name} has nothing "
                    f"of it, so documents would be missing there. Pass "
                    f"resume_from=await resume_point(...) with all sinks of the delivery."
                )
            return  # noqa: ASYNC910 -- the same
        self._state = stored
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
        self, pending: BatchBuilder, checkpoint: Checkpoint, rejected: list[Rejection]
    ) -> Sequence[Rejection]:
        """Let the sink commit what it lacks of ``pending``, and the checkpoint.

        Args:
            pending: what has come since the last commit.
            checkpoint: covers exactly that and all before.
            rejected: documents that the sinks before this one did not take; those that this
                one did not take, now or in an earlier run, are added.

        Returns:
            the documents that it did not take now.

        Raises:
            SinkError: it rejected what is not in its batch.
            Exception: what the sink's ``write`` raises; then it has what it had.
        """
        state, known, again = self._state, frozenset[RecordKey](), list[Rejection]()
        if state is not None and self._is_ahead:
            known = state.rejected
            pending, held = pending.without(state.checkpoint, checkpoint)
            again = [
                Rejection(event.document, f"{self.name} rejected it in an earlier run.")
                for event in held
                if known and record_key(event, checkpoint) in known
            ]
            joined = state.checkpoint.join(checkpoint)
            self._is_ahead = joined != checkpoint
            checkpoint = joined
        batch = pending.batch(checkpoint, state, rejected, known)
        rejections = await self._write(batch)
        self._state = batch.delivered(rejections)
        rejected += [*rejections, *again]
        return rejections

    async def _write(self, batch: Batch) -> tuple[Rejection, ...]:
        """Return the rejections of the sink, once they are known to be some."""
        answer: object = self._sink.write(batch)
        if not inspect.isawaitable(answer):
            raise SetupError(
                f"The write of {self.name} must be a coroutine function, `async def write`, "
                f"and gave {answer!r:.80}."
            )
        found = await answer
        if found is None:
            return ()
        rejections = tuple(found) if isinstance(found, Iterable) else (found,)
        for rejection in rejections:
            if not isinstance(rejection, Rejection):
                raise SinkError(
                    f"The write of {self.name} gave {rejection!r:.80}, which is no Rejection. "
                    f"Let it give a list of those, or an empty one."
                )
        matched(batch, rejections, self.name)
        return rejections

    def summary(self) -> str:
        """Return in words how much the sink has."""
        of_this_run = "" if isinstance(self._sink, ResumableSink) else " of this run"
        return f"{self.name} has {_counted(self.totals)}{of_this_run}"


def _claims_something(checkpoint: Checkpoint | None) -> bool:
    return checkpoint is not None and not Checkpoint(()).covers(checkpoint)


def _keys_of(checkpoint: Checkpoint) -> set[tuple[str, str]]:
    return {(p.source, p.parameters) for p in checkpoint.positions}


def _described(stored: SinkState) -> str:
    how = "which has come to its end" if stored.checkpoint.finished else "which was stopped"
    return f"{how} with {_counted(stored.totals)}"


def _counted(totals: Totals) -> str:
    noun = "document" if totals.delivered == 1 else "documents"
    bad = f" and {totals.bad:,} failed" if totals.bad else ""
    return f"{totals.delivered:,} {noun}{bad}"
