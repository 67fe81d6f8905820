"""The job that the benches share, and how they report.

The job: a JSON record of about 500 bytes, ``json.loads``, sha256 of the record, a
``Document``; so small that what an engine adds to it shows.
"""

from __future__ import annotations

import gc
import hashlib
import json
import platform
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from importlib.metadata import version

from trio_ingest import Document


def record_of(number: int) -> str:
    """A JSON record of about 500 bytes."""
    data = {
        "id": f"doc-{number}",
        "title": "t" * 60,
        "text": "x" * 330,
        "number": number,
        "tags": ["alpha", "beta"],
    }
    return json.dumps(data)


class Feed:
    """The adapter of the job.

    Args:
        records: what it yields.
        keep_raw: whether each document keeps the parsed JSON as ``raw``.
    """

    source = "feed"

    def __init__(self, records: Iterable[str], *, keep_raw: bool = False) -> None:
        self.records = records
        self.keep_raw = keep_raw

    async def fetch(self) -> AsyncIterator[str]:
        for record in self.records:
            yield record

    def parse(self, record: str) -> Document:
        data = json.loads(record)
        metadata = {"sha256": hashlib.sha256(record.encode()).hexdigest()}
        raw = data if self.keep_raw else None
        return Document(data["id"], self.source, data["text"], raw, metadata)


def interleaved(
    cases: Mapping[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.process_time,
) -> dict[str, float]:
    """The median seconds of each case, all of them once per round.

    Interleaving spreads whatever else the machine does over all cases alike.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            gc.collect()
            began = clock()
            case()
            seconds[name].append(clock() - began)
    return {name: statistics.median(times) for name, times in seconds.items()}


def versions() -> str:
    """What was measured with, for the head of a table."""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, "
        f"trio {version('trio')}, attrs {version('attrs')}"
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table: the first column to the left, the others to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
