"""Ctrl-C and SIGTERM: drained, then aborted, and never a traceback."""

import array
import fcntl
import os
import random
import signal
import sqlite3
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Self

import pytest

from trio_ingest.cli.signals import Signals

SIGNAL_AT = str(Path(__file__).parent / "signal_at.py")
RUN = (
    "run",
    "jsonl:articles.jsonl",
    "--to",
    "sqlite:documents.db",
    "--events",
    "events.jsonl",
)


def run_with_signal(
    folder: Path, environment: dict[str, str], place: int | str, number: int, *words: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SIGNAL_AT, str(place), str(int(number)), *words],
        cwd=folder,
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=60,
        check=False,
    )


def stored(folder: Path) -> int:
    if not (folder / "documents.db").exists():
        return 0
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name='documents'")
        if tables.fetchone() == (0,):
            return 0
        [(count,)] = database.execute("SELECT count(*) FROM documents")
        return int(count)


@pytest.mark.one_in(2)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("places", [2, pytest.param(150, marks=pytest.mark.slow)])
def test_a_signal_at_any_step_gives_no_traceback_and_loses_nothing(
    tmp_path: Path, environment: dict[str, str], number: signal.Signals, places: int
) -> None:
    whole = b"".join(b'{"id": %d, "text": "text"}\n' % n for n in range(1200))
    counted = tmp_path / "counted"
    counted.mkdir()
    (counted / "articles.jsonl").write_bytes(whole)
    undisturbed = run_with_signal(counted, environment, "-", number, *RUN)
    assert undisturbed.returncode == 0, undisturbed.stderr
    steps = int(undisturbed.stdout)
    # Seeded: the same places in each run of the tests.
    chosen = sorted(random.Random(7).sample(range(1, steps), places))
    statuses = set()
    for place in chosen:
        folder = tmp_path / str(place)
        folder.mkdir()
        (folder / "articles.jsonl").write_bytes(whole)
        ended = run_with_signal(folder, environment, place, number, *RUN)
        where = f"step {place} of {steps}: {ended.stderr}"
        assert "Traceback" not in ended.stderr, where
        assert "Exception ignored" not in ended.stderr, where
        assert ended.returncode in {0, 128 + number}, where
        statuses.add(ended.returncode)
        before = stored(folder)
        again = run_with_signal(folder, environment, "-", number, *RUN, "--resume")
        assert again.returncode == 0, where + again.stderr
        assert stored(folder) == 1200, f"{where}; {before} were stored"
    assert 128 + number in statuses


