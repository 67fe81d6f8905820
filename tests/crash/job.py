"""The job that is killed and resumed: lines of a file into one sink or several.

As a program it runs the job once, from wherever its sinks say, and reports progress on
standard output while it does:

    python -m tests.crash.job PATH SINK... [--workers N] [--batch-size N] [--source NAME]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import trio

from trio_ingest import BatchProgress, IngestionPipeline, PipelineEvent
from trio_ingest.adapters import JsonLinesAdapter
from trio_ingest.delivery import DeliveryReport, SinkState, deliver, resume_point
from trio_ingest.sinks import JsonLinesSink, SqliteSink

BAD = 97  # every so many lines, one that is no document


def write_source(path: Path, count: int, *, characters: int = 500) -> None:
    """Lines of which some are bad, some blank, and some have the id of another one."""
    with path.open("w", encoding="utf-8") as file:
        for number in range(count):
            if number % BAD == BAD - 1:
                file.write('{"text": "nobody gave it an id"}\n\n')
                continue
            doc_id = number - 1 if number % 50 == 49 else number
            text = f"{number} {hashlib.sha256(str(number).encode()).hexdigest()} "
            line = {"id": doc_id, "text": (text * 8)[:characters], "year": 1900 + number % 99}
            file.write(f"{json.dumps(line)}\n")


def sink_of(spelling: str) -> Any:
    """``sqlite:``, ``rows:`` (no unique key) or ``jsonl:``, and a path."""
    kind, _, path = spelling.partition(":")
    if kind == "jsonl":
        return JsonLinesSink(path)
    return SqliteSink(path, duplicates="allow" if kind == "rows" else "replace")


async def run(
    path: str,
    spellings: Sequence[str],
    *,
    workers: int = 1,
    batch_size: int = 20,
    source: str = "lines",
) -> DeliveryReport:
    """The job, from wherever its sinks say."""
    sinks = [sink_of(spelling) for spelling in spellings]
    pipeline = IngestionPipeline(JsonLinesAdapter(path, source=source), workers=workers)
    async with AsyncExitStack() as stack:
        for sink in sinks:
            await stack.enter_async_context(sink)
        stream = pipeline.stream_events(
            progress_interval=100, resume_from=await resume_point(*sinks)
        )
        return await deliver(stream, *sinks, batch_size=batch_size, on_event=report)


def report(event: PipelineEvent) -> None:
    """Say on standard output, at once, that there is progress."""
    if isinstance(event, BatchProgress):
        os.write(1, b"progress\n")


# -- what is there afterwards --------------------------------------------------------------


def hashes(spelling: str) -> list[str]:
    """One hash for each row, sorted: what a sink holds, whatever the order."""
    kind, _, path = spelling.partition(":")
    if kind == "jsonl":
        rows: Iterable[Any] = Path(path).read_bytes().splitlines()
    else:
        with closing(sqlite3.connect(path)) as connection:
            columns = "doc_id, source, content, raw, metadata"
            rows = connection.execute(f"SELECT {columns} FROM documents").fetchall()
    return sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in rows)


def dead_letters(spelling: str) -> list[int]:
    """The record numbers of the dead letters, sorted."""
    kind, _, path = spelling.partition(":")
    if kind == "jsonl":
        lines = Path(f"{path}.failed").read_text("utf-8").splitlines()
        return sorted(json.loads(line)["record_number"] for line in lines)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT record_number FROM trio_ingest_dead_letters")
        return sorted(number for (number,) in rows)


def delivered(spelling: str) -> SinkState | None:
    """What the sink says of itself, read as the next run would."""

    async def load() -> SinkState | None:
        async with sink_of(spelling) as sink:
            found: SinkState | None = await sink.load()
            return found

    return trio.run(load)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("path")
    parser.add_argument("sinks", nargs="+")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=20)
    parser.add_argument("--source", default="lines")
    words = parser.parse_args()
    trio.run(
        lambda: run(
            words.path,
            words.sinks,
            workers=words.workers,
            batch_size=words.batch_size,
            source=words.source,
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
