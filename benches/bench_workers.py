"""64 workers on records whose ``parse`` awaits 5 ms: wall time over the ideal.

Theory: with 64 workers that do nothing but wait 5 ms for each of N records, the ideal
wall time is N x 0.005 / 64. What is beyond it is work that 64 tasks have to share one
thread for: at 78 µs a record the thread has nothing left to spare, so this is where an
engine's cost per awaited record shows. By hand: 64 tasks that take records from a bounded
queue, wait, and put a result into another, which one consumer reads; no events, no
checkpoints, no retries, on asyncio and on Trio. Wall time is the measure here, so another
busy process shows; the CPU column is what the thread had to do for each record. One
interleaved run, medians.

    python benches/bench_workers.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import trio
from job import interleaved, table, versions

from trio_ingest import Document, IngestionPipeline, RetryPolicy

WORKERS = 64
SECONDS = 0.005
BUFFER = 100


class Slow:
    source = "slow"

    def __init__(self, count: int) -> None:
        self.count = count

    async def fetch(self) -> AsyncIterator[int]:
        for number in range(self.count):
            yield number

    async def parse(self, record: int) -> Document:
        await trio.sleep(SECONDS)
        return Document(str(record), self.source, "")


async def ours(count: int, *, ordered: bool) -> None:
    pipeline = IngestionPipeline(
        Slow(count), workers=WORKERS, ordered=ordered, retry=RetryPolicy(attempts=3)
    )
    async with pipeline.stream_events(buffer_size=BUFFER) as events:
        async for _ in events:
            pass


async def by_hand_on_asyncio(count: int) -> None:
    jobs: asyncio.Queue[int | None] = asyncio.Queue(maxsize=WORKERS)
    results: asyncio.Queue[Document] = asyncio.Queue(maxsize=BUFFER)

    async def fetch() -> None:
        for number in range(count):
            await jobs.put(number)
        for _ in range(WORKERS):
            await jobs.put(None)

    async def work() -> None:
        while (number := await jobs.get()) is not None:
            await asyncio.sleep(SECONDS)
            await results.put(Document(str(number), "slow", ""))

    async with asyncio.TaskGroup() as group:
        group.create_task(fetch())
        for _ in range(WORKERS):
            group.create_task(work())
        for _ in range(count):
            await results.get()


async def by_hand_on_trio(count: int) -> None:
    send_job, receive_job = trio.open_memory_channel[int](WORKERS)
    send_result, receive_result = trio.open_memory_channel[Document](BUFFER)

    async def fetch() -> None:
        async with send_job:
            for number in range(count):
                await send_job.send(number)

    async def work() -> None:
        async for number in receive_job:
            await trio.sleep(SECONDS)
            await send_result.send(Document(str(number), "slow", ""))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch)
        for _ in range(WORKERS):
            nursery.start_soon(work)
        for _ in range(count):
            await receive_result.receive()


async def sleeping_only(count: int) -> None:
    async def work() -> None:
        for _ in range(count // WORKERS):
            await trio.sleep(SECONDS)

    async with trio.open_nursery() as nursery:
        for _ in range(WORKERS):
            nursery.start_soon(work)


def main() -> int:
    parser = argparse.ArgumentParser(description="64 workers on awaited 5 ms steps.")
    parser.add_argument("--quick", action="store_true", help="1,280 records, 3 rounds")
    count, rounds = (1_280, 3) if parser.parse_args().quick else (12_800, 7)
    cases: dict[str, Callable[[], object]] = {
        "64 Trio tasks that only sleep, no queue": partial(trio.run, sleeping_only, count),
        "asyncio workers by hand": lambda: asyncio.run(by_hand_on_asyncio(count)),
        "Trio workers by hand": partial(trio.run, by_hand_on_trio, count),
        "**trio_ingest, ordered**": partial(trio.run, partial(ours, count, ordered=True)),
        "**trio_ingest, as completed**": partial(
            trio.run, partial(ours, count, ordered=False)
        ),
    }
    ideal = count * SECONDS / WORKERS
    walls = interleaved(cases, rounds, time.perf_counter)
    cpu = interleaved(cases, 3, time.process_time)
    rows = [
        [name, f"{wall:.3f}", f"{wall / ideal:.2f}", f"{cpu[name] / count * 1e6:.1f}"]
        for name, wall in walls.items()
    ]
    print(versions())
    print(f"\n{count:,} records, ideal {ideal:.3f} seconds, median of {rounds} rounds.\n")
    print(table(["", "seconds", "times the ideal", "CPU µs a record"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
