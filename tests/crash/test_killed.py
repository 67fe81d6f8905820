"""Killed with SIGKILL at any moment and resumed, a job delivers what it would have anyway."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash import job

# Enough lines that the last kill, after some hundreds of them each, falls inside the run.
FEW, MANY = (3, 2_000), (30, 20_000)

ROOT = Path(__file__).parents[2]


def start(source: Path, sinks: list[str], *options: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.crash.job", str(source), *sinks, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


def live_until(process: subprocess.Popen[bytes], reports: int) -> int:
    """Kill the process when it has reported so often; its exit status."""
    assert process.stdout is not None
    with process:
        for _ in range(reports):
            if not process.stdout.readline():
                break
        else:
            process.kill()
    return process.returncode


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("least_kills", "lines"),
    [FEW, pytest.param(*MANY, marks=pytest.mark.slow)],
    ids=["few", "many"],
)
@pytest.mark.parametrize(
    "kinds",
    [["sqlite"], ["rows"], ["jsonl"], ["rows", "jsonl"]],
    ids="-".join,
)
def test_killed_many_times_and_resumed_gives_what_an_undisturbed_run_gives(
    kinds: list[str], least_kills: int, lines: int, tmp_path: Path
) -> None:
    source = tmp_path / "lines.jsonl"
    job.write_source(source, lines)
    quiet = [f"{kind}:{tmp_path / 'quiet'}.{kind}" for kind in kinds]
    with start(source, quiet, "--batch-size=1000") as process:
        assert process.stdout is not None
        process.stdout.read()
    assert process.returncode == 0

    sinks = [f"{kind}:{tmp_path / 'killed'}.{kind}" for kind in kinds]
    chance = random.Random(7)
    kills = 0
    while kills < least_kills:
        workers = chance.choice((1, 3))
        process = start(source, sinks, f"--workers={workers}")
        assert live_until(process, chance.randint(1, 3)) == -signal.SIGKILL
        kills += 1
    # All of them were inside the run.
    for sink in sinks:
        state = job.delivered(sink)
        assert state is None or not state.checkpoint.finished
    process = start(source, sinks, "--batch-size=700")
    assert live_until(process, lines) == 0

    for sink, undisturbed in zip(sinks, quiet, strict=True):
        assert job.hashes(sink) == job.hashes(undisturbed)
        assert job.dead_letters(sink) == job.dead_letters(undisturbed)
        states = [job.delivered(one) for one in (sink, undisturbed)]
        assert states[0] is not None
        assert states[0] == states[1]
        assert states[0].checkpoint.finished
        assert states[0].totals.failed == lines // job.BAD
