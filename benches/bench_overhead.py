"""What the engine costs for each document, as a multiple of the floor.

Theory: every case does the same job (see ``job``) and hands each document to a consumer.
The plain ``for`` loop makes the documents and nothing else, so its time is subtracted
from every other: what is left is overhead. The **floor** is what one would write without
an engine: an async generator that reads the same ``fetch`` and builds the two events with
their public constructors. The **strict floor** builds them with the engine's own private
builders, so it is the same generator with nothing left to save: the harder yardstick.
CPU time, medians, all cases interleaved in one process: the ratios are what to compare;
the microseconds are those of one machine.

    python benches/bench_overhead.py [--quick] [--eager] [--parts]

``--eager`` compares with the eager loop alone, with and without keeping ``raw``;
``--parts`` shows what each part of the ``async with`` form adds.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any

import trio
from job import Feed, interleaved, record_of, table, versions

from trio_ingest import (
    Document,
    DocumentCompleted,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
)
from trio_ingest._core.events import build_completed, build_started
from trio_ingest._core.options import RunOptions
from trio_ingest._engine.runtime import TRIO
from trio_ingest._engine.setup import RunSetup

BUFFER = 100
RETRY = RetryPolicy(attempts=3)


# What one would write without an engine.


async def floor_events(feed: Feed) -> AsyncIterator[PipelineEvent]:
    parameters: dict[str, Any] = {}
    metadata = {"adapter": feed.source, "parameters": parameters}
    number = 0
    async for record in feed.fetch():
        yield DocumentStarted(
            timestamp=time.time(),
            pipeline_id="floor",
            sequence=2 * number,
            doc_id=f"{feed.source}#{number}",
            adapter=feed.source,
            parameters=parameters,
            record_number=number,
        )
        began = time.perf_counter()
        document = feed.parse(record)
        yield DocumentCompleted(
            duration=time.perf_counter() - began,
            timestamp=time.time(),
            pipeline_id="floor",
            sequence=2 * number + 1,
            document=document,
            adapter_metadata=metadata,
            record_number=number,
            retry_count=0,
        )
        number += 1


async def strict_floor_events(feed: Feed) -> AsyncIterator[PipelineEvent]:
    parse, source, wall, clock = feed.parse, feed.source, time.time, time.perf_counter
    parameters: dict[str, Any] = {}
    metadata = {"adapter": source, "parameters": parameters}
    number = sequence = 0
    async for record in feed.fetch():
        doc_id = f"{source}#{number}"
        yield build_started(wall(), "floor", sequence, doc_id, source, parameters, number)
        began = clock()
        document = parse(record)
        seconds = clock() - began
        sequence += 1
        yield build_completed(
            wall(), "floor", sequence, document, seconds, metadata, number, 0
        )
        sequence += 1
        number += 1


async def run_events(feed: Feed, *, careful: bool) -> AsyncIterator[PipelineEvent]:
    """The strict floor through the run state machine; ``careful`` adds what guards a parse."""
    pipeline = IngestionPipeline(feed, retry=RETRY)
    clock, wall = time.perf_counter, time.time
    setup = RunSetup(pipeline._plans, pipeline._policy, RunOptions())  # noqa: SLF001
    run = setup.begin(clock())
    processor = setup.processors(run, 0, TRIO)[0]
    adapter_run, number = processor.adapter_run, 0
    async for record in feed.fetch():
        doc_id = str(processor.admit(record)[1]) if careful else f"{feed.source}#{number}"
        yield run.started(adapter_run, number, doc_id, wall())
        began = clock()
        document = processor.attempt(record) if careful else feed.parse(record)
        seconds = clock() - began
        yield run.completed(adapter_run, number, document, seconds, 0, wall())
        number += 1
        if run.ends_until_upkeep <= 0:
            run.acknowledge(run.sequence)
            run.schedule_upkeep()


async def through_run(feed: Feed, *, careful: bool) -> None:
    async for _ in run_events(feed, careful=careful):
        pass


# The cases: each takes a feed, and a consumer that looks at each event.


def plain_loop(feed: Feed) -> None:
    for record in feed.records:
        feed.parse(record)


async def floor(feed: Feed) -> None:
    async for _ in floor_events(feed):
        pass


async def strict_floor(feed: Feed) -> None:
    async for _ in strict_floor_events(feed):
        pass


async def eager_loop(feed: Feed) -> None:
    documents: list[Document] = []
    async for record in feed.fetch():
        documents.append(feed.parse(record))  # noqa: PERF401  # the old code, as it was


async def trio_channel(feed: Feed) -> None:
    send, receive = trio.open_memory_channel[PipelineEvent](BUFFER)

    async def produce() -> None:
        async with send:
            async for event in floor_events(feed):
                await send.send(event)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        async with receive:
            async for _ in receive:
                pass


async def asyncio_queue(feed: Feed) -> None:
    queue: asyncio.Queue[PipelineEvent | None] = asyncio.Queue(maxsize=BUFFER)

    async def produce() -> None:
        async for event in floor_events(feed):
            await queue.put(event)
        await queue.put(None)

    async with asyncio.TaskGroup() as group:
        group.create_task(produce())
        while await queue.get() is not None:
            pass


async def bare(feed: Feed) -> None:
    async for _ in IngestionPipeline(feed, retry=RETRY).stream_events():
        pass


async def block(feed: Feed, **options: Any) -> None:
    pipeline = IngestionPipeline(feed, retry=RETRY)
    async with pipeline.stream_events(buffer_size=BUFFER, **options) as events:
        async for _ in events:
            pass


async def crew(feed: Feed, *, ordered: bool) -> None:
    pipeline = IngestionPipeline(feed, retry=RETRY, workers=4, ordered=ordered)
    async with pipeline.stream_events(buffer_size=BUFFER) as events:
        async for _ in events:
            pass


FLOORS: dict[str, Callable[[Feed], Any]] = {
    "floor: the two events built by hand": floor,
    "strict floor: with the engine's builders": strict_floor,
}
OURS: dict[str, Callable[[Feed], Any]] = {
    "**trio_ingest, bare form**": bare,
    "**trio_ingest, `async with` form**": block,
}
OTHERS: dict[str, Callable[[Feed], Any]] = {
    "trio_ingest, 4 workers, ordered": partial(crew, ordered=True),
    "trio_ingest, 4 workers, as completed": partial(crew, ordered=False),
    "eager loop into a list, no events": eager_loop,
    "floor through an `asyncio.Queue`": asyncio_queue,
    "floor through an awaited Trio memory channel": trio_channel,
}
PLAIN, FLOOR, STRICT = "plain `for` loop (subtracted)", *FLOORS


def started(case: Callable[[Feed], Any], feed: Feed) -> Callable[[], object]:
    if case is plain_loop:
        return partial(plain_loop, feed)
    if case is asyncio_queue:
        return lambda: asyncio.run(asyncio_queue(feed))
    return partial(trio.run, case, feed)


def measured(
    cases: dict[str, Callable[[Feed], Any]], feed: Feed, count: int, rounds: int
) -> dict[str, float]:
    """Microseconds of CPU for each document."""
    ready = {name: started(case, feed) for name, case in cases.items()}
    return {
        name: seconds / count * 1e6 for name, seconds in interleaved(ready, rounds).items()
    }


def report_overhead(records: Sequence[str], rounds: int) -> None:
    cases = {PLAIN: plain_loop, **FLOORS, **OURS, **OTHERS}
    micros = measured(cases, Feed(records), len(records), rounds)
    loop = micros.pop(PLAIN)
    floors = micros[FLOOR] - loop, micros[STRICT] - loop
    rows = []
    for name, total in micros.items():
        ratios = [f"{(total - loop) / each:.2f}" for each in floors]
        rows.append([name, f"{total - loop:.2f}", *ratios])
    print(f"\n{len(records):,} documents, median of {rounds} rounds; the plain `for` loop")
    print(f"takes {loop:.2f} µs a document and is subtracted from every row.\n")
    print(table(["", "µs over the loop", "times the floor", "times the strict floor"], rows))


def report_eager(records: Sequence[str], rounds: int) -> None:
    cases = {PLAIN: plain_loop, "eager": eager_loop, "floor": floor, "bare": bare}
    cases["block"] = block
    rows = []
    for keep_raw in (False, True):
        feed = Feed(records, keep_raw=keep_raw)
        micros = measured(cases, feed, len(records), rounds)
        loop = micros[PLAIN]
        over = [f"{micros[name] - loop:.2f}" for name in ("eager", "floor", "bare", "block")]
        rows.append(["kept" if keep_raw else "not kept", f"{loop:.2f}", *over])
    print(f"\n{len(records):,} documents, median of {rounds} rounds; µs a document, those of")
    print("the last four columns over the plain loop.\n")
    head = ["`raw`", "plain loop", "eager, no events", "floor", "bare", "`async with`"]
    print(table(head, rows))


def report_parts(records: Sequence[str], rounds: int) -> None:
    never = 10**9
    quiet = {"progress_interval": never, "checkpoint_interval": never}
    cases: dict[str, Callable[[Feed], Any]] = {
        PLAIN: plain_loop,
        "the two events and `fetch` (strict floor)": strict_floor,
        "and the run: counts, what is open, what is acknowledged": partial(
            through_run, careful=False
        ),
        "and what guards a record: its number and id, failures, ids done": partial(
            through_run, careful=True
        ),
        "and where the time goes, progress, checkpoints (bare form)": bare,
        "and the channel and its tasks (`async with` form)": block,
        "`async with`, no progress by count, no checkpoint by count": partial(block, **quiet),
        "`async with`, a checkpoint with each progress event": partial(
            block, checkpoint_interval=100
        ),
    }
    feed = Feed(records)
    micros = measured(cases, feed, len(records), rounds)
    loop = micros.pop(PLAIN)
    rows = [[name, f"{total - loop:.2f}"] for name, total in micros.items()]
    print(f"\n{len(records):,} documents, median of {rounds} rounds.\n")
    print(table(["where the time goes", "µs over the loop"], rows))


def main() -> int:
    parser = argparse.ArgumentParser(description="Overhead per document.")
    parser.add_argument("--quick", action="store_true", help="2,000 documents, 3 rounds")
    parser.add_argument("--eager", action="store_true", help="only the eager loop")
    parser.add_argument("--parts", action="store_true", help="only where the time goes")
    asked = parser.parse_args()
    sizes = [(2_000, 3)] if asked.quick else [(20_000, 11), (100_000, 5)]
    print(versions())
    for count, rounds in sizes:
        records = [record_of(number) for number in range(count)]
        if asked.eager:
            report_eager(records, rounds)
        elif asked.parts:
            report_parts(records, rounds)
        else:
            report_overhead(records, rounds)
            report_eager(records, rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
