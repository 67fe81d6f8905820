"""Promise 9: under the test kit the same seed gives byte-identical events."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.worlds import ONLY_TRIO
from trio_ingest import Cursor, IngestionPipeline, RetryPolicy
from trio_ingest.serialization import EventCodec
from trio_ingest.testing import (
    Crash,
    Fail,
    FailTimes,
    Pause,
    ScriptedAdapter,
    SlowParse,
    explore,
    run_deterministic,
)

pytestmark = ONLY_TRIO
SEEDS = range(12)


async def eventful(workers: int = 3, ordered: bool = False) -> bytes:
    """The events of a run with everything in it, as JSON: several adapters, one of which
    dies, several workers, failures, retries, cursors, pauses, and a consumer that is slow.
    """
    steps: list[Any] = []
    for n in range(40):
        kinds = [n, Fail(), FailTimes(1), SlowParse(n % 5 / 10), SlowParse(0.0), Pause(0.1)]
        steps += [kinds[n % len(kinds)], Cursor(2 * n + 1)]
    adapters = [
        ScriptedAdapter(steps, source="one"),
        ScriptedAdapter(steps[::-1], source="two"),
        ScriptedAdapter([*range(5), Pause(0.3), Crash()], source="three"),
    ]
    pipeline = IngestionPipeline(
        *adapters, workers=workers, ordered=ordered, retry=RetryPolicy(attempts=2)
    )
    codec, lines = EventCodec(), list[bytes]()
    with pytest.raises(RuntimeError, match="scripted crash"):
        async with pipeline.stream_events(progress_interval=7, buffer_size=10) as events:
            async for event in events:
                lines.append(codec.encode(event))
                if event.sequence % 9 == 0:
                    await trio.sleep(0.01)
    return b"\n".join(lines)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_seed_gives_the_same_bytes(seed: int) -> None:
    first = run_deterministic(eventful, seed=seed)
    assert len(first.splitlines()) > 150
    assert run_deterministic(eventful, seed=seed) == first


def test_other_seeds_give_other_interleavings_of_the_same_documents() -> None:
    runs = [run_deterministic(eventful, seed=seed) for seed in SEEDS]
    assert len(set(runs)) == len(SEEDS)
    # One adapter dies at its own moment, whatever the others have done by then.
    ended = {
        tuple(
            sorted(
                json.dumps([event["type"], event.get("record_number"), event.get("document")])
                for event in map(json.loads, run.splitlines())
                if event["type"] in {"DocumentCompleted", "DocumentFailed"}
                and event.get("adapter") in {None, "one", "two"}
            )
        )
        for run in runs
    }
    assert len(ended) == 1


def test_one_ordered_worker_gives_the_same_documents_in_order_under_every_schedule() -> None:
    def check(run: bytes) -> None:
        events = [json.loads(line) for line in run.splitlines()]
        for source in ("one", "two", "three"):
            numbers = [
                event["record_number"]
                for event in events
                if event["type"] in {"DocumentCompleted", "DocumentFailed"}
                and source in {event.get("adapter"), event.get("document", {}).get("source")}
            ]
            assert numbers == sorted(numbers)

    async def ordered() -> None:
        check(await eventful(workers=4, ordered=True))

    report = explore(ordered, seeds=SEEDS)
    assert report.schedules > 1


IN_ANOTHER_PROCESS = """
import sys
from tests.promises.test_9_determinism import eventful
from trio_ingest.testing import run_deterministic
sys.stdout.buffer.write(run_deterministic(eventful, seed=int(sys.argv[1])))
"""


@pytest.mark.parametrize("hash_seed", ["0", "1", "4242"])
def test_another_process_under_another_hash_seed_gives_the_same_bytes(hash_seed: str) -> None:
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    there = subprocess.run(
        [sys.executable, "-c", IN_ANOTHER_PROCESS, "5"],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path},
        cwd=root,
        capture_output=True,
        check=True,
    )
    assert there.stdout == run_deterministic(eventful, seed=5)
