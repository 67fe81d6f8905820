"""Logs of real runs, and what edits them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import attrs
import trio
import trio.testing

from trio_ingest import (
    Checkpoint,
    Cursor,
    Document,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
)
from trio_ingest.eventlog import Recorder


@attrs.frozen(kw_only=True)
class PageRead(PipelineEvent):
    """An adapter's own event."""

    page: int


class Feed:
    """Numbers; every seventh is bad, every fifth wants a second try."""

    stable_order = True

    def __init__(self, count: int = 30, source: str = "feed") -> None:
        self.count = count
        self.source = source
        self.tried: set[int] = set()

    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        for number in range(self.count):
            yield number

    def parse(self, record: int) -> Document:
        if record % 7 == 3:
            raise ValueError("a bad record")
        if record % 5 == 1 and record not in self.tried:
            self.tried.add(record)
            raise OSError("try again")
        return Document(str(record), self.source, f"text {record}")


class Pages(Feed):
    """With cursors and events of its own, in no stable order."""

    stable_order = False

    async def fetch(self, *, cursor: int | None = None, **params: Any) -> AsyncIterator[Any]:
        for number in range(cursor or 0, self.count):
            yield number
            if number % 4 == 3:
                yield PageRead(page=number // 4)
                yield Cursor(number + 1)


class Named(Feed):
    """Says of a record what it is before it is parsed."""

    def identify(self, record: int) -> str:
        return str(record)


class Dying(Feed):
    """Breaks down half way."""

    async def fetch(self, **params: Any) -> AsyncIterator[Any]:
        for number in range(self.count // 2):
            yield number
        raise RuntimeError("the source broke down")


def run(main: Callable[..., Any], *arguments: Any) -> Any:
    """On a clock that jumps over every wait."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(main, *arguments, clock=clock)


def record(
    path: Path,
    *adapters: Any,
    stop_after: int | None = None,
    drain_after: int | None = None,
    bare: bool = False,
    policy: dict[str, Any] | None = None,
    **options: Any,
) -> Checkpoint:
    """Record a run; gives what was acknowledged at its end."""
    pipeline = IngestionPipeline(
        *(adapters or (Feed(),)),
        retry=RetryPolicy(attempts=2, base_seconds=0.1, seed=1),
        **(policy or {}),
    )
    options = {"progress_interval": 5, "checkpoint_interval": 10, **options}

    async def main() -> Checkpoint:
        stream = pipeline.stream_events(**options)
        with Recorder(path) as recorder:
            if bare:
                async for event in stream:
                    recorder.take(event)
                return stream.checkpoint()
            async with stream as events:
                try:
                    count = 0
                    async for _event in recorder.recording(events):
                        count += 1
                        if count == drain_after:
                            events.drain()
                        if count == stop_after:
                            break
                except* RuntimeError:
                    pass  # a source broke down
            return stream.checkpoint()

    found: Checkpoint = run(main)
    return found


def lines_of(path: Path) -> list[dict[str, Any]]:
    """What is in a log, as JSON."""
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def write(path: Path, events: list[dict[str, Any]], *, renumber: bool = False) -> None:
    """Write it back, with the numbers put right if wanted."""
    if renumber:
        events = [{**event, "sequence": place} for place, event in enumerate(events)]
    path.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in events))
