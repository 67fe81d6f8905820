"""The output side: the protocols of sinks, and the batches that they are given."""

from collections.abc import Sequence
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias, runtime_checkable

import attrs

from trio_ingest import (
    Checkpoint,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentSkipped,
)

from ._dead_letters import DeadLetter
from ._totals import RecordKey, SinkState, Totals
from .errors import SinkError

Guarantee: TypeAlias = Literal["at-least-once", "exactly-once"]


@attrs.frozen
class Rejection:
    """One document that a sink did not take; the rest of its batch is not affected.

    Args:
        document: the document itself, not a copy.
        reason: the reason, as a sentence that people will read.
    """

    __module__ = "trio_ingest.delivery"

    document: Document
    reason: str


@attrs.frozen(kw_only=True, eq=False)
class Batch:
    """The ends of records that a sink commits in one piece: all of them, or nothing.

    Args:
        completed: the events that bring the documents, in the order of the stream.
        failed: the records that became no document.
        skipped: the documents that were done already.
        checkpoint: covers exactly what this batch and those before it hold.
        before: the totals of the job until the batch before.
        rejected: documents of this batch that a sink before this one did not take; they
            are in ``completed`` as well.
        previous: the checkpoint of the last batch, None before the first: a sink that other
            runs can write to may commit only when it still has this one.
        known: rejected records that the next ``SinkState`` goes on naming.

    Memory: the documents, each held once.
    """

    __module__ = "trio_ingest.delivery"

    checkpoint: Checkpoint
    completed: Sequence[DocumentCompleted] = ()
    failed: Sequence[DocumentFailed] = ()
    skipped: Sequence[DocumentSkipped] = ()
    before: Totals = attrs.field(factory=Totals)
    rejected: Sequence[Rejection] = ()
    previous: Checkpoint | None = None
    known: frozenset[RecordKey] = frozenset()

    @property
    def documents(self) -> list[Document]:
        """The documents, in the order of the stream."""
        return [event.document for event in self.completed]

    def delivered(self, rejections: Sequence[Rejection] = ()) -> SinkState:
        """Return the state to commit together with the documents, by its ``to_dict``.

        Args:
            rejections: the documents of this batch that the sink does not take.
        """
        ours = {id(rejection.document) for rejection in rejections}
        others = [one for one in self.rejected if id(one.document) not in ours]
        missing = ours.union(id(one.document) for one in others)
        keys = {
            record_key(event, self.checkpoint)
            for event in (self.completed if missing else ())
            if id(event.document) in missing
        }
        totals = self.before.plus(
            completed=len(self.completed),
            failed=len(self.failed),
            skipped=len(self.skipped),
            rejected=len(rejections) + len(others),
        )
        return SinkState(self.checkpoint, totals, self.known | keys)

    def dead_letters(self, rejections: Sequence[Rejection] = ()) -> list[DeadLetter]:
        """Return what to keep of the failed records and the rejected documents.

        Args:
            rejections: the documents of this batch that the sink does not take.

        Raises:
            SinkError: one of them is not in the batch.

        Memory: for each of them its record as text, cut at a million characters.
        """
        return [
            *(DeadLetter.of_failure(event) for event in self.failed),
            *(
                DeadLetter.of_rejection(event, rejection.document, rejection.reason)
                for event, rejection in matched(self, rejections)
            ),
        ]


def matched(
    batch: Batch, rejections: Sequence[Rejection], by: str = "A sink"
) -> list[tuple[DocumentCompleted, Rejection]]:
    """Return each rejection behind the event that brought its document.

    Args:
        batch: the batch that was written.
        rejections: the answer of a sink.
        by: the name of the sink.

    Raises:
        SinkError: a document is not in the batch, or rejected more often than it is there.
    """
    if not rejections:
        return []
    # Lists, because an adapter may give one document for several records.
    left: dict[int, list[DocumentCompleted]] = {}
    for event in reversed(batch.completed):
        left.setdefault(id(event.document), []).append(event)
    found = []
    for rejection in rejections:
        events = left.get(id(rejection.document))
        if not events:
            raise SinkError(
                f"{by} rejected the document {rejection.document.doc_id!r:.80} twice, or in a "
                f"form that is not in its batch. Let it reject the document itself, not a "
                f"copy, and once."
            )
        found.append((events.pop(), rejection))
    return found


def record_key(event: DocumentCompleted, checkpoint: Checkpoint) -> RecordKey:
    """Return the name that the record of an event also has in a later run."""
    source, params = event.adapter_metadata["adapter"], event.adapter_metadata["parameters"]
    position = checkpoint.position(source, params)
    return source, "" if position is None else position.parameters, event.record_number


class Sink(Protocol):
    """The output side: an object with these, used inside ``async with``.

    ``deliver`` calls ``write`` from one task, one batch at a time. It enters and leaves no
    sink: the caller does.
    """

    @property
    def name(self) -> str:
        """The name in messages, like ``sqlite:documents.db``."""

    @property
    def guarantee(self) -> Guarantee:
        """The guarantee for a document when runs are killed and resumed.

        ``exactly-once`` may be said by a sink that commits documents and checkpoint in
        one piece; it holds for adapters with ``stable_order``.
        """

    async def __aenter__(self) -> Self:
        """Open the sink."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> bool | None:
        """Close the sink; what was committed stays."""

    async def write(self, batch: Batch) -> Sequence[Rejection] | None:
        """Commit the batch, and with it ``batch.delivered(rejections)``, or nothing.

        Called once for each batch, also for one without documents, whose checkpoint is news.

        Args:
            batch: what has come since the last one.

        Returns:
            the documents that it can never take, with the reason: those of the batch
            themselves, each once. It must not raise for them: they are counted and kept
            like failed ones, and do not come again.

        Raises:
            Exception: the batch was not committed, or that is unknown (a connection that
                died in a commit); the run ends with this, and the next one asks ``load``.
        """


Sink.__module__ = "trio_ingest.delivery"


@runtime_checkable
class ResumableSink(Protocol):
    """A sink that keeps the checkpoint, so that a run can be resumed from it."""

    async def load(self) -> SinkState | None:
        """Return what the last committed batch left, or None before the first one."""

    async def forget(self) -> None:
        """Drop checkpoint, totals and dead letters, so that a job can begin again."""


ResumableSink.__module__ = "trio_ingest.delivery"
