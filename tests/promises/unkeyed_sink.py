"""A sink that keeps documents and checkpoint together, and has no key to hide a double."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any, Literal, TypeAlias

import anyio
import anyio.lowlevel
import attrs

from tests import worlds
from tests.promises.checks import ENDS, adapter_of, canonical
from tests.promises.scripts import Case, records_of
from tests.worlds import stream_of
from trio_ingest import (
    BatchProgress,
    Checkpoint,
    DocumentCompleted,
    DocumentStarted,
    PipelineEvent,
)

Row: TypeAlias = tuple[str, str, str]
Leaving: TypeAlias = Literal["break", "raise", "cancel"]
LEAVING: Sequence[Leaving] = ("break", "raise", "cancel")


def rows_of(case: Case) -> list[Row]:
    """What a sink must hold at the end: one row for each record, whatever became of it."""
    rows = []
    stories = case.stories()
    for (source, parameters, number), story in stories.items():
        index = records_of(case.scripts[int(source.removeprefix("source"))])[number]
        rows.append(
            (source, parameters, str(index) if story[-1] == "Completed" else f"bad {number}")
        )
    return sorted(rows)


@attrs.define
class Sink:
    """What survives a crash, and the transaction that does not.

    ``commits``: "progress" stores with each checkpoint that comes in the stream, "each"
    with the one that the stream gives at every event, and "apart" stores documents at
    once and checkpoints behind them.
    """

    commits: str = "progress"
    rows: list[Row] = attrs.field(factory=list)
    stored: str | None = None
    _open: list[Row] = attrs.field(factory=list)
    _params: dict[str, str] = attrs.field(factory=dict)

    @property
    def checkpoint(self) -> Checkpoint | None:
        return None if self.stored is None else Checkpoint.from_dict(json.loads(self.stored))

    def take(self, event: PipelineEvent, acknowledged: Checkpoint) -> None:
        if self.commits == "each":
            self._commit(acknowledged)
        if isinstance(event, DocumentStarted):
            self._params[event.adapter] = canonical(event.parameters)
        elif isinstance(event, ENDS):
            source = adapter_of(event)
            text = f"bad {event.record_number}"
            if isinstance(event, DocumentCompleted):
                text = event.document.doc_id
            into = self.rows if self.commits == "apart" else self._open
            into.append((source, self._params[source], text))
        elif isinstance(event, BatchProgress) and event.checkpoint is not None:
            self._commit(event.checkpoint)

    def crash(self) -> None:
        """Whatever was not committed is gone."""
        self._open.clear()

    def _commit(self, checkpoint: Checkpoint) -> None:
        self.rows += self._open
        self._open.clear()
        self.stored = json.dumps(checkpoint.to_dict())


class Stop(Exception):
    """The consumer's own end."""


async def deliver(
    case: Case, sink: Sink, *, stop: int | None = None, leaving: Leaving = "break"
) -> list[PipelineEvent]:
    """Bring a run into a sink, from where the sink says, and crash with event ``stop``."""
    case = attrs.evolve(case, resume_from=sink.checkpoint)
    stream = stream_of(case.pipeline(case.adapters()), **case.options())
    received: list[PipelineEvent] = []

    async def consume(events: Any) -> None:
        async for event in events:
            received.append(event)
            sink.take(event, stream.checkpoint())
            if stop is not None and len(received) > stop:
                if leaving == "raise":
                    raise Stop
                if leaving == "cancel":
                    scope.cancel()
                    await anyio.lowlevel.checkpoint()
                break

    with anyio.CancelScope() as scope:
        try:
            if case.bare and worlds.current.name != "bridge":
                async with aclosing(aiter(stream)) as events:  # type: ignore[type-var]
                    await consume(events)
            else:
                async with stream:
                    await consume(stream)
        except Stop:
            pass
    sink.crash()
    return received
