"""How many events a second the one engine gives in each async library.

Theory: the same pipeline and the same consumer (see ``job``) on Trio, natively on asyncio and
uvloop, and on asyncio with the Trio engine in a thread of its own. Nothing is subtracted: the
job is in every figure, as it is in every run. CPU time of the whole process, all threads,
medians, all cases interleaved; beside it the real time, since the bridge also waits. Trio is
the baseline of the same run: the ratios are what to compare.

    python benches/bench_asyncio.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

import trio
from job import Feed, interleaved, record_of, table, versions

from trio_ingest import Document, IngestionPipeline, aio

# What the issue asks for: of Trio's events in a second of CPU time, at least so many.
BUDGETS = {"asyncio": 0.6, "uvloop": 0.6, "bridge": 0.2}


class Light(Feed):
    """The same records, and next to no work: what is left is the engine."""

    def parse(self, record: str) -> Document:
        return Document("id", self.source, record)


async def consume_on_trio(feed: Feed) -> None:
    async with IngestionPipeline(feed).stream_events() as events:
        async for _ in events:
            pass


async def consume(feed: Feed, runtime: Literal["asyncio", "trio"]) -> None:
    async with aio.stream_events(IngestionPipeline(feed), runtime=runtime) as events:
        async for _ in events:
            pass


def cases(feed: Feed) -> dict[str, Callable[[], object]]:
    def on_asyncio(main: Callable[[], Awaitable[None]], new_loop: Any = None) -> None:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(main())  # type: ignore[arg-type]

    found: dict[str, Callable[[], object]] = {
        "Trio": lambda: trio.run(consume_on_trio, feed),
        "asyncio": lambda: on_asyncio(lambda: consume(feed, "asyncio")),
        "bridge": lambda: on_asyncio(lambda: consume(feed, "trio")),
    }
    try:
        import uvloop  # noqa: PLC0415 -- it may be absent
    except ImportError:
        print("uvloop is not installed, so it is left out.")
        return found
    new_loop = uvloop.new_event_loop
    found["uvloop"] = lambda: on_asyncio(lambda: consume(feed, "asyncio"), new_loop)
    found["bridge from uvloop"] = lambda: on_asyncio(lambda: consume(feed, "trio"), new_loop)
    return found


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description="Events a second in each library.")
    parser.add_argument("--quick", action="store_true", help="a tenth of the documents")
    options = parser.parse_args(arguments)
    count, rounds = (2_000, 3) if options.quick else (20_000, 9)
    records = [record_of(number) for number in range(count)]
    print(f"{versions()}; {count:,} documents, two events each, {rounds} rounds.\n")
    rows = []
    missed = False
    for name, feed in {"the job": Feed(records), "next to no work": Light(records)}.items():
        cpu = interleaved(cases(feed), rounds)
        real = interleaved(cases(feed), max(3, rounds // 3), time.perf_counter)
        for case, seconds in cpu.items():
            ratio = cpu["Trio"] / seconds
            budget = BUDGETS.get(case.split(" ")[0])
            missed |= budget is not None and ratio < budget
            rows.append(
                [
                    f"{name}: {case}",
                    f"{2 * count / seconds:,.0f}",
                    f"{ratio:.2f}",
                    f"{real['Trio'] / real[case]:.2f}",
                    "" if budget is None else f"{budget:.1f}",
                ]
            )
    print(table(["", "events/CPU s", "× Trio", "× Trio, real", "at least"], rows))
    print("\nA budget is missed." if missed else "\nAll budgets are kept.")
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
