"""What delivering into SQLite costs, as a multiple of a bare loop that writes the same rows.

Theory: the bare loop is what one would write by hand: it reads a JSON Lines file, makes the
row of each line, and upserts a thousand rows in each transaction, into the same table. It
has no events, finds no bad line, keeps no checkpoint and cannot go on after a crash. The
delivery does all of that, and commits twice as often. The file is in the page cache. CPU
time of the process with its threads, and wall time beside it: throughput is the latter. The
budget is 1.2 times.

The sink gains on the loop by the size of its pages, which a loop can have too: a second loop
does, so that the table shows what is left of it.

    python benches/bench_delivery.py [--quick] [--corpus FILE]

``--corpus`` reads a file of your own, with the fields ``id`` and ``text``: that of
``pubmed.py``, for one.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Literal

import trio
from job import record_of, table, versions

from trio_ingest import IngestionPipeline
from trio_ingest.adapters import JsonLinesAdapter
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.sinks import JsonLinesSink, SqliteSink

BATCH = 1000

CREATE = """
CREATE TABLE documents (
    row_id INTEGER PRIMARY KEY, doc_id TEXT NOT NULL UNIQUE, source TEXT NOT NULL,
    content TEXT NOT NULL, raw, metadata TEXT NOT NULL
)
"""
UPSERT = """
INSERT INTO documents (doc_id, source, content, raw, metadata) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (doc_id) DO UPDATE SET source = excluded.source, content = excluded.content,
    raw = excluded.raw, metadata = excluded.metadata
"""


def bare_loop(source: Path, target: Path, *, large_pages: bool = False) -> None:
    with closing(sqlite3.connect(target, isolation_level=None)) as database:
        if large_pages:
            database.execute("PRAGMA page_size = 16384")
            database.execute("PRAGMA cache_size = -16384")
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(CREATE)
        rows: list[tuple[str, ...]] = []
        with source.open("rb") as file:
            for line in file:
                text = line.decode().rstrip("\n")
                fields = json.loads(text)
                doc_id, content = fields.pop("id"), fields.pop("text")
                metadata = json.dumps(fields, ensure_ascii=False)
                rows.append((doc_id, str(source), content, text, metadata))
                if len(rows) == BATCH:
                    write(database, rows)
                    rows = []
        write(database, rows)


def write(database: sqlite3.Connection, rows: list[tuple[str, ...]]) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.executemany(UPSERT, rows)
    database.execute("COMMIT")


def bare_lines(source: Path, target: Path) -> None:
    """The same into a JSON Lines file."""
    with source.open("rb") as file, target.open("w", encoding="utf-8") as out:
        for line in file:
            text = line.decode().rstrip("\n")
            fields = json.loads(text)
            document = {
                "doc_id": fields.pop("id"),
                "source": str(source),
                "content": fields.pop("text"),
                "raw": text,
                "metadata": fields,
            }
            out.write(json.dumps(document, ensure_ascii=False) + "\n")


def delivery(source: Path, target: Path, kind: Literal["sqlite", "jsonl"]) -> None:
    trio.run(deliver_into, source, target, kind)


async def deliver_into(source: Path, target: Path, kind: Literal["sqlite", "jsonl"]) -> None:
    pipeline = IngestionPipeline(JsonLinesAdapter(source))
    async with SqliteSink(target) if kind == "sqlite" else JsonLinesSink(target) as sink:
        stream = pipeline.stream_events(resume_from=await resume_point(sink))
        await deliver(stream, sink)


CASES: dict[str, Callable[[Path, Path], None]] = {
    "bare loop into SQLite": bare_loop,
    "the loop, with pages of 16 KiB": partial(bare_loop, large_pages=True),
    "**deliver, SQLite sink**": lambda source, target: delivery(source, target, "sqlite"),
    "bare loop into JSON Lines": bare_lines,
    "deliver, JSON Lines sink": lambda source, target: delivery(source, target, "jsonl"),
}


def measured(source: Path, rounds: int) -> dict[str, tuple[float, float]]:
    """Median CPU and wall seconds of each case, all of them once per round."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    for _ in range(rounds):
        for name, case in CASES.items():
            with tempfile.TemporaryDirectory() as folder:
                cpu, wall = time.process_time(), time.perf_counter()
                case(source, Path(folder, "out"))
                spent = time.process_time() - cpu, time.perf_counter() - wall
                found[name].append(spent)
    return {
        name: (statistics.median(c for c, _ in spent), statistics.median(w for _, w in spent))
        for name, spent in found.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="What delivering costs.")
    parser.add_argument("--quick", action="store_true", help="10,000 documents, 3 rounds")
    parser.add_argument("--corpus", type=Path, help="a JSON Lines file of your own")
    words = parser.parse_args()
    count, rounds = (10_000, 3) if words.quick else (50_000, 7)
    with tempfile.TemporaryDirectory() as folder:
        source = words.corpus or Path(folder, "documents.jsonl")
        if words.corpus is None:
            source.write_text("".join(f"{record_of(n)}\n" for n in range(count)))
        else:
            with source.open("rb") as file:
                count = sum(1 for _ in file)
        found = measured(source, rounds)
    rows = []
    baseline = (1.0, 1.0)
    for name, (cpu, wall) in found.items():
        if name.startswith("bare"):
            baseline = cpu, wall
        rows.append(
            [
                name,
                f"{cpu / count * 1e6:.1f}",
                f"{cpu / baseline[0]:.2f}",
                f"{wall / count * 1e6:.1f}",
                f"{wall / baseline[1]:.2f}",
            ]
        )
    print(f"{versions()}, SQLite {sqlite3.sqlite_version}")
    print(f"\n{count:,} documents, median of {rounds} rounds.\n")
    print(table(["", "CPU µs", "times the loop", "wall µs", "times the loop"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