def test_a_signal_on_the_way_out_changes_no_exit_status(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1, "text": "text"}\n')
    code = (
        "import os, sys; from trio_ingest.__main__ import main\n"
        # It dies after Python has taken its handlers away.
        "class Last:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid()): kill(pid, 2)\n"
        "sys.last_of_all = Last()\n"
        f"sys.argv = ['trio-ingest', *{list(RUN[:4])!r}]\n"
        "sys.exit(main())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert "Done: 1 document" in ended.stderr


class Child:
    """The command line reading a pipe that stays open, until it is told to stop."""

    def __init__(self, folder: Path, command: list[str], environment: dict[str, str]) -> None:
        self._command = command
        self._settings = {"cwd": folder, "env": environment}

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(
            [*self._command, "run", "jsonl:-", "--to", "sqlite:documents.db", "--events", "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **self._settings,  # type: ignore[call-overload]
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def feed(self, count: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"".join(b'{"id": %d}\n' % n for n in range(count)))
        self.process.stdin.flush()

    def wait_for(self, words: bytes, times: int = 1) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            times -= words in line
            if not times:
                return
        raise AssertionError(f"{words!r} never came")

    def wait_until_stuck(self) -> None:
        """Until the pipe that nobody reads is full."""
        assert self.process.stdout is not None
        waiting = array.array("i", [0])
        while waiting[0] < 60_000:
            assert self.process.poll() is None
            fcntl.ioctl(self.process.stdout, termios.FIONREAD, waiting)
            os.sched_yield()

    def end(self) -> tuple[int, str]:
        # Kept open: at its end the source would end the run by itself.
        source, self.process.stdin = self.process.stdin, None
        _, said = self.process.communicate(timeout=60)
        if source is not None:
            source.close()
        assert b"Traceback" not in said
        return self.process.returncode, said.decode()


@pytest.fixture
def child(tmp_path: Path, command: list[str], environment: dict[str, str]) -> Child:
    measured = {k: v for k, v in environment.items() if not k.startswith("COVERAGE")}
    return Child(tmp_path, command, measured)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("number", "status", "name"),
    [
        (signal.SIGINT, 130, "Ctrl-C"),
        (signal.SIGTERM, 143, "SIGTERM"),
        (signal.SIGHUP, 129, "SIGHUP"),
    ],
)
def test_the_first_signal_stores_what_is_in_flight(
    tmp_path: Path, child: Child, number: signal.Signals, status: int, name: str
) -> None:
    with child:
        child.feed(700)
        child.wait_for(b"DocumentCompleted", 700)
        child.process.send_signal(number)
        ended, said = child.end()
    assert ended == status
    assert f"Stopping after {name}: what is in flight is finished and stored." in said
    assert "Stopped: 700 documents, 0 failed" in said
    assert "They are in documents.db. Go on with --resume." in said
    assert stored(tmp_path) == 700


def test_a_signal_that_is_heard_twice_at_once_is_one(tmp_path: Path, child: Child) -> None:
    with child:
        child.feed(700)
        child.wait_for(b"DocumentCompleted", 700)
        # As `timeout` does: to the process, and to its group.
        child.process.send_signal(signal.SIGTERM)
        child.process.send_signal(signal.SIGTERM)
        ended, said = child.end()
    assert ended == 143
    assert "Stopped: 700 documents" in said
    assert stored(tmp_path) == 700


def test_the_second_signal_aborts_though_nobody_reads_the_events(
    tmp_path: Path, child: Child
) -> None:
    with child:
        child.feed(4000)
        child.wait_until_stuck()
        child.process.send_signal(signal.SIGINT)
        assert poll(child.process) is None
        child.process.send_signal(signal.SIGINT)
        ended, said = child.end()
    assert ended == 130
    assert "Interrupted: " in said
    assert "Aborted." not in said
    assert 0 <= stored(tmp_path) < 4000


@pytest.mark.parametrize("times", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_lock_that_is_waited_for_is_given_up(
    tmp_path: Path, command: list[str], environment: dict[str, str], times: int
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1, "text": "text"}\n')
    with closing(sqlite3.connect(tmp_path / "documents.db")) as other:
        other.execute("CREATE TABLE somebody_elses (x)")
        other.commit()
        other.execute("BEGIN EXCLUSIVE")
        process = subprocess.Popen(
            [*command, *RUN[:4]],
            cwd=tmp_path,
            env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
            stderr=subprocess.PIPE,
        )
        with process:
            # The program is there when its thread for the database is.
            while len([*Path(f"/proc/{process.pid}/task").iterdir()]) < 2:
                assert process.poll() is None
                os.sched_yield()
            for _ in range(times):
                process.send_signal(signal.SIGINT)
                if poll(process) is not None:
                    break
            _, said = process.communicate(timeout=60)
        other.rollback()
    assert process.returncode == 130
    assert b"Traceback" not in said
    assert b"Interrupted: 0 documents" in said or b"Aborted." in said


def poll(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        return None


def test_a_restart_that_is_stopped_before_the_first_document_takes_nothing_away(
    cli: Callable[..., subprocess.CompletedProcess[bytes]],
    tmp_path: Path,
    command: list[str],
    environment: dict[str, str],
) -> None:
    words = ("run", "jsonl:-", "--to", "jsonl:documents.jsonl")
    assert cli(*words, input=b'{"id": 1, "text": "text"}\n' * 10).returncode == 0
    before = (tmp_path / "documents.jsonl").read_bytes()
    process = subprocess.Popen(
        [*command, *words, "--restart", "--verbose"],
        cwd=tmp_path,
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        assert process.stderr is not None
        while b"is running" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        process.stderr.read()
    assert (tmp_path / "documents.jsonl").read_bytes() == before
    refused = cli(*words, input=b"")
    assert refused.returncode == 2
    assert b"came to its end, with 10 documents" in refused.stderr


def test_a_full_standard_error_does_not_hold_the_end_up(
    tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b"nonsense\n" * 5000)
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [*command, "run", "jsonl:articles.jsonl", "--dry-run", "--verbose"],
        cwd=tmp_path,
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        stderr=writing,
    )
    with process:
        waiting = array.array("i", [0])
        while waiting[0] < 60_000:
            assert process.poll() is None
            fcntl.ioctl(reading, termios.FIONREAD, waiting)
            os.sched_yield()
        while poll(process) is None:
            process.send_signal(signal.SIGTERM)
    os.close(reading)
    os.close(writing)
    assert process.returncode == 143


def test_a_pipe_whose_reader_never_comes_is_given_up(
    tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1, "text": "text"}\n')
    os.mkfifo(tmp_path / "pipe")
    process = subprocess.Popen(
        [*command, *RUN[:4], "--events", "pipe"],
        cwd=tmp_path,
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        stderr=subprocess.PIPE,
    )
    with process:
        # It waits when it has worked, and does nothing any more.
        seen = [0, 1]
        while seen[-1] < 10 or seen[-1] != seen[-2]:
            assert poll(process) is None
            seen.append(cpu_ticks(process.pid))
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted: 0 documents" in said


def cpu_ticks(pid: int) -> int:
    return sum(
        map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])
    )


def test_a_signal_that_interrupts_its_own_handler_counts_once() -> None:
    signals, asked = Signals(), []

    def ask(times: int) -> None:
        asked.append(times)
        signals._handle(signal.SIGTERM, None)

    signals.listen(ask)
    signals._handle(signal.SIGTERM, None)
    assert asked == [1]
    assert signals.exit_status == 143


def test_signals_that_were_ignored_stay_ignored(tmp_path: Path, child: Child) -> None:
    child._settings["preexec_fn"] = lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)  # type: ignore[assignment]
    with child:
        child.feed(600)
        child.wait_for(b"DocumentCompleted", 600)
        child.process.send_signal(signal.SIGINT)
        assert child.process.stdin is not None
        child.process.stdin.close()
        child.process.stdin = None
        ended, said = child.end()
    assert ended == 0
    assert "Done: 600 documents" in said


def test_a_call_from_python_takes_no_signal_over(tmp_path: Path) -> None:
    from trio_ingest.cli.main import main

    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    source = tmp_path / "articles.jsonl"
    source.write_bytes(b'{"id": 1, "text": "text"}\n')
    assert main(["run", f"jsonl:{source}", "--to", f"sqlite:{tmp_path / 'x.db'}", "-q"]) == 0
    after = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert after == before
