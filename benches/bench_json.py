"""What an event as JSON costs, as a multiple of a coder of that one event, written by hand.

Theory: by hand, with orjson, one writes a dict literal of the fields and gives it to
``orjson.dumps``, and makes the event of ``orjson.loads`` with the public constructors. Such
a coder believes what it is given: NaN becomes null, a tuple a list, a missing field a
KeyError. Ours looks at each value first, and at each field of a line. It can do so within the
budget (1.5 times for writing, twice for reading) since the code for each class is made of its
fields, and plain JSON is known as such at the speed of C.

The document has about 500 bytes of content, a ``raw`` of six fields and small metadata.
CPU time, all cases interleaved; a case is one event, again and again.

    python benches/bench_json.py [--quick]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any, TypeAlias

import orjson
from job import interleaved, table, versions

from trio_ingest import (
    BatchProgress,
    Checkpoint,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentStarted,
    PipelineEvent,
    Position,
)
from trio_ingest.serialization import EventCodec

Write: TypeAlias = Callable[[Any], bytes]
Read: TypeAlias = Callable[[bytes], Any]

STAMPS: dict[str, Any] = {
    "timestamp": 1767225600.25,
    "pipeline_id": "0123456789abcdef0123456789abcdef",
    "sequence": 123456,
}
METADATA = {"adapter": "feed", "parameters": {"topic": "trees"}}

STARTED = DocumentStarted(
    **STAMPS, doc_id="doc-1", adapter="feed", parameters={"topic": "trees"}, record_number=1
)
COMPLETED = DocumentCompleted(
    **STAMPS,
    document=Document(
        "doc-1",
        "feed",
        "x" * 500,
        {
            "id": "doc-1",
            "title": "t" * 60,
            "text": "x" * 100,
            "number": 1,
            "score": 0.5,
            "tags": ["alpha", "beta"],
        },
        {"sha256": "0" * 64, "language": "en"},
    ),
    duration=0.00012,
    adapter_metadata=METADATA,
    record_number=1,
    retry_count=0,
)
FAILED = DocumentFailed(
    **STAMPS,
    doc_id="doc-1",
    error="'text'",
    error_type="KeyError",
    retry_count=0,
    is_retryable=False,
    traceback="Traceback (most recent call last):\n" + "  File, line, in parse\n" * 5,
    adapter="feed",
    record_number=1,
    raw={"id": "doc-1", "title": "t" * 60, "number": 1, "tags": ["alpha", "beta"]},
)
PROGRESS = BatchProgress(
    **STAMPS,
    completed=1000,
    failed=3,
    in_flight=4,
    estimated_total=30000,
    eta_seconds=12.5,
    skipped=0,
    queue_depth=17,
    buffer_size=100,
    fetch_seconds=1.25,
    parse_seconds=2.5,
    consumer_seconds=3.75,
    throttle_seconds=0.0,
    checkpoint=Checkpoint(
        (Position("feed", "{}", 1000, ((1002, 1004), (1010, 1011)), {"page": 7}, 990),)
    ),
)


def write_started(e: DocumentStarted) -> bytes:
    return orjson.dumps(
        {
            "type": "DocumentStarted",
            "version": 1,
            "timestamp": e.timestamp,
            "pipeline_id": e.pipeline_id,
            "sequence": e.sequence,
            "doc_id": e.doc_id,
            "adapter": e.adapter,
            "parameters": e.parameters,
            "record_number": e.record_number,
        }
    )


def write_completed(e: DocumentCompleted) -> bytes:
    document = e.document
    return orjson.dumps(
        {
            "type": "DocumentCompleted",
            "version": 1,
            "timestamp": e.timestamp,
            "pipeline_id": e.pipeline_id,
            "sequence": e.sequence,
            "document": {
                "doc_id": document.doc_id,
                "source": document.source,
                "content": document.content,
                "raw": document.raw,
                "metadata": document.metadata,
            },
            "duration": e.duration,
            "adapter_metadata": e.adapter_metadata,
            "record_number": e.record_number,
            "retry_count": e.retry_count,
        }
    )


def write_failed(e: DocumentFailed) -> bytes:
    return orjson.dumps(
        {
            "type": "DocumentFailed",
            "version": 1,
            "timestamp": e.timestamp,
            "pipeline_id": e.pipeline_id,
            "sequence": e.sequence,
            "doc_id": e.doc_id,
            "error": e.error,
            "error_type": e.error_type,
            "retry_count": e.retry_count,
            "is_retryable": e.is_retryable,
            "traceback": e.traceback,
            "adapter": e.adapter,
            "record_number": e.record_number,
            "raw": e.raw,
        }
    )


def write_progress(e: BatchProgress) -> bytes:
    return orjson.dumps(
        {
            "type": "BatchProgress",
            "version": 1,
            "timestamp": e.timestamp,
            "pipeline_id": e.pipeline_id,
            "sequence": e.sequence,
            "completed": e.completed,
            "failed": e.failed,
            "in_flight": e.in_flight,
            "estimated_total": e.estimated_total,
            "eta_seconds": e.eta_seconds,
            "skipped": e.skipped,
            "queue_depth": e.queue_depth,
            "buffer_size": e.buffer_size,
            "fetch_seconds": e.fetch_seconds,
            "parse_seconds": e.parse_seconds,
            "consumer_seconds": e.consumer_seconds,
            "throttle_seconds": e.throttle_seconds,
            "checkpoint": None if e.checkpoint is None else e.checkpoint.to_dict(),
        }
    )


def stamps_of(d: dict[str, Any]) -> dict[str, Any]:
    """What every event has, without what only the line has."""
    del d["type"], d["version"]
    return d


def read_started(line: bytes) -> DocumentStarted:
    return DocumentStarted(**stamps_of(orjson.loads(line)))


def read_completed(line: bytes) -> DocumentCompleted:
    d = stamps_of(orjson.loads(line))
    d["document"] = Document(**d["document"])
    return DocumentCompleted(**d)


def read_failed(line: bytes) -> DocumentFailed:
    return DocumentFailed(**stamps_of(orjson.loads(line)))


def read_progress(line: bytes) -> BatchProgress:
    d = stamps_of(orjson.loads(line))
    if d["checkpoint"] is not None:
        d["checkpoint"] = Checkpoint.from_dict(d["checkpoint"])
    return BatchProgress(**d)


EVENTS: list[tuple[str, PipelineEvent, Write, Read]] = [
    ("DocumentStarted", STARTED, write_started, read_started),
    ("DocumentCompleted", COMPLETED, write_completed, read_completed),
    ("BatchProgress", PROGRESS, write_progress, read_progress),
    ("DocumentFailed", FAILED, write_failed, read_failed),
]


def repeated(function: Callable[[Any], Any], item: Any, count: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(count):
            function(item)

    return run


def main() -> int:
    parser = argparse.ArgumentParser(description="What an event as JSON costs.")
    parser.add_argument("--quick", action="store_true", help="5,000 times, 5 rounds")
    count, rounds = (5_000, 5) if parser.parse_args().quick else (20_000, 21)
    ours, standard = EventCodec(json="orjson"), EventCodec(json="json")
    cases: dict[str, Callable[[], object]] = {}
    for name, event, write, read in EVENTS:
        line = write(event)
        # The comparison is between coders that do the same.
        assert ours.encode(event) == line, (ours.encode(event), line)
        assert ours.decode(line) == read(line) == event
        cases[f"{name} write"] = repeated(write, event, count)
        cases[f"{name} write, ours"] = repeated(ours.encode, event, count)
        cases[f"{name} write, standard"] = repeated(standard.encode, event, count)
        cases[f"{name} read"] = repeated(read, line, count)
        cases[f"{name} read, ours"] = repeated(ours.decode, line, count)
        cases[f"{name} read, standard"] = repeated(standard.decode, line, count)
    found = interleaved(cases, rounds)
    rows = []
    for name, event, *_ in EVENTS:
        for way in ("write", "read"):
            by_hand = found[f"{name} {way}"]
            ratios = [found[f"{name} {way}, {who}"] / by_hand for who in ("ours", "standard")]
            size = f"{len(ours.encode(event)):,}"
            spent = f"{by_hand / count * 1e6:.2f}"
            rows.append([name, way, size, spent, *(f"{ratio:.2f}" for ratio in ratios)])
    print(f"{versions()}, orjson {version('orjson')}")
    print(f"\n{count:,} times, median of {rounds} rounds.\n")
    head = ["", "", "bytes", "by hand, CPU µs", "times, ours", "times, without orjson"]
    print(table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
