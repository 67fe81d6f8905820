"""The streams that can be delivered: those of the engine, and replayed ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Protocol

from trio_ingest import Checkpoint, PipelineEvent, StreamStatistics


class CheckpointedStream(Protocol):
    """A stream of events that says how far its consumer has come.

    ``EventStream`` is one, and ``trio_ingest.eventlog.ReplayStream``.
    """

    @property
    def resumed_from(self) -> Checkpoint | None:
        """The checkpoint that it began from; None at the beginning."""

    @property
    def was_begun(self) -> bool:
        """True once it has been entered, iterated or closed."""

    @property
    def was_iterated(self) -> bool:
        """True once an event has been taken from it."""

    @property
    def shows_everything(self) -> bool:
        """True when the events have every number from 0 on."""

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of exactly what the consumer has acknowledged."""

    def statistics(self) -> StreamStatistics:
        """Return the numbers of this moment."""

    async def __aenter__(self) -> Any:
        """Start the stream."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> None:
        """Stop the stream."""

    def __aiter__(self) -> AsyncIterator[PipelineEvent]:
        """Return the iterator of the events."""


CheckpointedStream.__module__ = "trio_ingest.delivery"


_MEMBERS: Final = frozenset(name for name in vars(CheckpointedStream) if name[:1] != "_") | {
    "__aenter__",
    "__aiter__",
}


def is_checkpointed_stream(stream: object) -> bool:
    """Say whether an object has all of that; nothing of it is called."""
    return all(hasattr(type(stream), name) for name in _MEMBERS)
