"""A run killed before or after each step of the JSON Lines sink leaves what can be resumed.

As a program, ``python -m tests.sinks.jsonl.test_crashes FOLDER``, it kills the runs:
each in a process that it forks and that kills itself at one step; a second one is killed
while it recovers. A program of its own, because forking wants a process without threads.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from trio_ingest import IngestionPipeline
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.sinks import JsonLinesSink
from trio_ingest.testing import Fail, ScriptedAdapter

SCRIPT = [Fail() if number in {1, 4} else number for number in range(6)]
ROOT = Path(__file__).parents[2]


async def job(path: Path) -> None:
    async with JsonLinesSink(path / "out") as sink:
        pipeline = IngestionPipeline(ScriptedAdapter(SCRIPT))
        point = await resume_point(sink)
        stream = pipeline.stream_events(resume_from=point, progress_interval=3)
        await deliver(stream, sink, batch_size=3)


async def begin_again(path: Path) -> None:
    async with JsonLinesSink(path / "out") as sink:
        await sink.forget()


class Steps:
    """Counts the steps, and dies before one of them: that is after the one before it."""

    def __init__(self, fatal: int) -> None:
        self._fatal = fatal
        self.passed = 0

    def here(self) -> None:
        if self.passed == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def before(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.here()
            return function(*args, **kwargs)

        return call

    def watch(self) -> None:
        write = self.before(os.write)

        def in_two(descriptor: int, data: memoryview) -> int:
            """Write a part of it, so that it can die in the middle of a line."""
            return int(write(descriptor, data[:-9] if len(data) > 9 else data))

        for name in ("open", "replace", "ftruncate"):
            setattr(os, name, self.before(getattr(os, name)))
        os.write = in_two  # type: ignore[assignment]
        # No machine dies here, so the disk need not be waited for.
        os.fsync = self.before(lambda descriptor: None)


def in_a_fork(work: Callable[[Path], Any], path: Path, fatal: int = -1) -> int | None:
    """How many steps ``work`` took, or None when it was killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        steps, say = Steps(fatal), os.fdopen(writing, "w")
        status = 1
        try:
            steps.watch()
            trio.run(work, path)
            steps.here()
            say.write(str(steps.passed))
            say.close()
            status = 0
        except Exception:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in {0, -signal.SIGKILL}, f"step {fatal} ended with {status}"
    return int(text) if status == 0 else None


def files_of(path: Path) -> tuple[bytes, list[Any]]:
    letters = (path / "out.failed").read_bytes().splitlines()
    return (path / "out").read_bytes(), [json.loads(line)["record_number"] for line in letters]


def main(folder: Path) -> dict[str, Any]:
    quiet = folder / "quiet"
    quiet.mkdir()
    total = in_a_fork(job, quiet)
    assert total is not None
    expected, wrong = files_of(quiet), []
    recoveries = 0
    for fatal in range(total):
        path = folder / f"crash{fatal}"
        path.mkdir()
        assert in_a_fork(job, path, fatal) is None
        if fatal % 3 == 0:
            # Early on in the recovery, each at another step.
            recoveries += in_a_fork(job, path, fatal % 13) is None
        in_a_fork(job, path)
        if files_of(path) != expected:
            wrong.append(f"step {fatal}")
    shutil.copytree(quiet, folder / "again")
    again = in_a_fork(begin_again, folder / "again")
    assert again is not None
    for fatal in range(again):
        path = folder / f"again{fatal}"
        shutil.copytree(quiet, path)
        assert in_a_fork(begin_again, path, fatal) is None
        in_a_fork(job, path)
        if files_of(path) != expected:
            wrong.append(f"step {fatal} of beginning again")
    return {
        "steps": total,
        "recoveries": recoveries,
        "again": again,
        "wrong": wrong,
        "documents": len(expected[0].splitlines()),
        "letters": expected[1],
    }


@pytest.mark.slow  # tests/crash/test_points.py tries some of them
def test_killed_at_any_step_and_resumed_it_has_the_lines_of_a_quiet_run(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.sinks.jsonl.test_crashes", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    found = json.loads(ended.stdout)
    assert found["wrong"] == []
    assert (found["documents"], found["letters"]) == (4, [1, 4])
    # Two commits, each of three files that are opened, written and made to stay.
    assert found["steps"] > 40
    assert found["recoveries"] > 5
    assert found["again"] > 10


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]))))
