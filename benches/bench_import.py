"""CPU time of loading the face of trio_ingest over that of ``import trio``.

Theory: each import is timed from inside a fresh process, so the start of the interpreter
is left out; the two take turns, and the median is taken. All of them share a bytecode cache
that a first run of each fills, as it is after an installation. The budget is 1.3 times.

    python benches/bench_import.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

from job import table, versions

# Names of trio_ingest are loaded when they are asked for, so its own import says nothing.
STATEMENTS = {
    "trio": "import trio",
    "trio_ingest": "from trio_ingest import IngestionPipeline",
}
PROGRAM = "import time; began = time.process_time(); {}; print(time.process_time() - began)"


def seconds_to_import(name: str, cache: str) -> float:
    env = {**os.environ, "PYTHONPYCACHEPREFIX": cache}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(STATEMENTS[name])],
        env=env,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return float(ran.stdout)


def medians(rounds: int) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    with tempfile.TemporaryDirectory() as cache:
        for name in STATEMENTS:
            seconds_to_import(name, cache)
        for _ in range(rounds):
            for name in STATEMENTS:
                seconds[name].append(seconds_to_import(name, cache))
    return {name: statistics.median(times) for name, times in seconds.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description="What the import costs.")
    parser.add_argument("--quick", action="store_true", help="3 rounds")
    rounds = 3 if parser.parse_args().quick else 15
    found = medians(rounds)
    rows = [
        [f"`{STATEMENTS[name]}`", f"{median * 1e3:.0f}", f"{median / found['trio']:.2f}"]
        for name, median in found.items()
    ]
    print(versions())
    print(f"\nMedian of {rounds} fresh processes each.\n")
    print(table(["", "CPU ms", "times trio"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
