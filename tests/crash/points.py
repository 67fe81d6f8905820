"""Kill a job before or after each thing that its sink does, one by one.

    python -m tests.crash.points FOLDER SINK-KIND

Each crash happens in a forked process that kills itself with SIGKILL at one point; another
one then resumes the job. Prints one JSON object: the points tried, and the differences.
A program of its own, because forking wants a process without threads.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trio

from tests.crash import job

LINES = 110

# Inside one statement for many rows; each of them would be the same point again.
ROWS_BETWEEN = 13


class Points:
    """Counts the points that are passed, and dies at one of them."""

    def __init__(self, fatal: int | None) -> None:
        self._fatal = fatal
        self.passed = 0

    def here(self) -> None:
        if self.passed == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)
        self.passed += 1

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.here()
            answer = function(*args, **kwargs)
            self.here()
            return answer

        return call


def spy_on_sqlite(points: Points) -> None:
    """Around each statement and each commit, and at each row of a series of them."""

    class Spied(sqlite3.Connection):
        def execute(self, *args: Any) -> Any:
            return points.around(super().execute)(*args)

        def executemany(self, sql: str, rows: Any) -> Any:
            def passing() -> Any:
                for place, row in enumerate(rows):
                    if place % ROWS_BETWEEN == 0:
                        points.here()
                    yield row

            return points.around(super().executemany)(sql, passing())

    sqlite3.connect = functools.partial(sqlite3.connect, factory=Spied)  # type: ignore[assignment]


def spy_on_files(points: Points) -> None:
    """Around each write, fsync, rename and truncation."""
    for name in ("write", "fsync", "replace", "rename", "truncate", "ftruncate", "open"):
        setattr(os, name, points.around(getattr(os, name)))


def in_a_fork(work: Callable[[], int]) -> tuple[int, int]:
    """What ``work`` answered, and how its process ended."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        try:
            with os.fdopen(writing, "w") as answer:
                answer.write(str(work()))
            os._exit(0)
        except BaseException:  # noqa: ASYNC103 -- no loop runs here
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status = os.waitpid(pid, 0)
    return int(text or -1), os.waitstatus_to_exitcode(status)


def run_once(source: Path, sink: str, fatal: int | None) -> int:
    points = Points(fatal)
    (spy_on_files if sink.startswith("jsonl") else spy_on_sqlite)(points)
    trio.run(lambda: job.run(str(source), [sink], batch_size=30))
    return points.passed


def main() -> int:
    folder, kind = Path(sys.argv[1]), sys.argv[2]
    source = folder / "lines.jsonl"
    job.write_source(source, LINES, characters=40)
    quiet = f"{kind}:{folder / 'quiet'}"
    total, status = in_a_fork(lambda: run_once(source, quiet, None))
    assert status == 0
    expected = job.hashes(quiet), job.dead_letters(quiet)
    wrong = []
    for fatal in range(total):
        place = folder / f"crash{fatal}"
        place.mkdir()
        sink = f"{kind}:{place / 'out'}"
        _, status = in_a_fork(functools.partial(run_once, source, sink, fatal))
        if status != -signal.SIGKILL:
            wrong.append(f"point {fatal}: ended with {status} instead of being killed")
            continue
        _, status = in_a_fork(functools.partial(run_once, source, sink, None))
        if status != 0:
            wrong.append(f"point {fatal}: could not be resumed")
        elif (job.hashes(sink), job.dead_letters(sink)) != expected:
            wrong.append(f"point {fatal}: {len(job.hashes(sink))} of {len(expected[0])} rows")
        shutil.rmtree(place)
    print(json.dumps({"points": total, "rows": len(expected[0]), "wrong": wrong}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
