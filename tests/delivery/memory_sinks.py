"""Sinks in memory, and what a job of several lives must have left in them."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import attrs
import trio

from tests.promises.checks import adapter_of, canonical
from tests.promises.scripts import Case, records_of
from tests.worlds import run
from trio_ingest import Document, PipelineEvent
from trio_ingest.delivery import (
    Batch,
    DeadLetter,
    DeliveryReport,
    Rejection,
    SinkState,
    Totals,
    deliver,
    resume_point,
)

Row: TypeAlias = tuple[str, str, str]
Trouble: TypeAlias = Literal["fail", "before", "after"]


class Killed(BaseException):
    """The process is gone: nothing after this line runs, and no code of ours catches it."""


@attrs.define(eq=False)
class Forgetful:
    """Takes documents, keeps no checkpoint, and has no key that would hide a double.

    ``trouble`` says what happens at which write of this life: it fails, or the process is
    killed before or after the commit.
    """

    name: str = "forgetful"
    rows: list[Row] = attrs.field(factory=list)
    batches: list[Batch] = attrs.field(factory=list)
    trouble: Mapping[int, Trouble] = attrs.field(factory=dict)
    rejects: Callable[[Document], bool] | None = None
    seconds: float = 0
    on_write: Callable[[Batch], object] | None = None
    writes: int = 0
    guarantee: Any = "at-least-once"

    async def __aenter__(self) -> Any:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        trouble = self.trouble.get(self.writes)
        self.writes += 1
        await trio.sleep(self.seconds)
        if trouble == "fail":
            raise OSError("the disk is full")
        if trouble == "before":
            raise Killed
        if self.on_write is not None:
            self.on_write(batch)
        rejections = [
            Rejection(document, "It is not wanted.")
            for document in batch.documents
            if self.rejects is not None and self.rejects(document)
        ]
        self._commit(batch, rejections)
        if trouble == "after":
            raise Killed
        await trio.lowlevel.checkpoint()
        return rejections

    def _commit(self, batch: Batch, rejections: Sequence[Rejection]) -> None:
        self.batches.append(batch)
        refused = {id(rejection.document) for rejection in rejections}
        self.rows += [
            (adapter_of(e), canonical(e.adapter_metadata["parameters"]), e.document.doc_id)
            for e in batch.completed
            if id(e.document) not in refused
        ]
        self.rows += [(e.adapter, "", f"bad {e.record_number}") for e in batch.failed]
        self.rows += [(e.adapter, "", f"skipped {e.doc_id}") for e in batch.skipped]

    def ids(self) -> list[str]:
        return [text for _, _, text in self.rows]


@attrs.define(eq=False)
class Table(Forgetful):
    """The same, and commits what was delivered and the dead letters with the documents."""

    name: str = "table"
    stored: str | None = None
    letters: list[DeadLetter] = attrs.field(factory=list)
    guarantee: Any = "exactly-once"

    def _commit(self, batch: Batch, rejections: Sequence[Rejection]) -> None:
        super()._commit(batch, rejections)
        self.stored = json.dumps(batch.delivered(rejections).to_dict())
        self.letters += batch.dead_letters(rejections)

    async def load(self) -> SinkState | None:
        await trio.lowlevel.checkpoint()
        return None if self.stored is None else SinkState.from_dict(json.loads(self.stored))

    async def forget(self) -> None:
        await trio.lowlevel.checkpoint()
        self.stored = None
        self.letters.clear()

    @property
    def delivered(self) -> SinkState:
        assert self.stored is not None
        return SinkState.from_dict(json.loads(self.stored))

    @property
    def totals(self) -> Totals:
        return self.delivered.totals


def tables(count: int) -> list[Table]:
    return [Table(name=f"table {number}") for number in range(count)]


def rows_of(case: Case, *, without: Collection[str] = ()) -> list[Row]:
    """What a sink must hold at the end of a job, once each."""
    rows: list[Row] = []
    for (source, parameters, number), story in case.stories().items():
        index = records_of(case.scripts[int(source.removeprefix("source"))])[number]
        if story[-1] == "Completed" and str(index) not in without:
            rows.append((source, parameters, str(index)))
        elif story[-1] == "Failed":
            rows.append((source, "", f"bad {number}"))
        elif story[-1] == "Skipped":
            rows.append((source, "", f"skipped {index}"))
    return sorted(rows)


def stream_of(case: Case, **more: Any) -> Any:
    """A stream of the case's pipeline, with fresh adapters."""
    return case.pipeline(case.adapters()).stream_events(**case.options(), **more)


async def deliver_case(case: Case, *sinks: Any, **options: Any) -> DeliveryReport:
    """One life of a job, from where its sinks say."""
    case = attrs.evolve(case, resume_from=await resume_point(*sinks))
    return await deliver(stream_of(case), *sinks, **options)


async def live(case: Case, *sinks: Any, **options: Any) -> bool:
    """The same; whether it came to its end, and was not killed by a sink."""
    for sink in sinks:
        sink.writes = 0
    try:
        await deliver_case(case, *sinks, **options)
    except (Killed, OSError):
        return False
    return True


def lived(case: Case, *sinks: Any, **options: Any) -> bool:
    """One life in a run of its own."""
    return run(lambda: live(case, *sinks, **options))


@attrs.define
class Watch:
    """The events that a delivery has taken so far; what it commits must cover just these."""

    events: list[PipelineEvent] = attrs.field(factory=list)

    def __call__(self, event: PipelineEvent) -> None:
        self.events.append(event)
