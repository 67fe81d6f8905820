"""How much is alive: records, documents, events, and what the state of a run holds."""

from __future__ import annotations

import gc
import weakref
from collections.abc import AsyncIterator
from types import FunctionType, ModuleType
from typing import Any

from tests.promises.adapters import Plain
from trio_ingest import Document, PipelineEvent


class Living:
    """Counts those of the things it was shown that are still alive."""

    def __init__(self) -> None:
        self.most = 0
        self._alive: dict[int, weakref.ref[Any]] = {}

    @property
    def count(self) -> int:
        return len(self._alive)

    def watch(self, thing: Any) -> Any:
        place = id(thing)
        self._alive[place] = weakref.ref(thing, lambda _: self._alive.pop(place))
        self.most = max(self.most, len(self._alive))
        return thing


class Record:
    """One raw item that can be watched."""

    __slots__ = ("__weakref__", "number")

    def __init__(self, number: int) -> None:
        self.number = number


class Counted(Plain):
    """Counts how many of its records and documents are alive."""

    def __init__(self, count: int, source: str = "plain") -> None:
        super().__init__(source, count)
        self.records = Living()
        self.documents = Living()

    async def fetch(self) -> AsyncIterator[Any]:
        for number in range(self.count):
            self.fetched += 1
            yield self.records.watch(Record(number))

    def parse(self, record: Record) -> Any:
        return self.documents.watch(Document(str(record.number), self.source, ""))


def living_events(pipeline_id: str) -> int:
    """How many events of one run are alive, wherever they are."""
    return sum(
        isinstance(thing, PipelineEvent) and thing.pipeline_id == pipeline_id
        for thing in gc.get_objects()
    )


def weight(*roots: object) -> int:
    """How many objects can be reached from these, code left out."""
    seen: set[int] = set()
    waiting = list(roots)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type | ModuleType | FunctionType):
            continue
        seen.add(id(thing))
        waiting.extend(gc.get_referents(thing))
    return len(seen)
