"""Peak memory of a run of 1,000,000 documents against one of 10,000.

Theory: whatever the number of documents, a stream holds ``buffer_size`` events, the
records in the workers' hands and, with ``ordered``, as many results again. So the peak of
a run a hundred times as long must be the same, but for the allocator's noise: 2 MiB.

Each run is a process of its own, since a peak never falls. It reads the high-water mark
of its own address space (``VmHWM``): ``ru_maxrss`` would begin with that of the process
that forked it. Nothing traces allocations. One record in a thousand fails, a slow
consumer gives way at each event, so that the buffer is always full (the table shows how
full it was on average, in events of 100), and records are made as they are fetched.

    python benches/bench_memory.py [--quick]

Exit status: 0 when every difference is within 2 MiB, 1 when one is not.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

FEW, MANY, MANY_QUICK = 10_000, 1_000_000, 100_000
LIMIT_MIB = 2.0


@dataclass(frozen=True)
class Case:
    """One kind of run."""

    form: str
    workers: int
    ordered: bool
    slow: bool

    def __str__(self) -> str:
        order = "" if self.workers == 1 else ", ordered" if self.ordered else ", as completed"
        workers = f"{self.workers} worker{'s' * (self.workers > 1)}"
        return f"{self.form}, {workers}{order}"


CASES = [
    Case(form, workers, ordered, slow)
    for form, workers, ordered in [
        ("`async with`", 1, True),
        ("`async with`", 4, True),
        ("`async with`", 4, False),
        ("bare", 1, True),
    ]
    for slow in (False, True)
]


# In a process of its own.


def run_alone(case: Case, count: int) -> tuple[float, float]:
    """Peak MiB of this process after a run of ``count`` documents, and the mean depth."""
    import trio  # noqa: PLC0415  # only the children need the engine, and its memory
    from job import Feed, record_of  # noqa: PLC0415

    from trio_ingest import (  # noqa: PLC0415
        BatchProgress,
        Document,
        IngestionPipeline,
        PipelineEvent,
        RetryPolicy,
    )

    depths: list[int] = []

    class Failing(Feed):
        def parse(self, record: str) -> Document:
            document = super().parse(record)
            if document.doc_id.endswith("500"):
                raise ValueError(document.doc_id)
            return document

    async def take(event: PipelineEvent) -> None:
        if isinstance(event, BatchProgress) and len(depths) < FEW // 100:
            depths.append(event.queue_depth)
        if case.slow:
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        feed = Failing(record_of(number) for number in range(count))
        pipeline = IngestionPipeline(
            feed, workers=case.workers, ordered=case.ordered, retry=RetryPolicy(attempts=3)
        )
        if case.form == "bare":
            async for event in pipeline.stream_events():
                await take(event)
        else:
            async with pipeline.stream_events() as events:
                async for event in events:
                    await take(event)

    trio.run(main)
    return peak_mib(), sum(depths) / len(depths)


def peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


# In the process that compares.


def measured(case: Case, count: int) -> tuple[float, float]:
    command = [sys.executable, __file__, "--alone", json.dumps(asdict(case)), str(count)]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    peak, depth = json.loads(printed)
    return peak, depth


def compared(case: Case, many: int) -> tuple[str, bool]:
    """The row of a case, and whether it is over the limit."""
    few, _ = measured(case, FEW)
    most, depth = measured(case, many)
    consumer = "slow" if case.slow else "fast"
    numbers = f"{depth:.0f} | {few:.1f} | {most:.1f} | {round(most - few, 1) + 0.0:+.1f}"
    return f"| {case} | {consumer} | {numbers} |", most - few > LIMIT_MIB


def main() -> int:
    parser = argparse.ArgumentParser(description="Peak memory does not follow the length.")
    parser.add_argument("--quick", action="store_true", help=f"{MANY_QUICK:,} documents")
    parser.add_argument("--alone", nargs=2, metavar=("CASE", "COUNT"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.alone:
        case, count = asked.alone
        print(json.dumps(run_alone(Case(**json.loads(case)), int(count))))
        return 0
    many = MANY_QUICK if asked.quick else MANY
    began = time.perf_counter()
    print(f"Peak MiB of a process; the difference may be {LIMIT_MIB} MiB.\n")
    print(f"| run | consumer | mean depth | {FEW:,} | {many:,} | difference |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    over = 0
    # Two at a time: a peak of memory does not mind who else is running.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for row, is_over in pool.map(partial(compared, many=many), CASES):
            print(row, flush=True)
            over += is_over
    seconds = time.perf_counter() - began
    print(f"\n{over} of {len(CASES)} over the limit, {seconds:.0f} seconds.")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
