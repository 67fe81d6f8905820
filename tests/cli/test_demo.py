"""``trio-ingest demo``: what it shows, what it proves, and what it leaves."""

import io
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import pytest

from trio_ingest.cli.demo.demo import _complain, _killed_half_way, _resumed, _say, _say_figure
from trio_ingest.cli.demo.library import BROKEN, DemoError, copy_library, readable
from trio_ingest.cli.demo.proof import look_at, stored
from trio_ingest.cli.demo.runs import Interruption, ended

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]


@pytest.fixture
def temporary(tmp_path: Path, environment: dict[str, str]) -> Path:
    """Where the demo of the test puts its own temporary directory."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    environment["TMPDIR"] = str(folder)
    return folder


def test_the_demo_adds_up_and_leaves_nothing(cli: RunCli, temporary: Path) -> None:
    finished = cli("demo")
    said = finished.stdout.decode()
    assert finished.returncode == 0, said + finished.stderr.decode()
    assert "--events -" in said
    assert "Killed (SIGKILL) when it had read " in said
    assert "--resume" in said
    assert "each exactly once" in said
    assert f"{BROKEN} is not among them" not in said
    assert "the file is not valid utf-8: byte 0xe9" in said
    assert '"Mersenne Twister" is best found in random.py' in said
    assert " documents/s in the second run" in said
    assert " MiB at most" in said
    assert b"Going on after " in finished.stderr
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_what_is_kept_can_be_looked_at(cli: RunCli, tmp_path: Path, temporary: Path) -> None:
    finished = cli("demo", "--keep", "kept")
    assert finished.returncode == 0, finished.stderr
    assert b"Everything is in 'kept'." in finished.stdout
    good, bad = readable(tmp_path / "kept" / "library")
    assert BROKEN in bad
    assert look_at(tmp_path / "kept" / "documents.db", good).faults(good, bad) == []
    again = cli("demo", "--keep", "kept")
    assert again.returncode == 1
    assert b"'kept' has something in it already" in again.stderr


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, set[str], set[str]]:
    """A database as the demo leaves it, for three files, and what should be in it."""
    path = tmp_path / "documents.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(
            """
            CREATE TABLE documents (row_id INTEGER PRIMARY KEY, doc_id TEXT, content TEXT);
            CREATE TABLE trio_ingest_dead_letters (doc_id TEXT, error TEXT);
            CREATE VIRTUAL TABLE documents_full_text
            USING fts5(content, content='documents', content_rowid='row_id');
            INSERT INTO documents VALUES (1, 'a.py', 'x'), (2, 'b.py', 'Mersenne Twister');
            INSERT INTO documents_full_text (documents_full_text) VALUES ('rebuild');
            INSERT INTO trio_ingest_dead_letters VALUES ('c.py', 'not valid');
            """
        )
    return path, {"a.py", "b.py"}, {"c.py"}


def test_a_database_that_is_right_has_no_faults(small: Any) -> None:
    path, good, bad = small
    assert look_at(path, good).faults(good, bad) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ("DELETE FROM documents WHERE row_id = 1", "These documents are missing: a.py."),
        (
            "INSERT INTO documents VALUES (3, 'd.py', '')",
            "These documents should not be there: d.py.",
        ),
        ("INSERT INTO documents VALUES (3, 'a.py', '')", "There are 3 documents with 2 ids"),
        ("DELETE FROM trio_ingest_dead_letters", "Kept as failed are 0, and of the files 1"),
        (
            "INSERT INTO trio_ingest_dead_letters VALUES ('c.py', 'again')",
            "Kept as failed are 2, and of the files 1",
        ),
        (
            "INSERT INTO documents_full_text (documents_full_text) VALUES ('delete-all')",
            'The search for "Mersenne Twister" found nothing.',
        ),
    ],
)
def test_whatever_does_not_add_up_is_said(small: Any, change: str, fault: str) -> None:
    path, good, bad = small
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change)
    assert fault in " ".join(look_at(path, good).faults(good, bad))


def test_there_are_no_documents_before_there_is_a_database(tmp_path: Path) -> None:
    assert stored(tmp_path / "documents.db") == 0


def test_a_python_without_sources_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path / "nothing")})
    with pytest.raises(DemoError, match="has 0 source files in"):
        copy_library(tmp_path / "library")


def test_hidden_files_and_broken_links_are_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source"
    (source / ".hidden").mkdir(parents=True)
    (source / ".hidden" / "a.py").touch()
    (source / ".a.py").touch()
    (source / "linked.py").symlink_to("nowhere")
    for number in range(100):
        (source / f"{number}.py").touch()
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(source)})
    assert copy_library(tmp_path / "library") == 101
    good, bad = readable(tmp_path / "library")
    assert (len(good), bad) == (100, {BROKEN})


@pytest.mark.parametrize("heard_by", ["all", "the demo alone"])
def test_an_interrupted_demo_leaves_no_process_and_no_file(
    tmp_path: Path,
    command: list[str],
    environment: dict[str, str],
    temporary: Path,
    heard_by: str,
) -> None:
    process = subprocess.Popen(
        [*command, "demo"],
        cwd=tmp_path,
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        assert process.stdout is not None
        while b"--events -" not in process.stdout.readline():
            assert process.poll() is None
        if heard_by == "all":  # as from a terminal
            os.killpg(process.pid, signal.SIGINT)
        else:
            process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted." in said
    assert b"Traceback" not in said
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


@pytest.mark.slow
def test_signals_while_the_directory_is_removed_leave_nothing(
    tmp_path: Path, environment: dict[str, str], temporary: Path
) -> None:
    program = """
import os, shutil, signal, sys
from trio_ingest.__main__ import main
from trio_ingest.cli import signals

signals._SAME_SIGNAL_SECONDS = 0
remove = shutil.rmtree

def interrupted(*arguments, **options):
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGINT)
    remove(*arguments, **options)

shutil.rmtree = interrupted
sys.argv = ["trio-ingest", "demo"]
sys.exit(main())
"""
    finished = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert list(temporary.iterdir()) == []


def assert_no_child_is_left() -> None:
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_an_interruption_ends_the_run_that_goes_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never-written")
    words = ("run", "jsonl:never-written", "--to", "sqlite:documents.db")
    interruption = Interruption()
    with interruption.started(tmp_path, words, is_read=True) as process:
        interruption.ask(1)
        assert ended(process).how == f"was killed by signal {int(signal.SIGKILL)}"
    with pytest.raises(KeyboardInterrupt):
        interruption.check()
    assert_no_child_is_left()


def test_a_run_that_begins_after_an_interruption_is_ended(tmp_path: Path) -> None:
    interruption = Interruption()
    interruption.ask(1)
    with (
        pytest.raises(KeyboardInterrupt),
        interruption.started(tmp_path, ("--version",), is_read=True),
    ):
        pytest.fail("The run goes on.")
    assert_no_child_is_left()


def test_a_run_that_ends_too_early_is_told(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # There is no library to read.
    with pytest.raises(DemoError, match="The first run ended with the exit status 2 before"):
        _killed_half_way(tmp_path, Interruption(), 10)
    with pytest.raises(DemoError, match="The second run ended with the exit status 2 before"):
        _resumed(tmp_path, Interruption())
    assert "library" in capfd.readouterr().err


def test_what_the_output_cannot_hold_is_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    held = io.BytesIO()
    with io.TextIOWrapper(held, encoding="ascii") as output:
        monkeypatch.setattr("sys.stdout", output)
        _say("caf\xe9 …")
        assert held.getvalue() == b"caf\\xe9 \\u2026\n"


def test_a_long_figure_stays_below_itself_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    _say_figure("search", "found in a place with quite a long name")
    first, second = terminal.getvalue().splitlines()
    assert first == "  search     found in a place with"
    assert second == "             quite a long name"


def test_streams_that_were_closed_before_are_done_without(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    _say("nobody reads it", bold=True)
    _complain("nor this")


def test_a_reader_that_has_seen_enough_ends_the_demo(
    tmp_path: Path, command: list[str], environment: dict[str, str], temporary: Path
) -> None:
    finished = subprocess.run(
        ["bash", "-c", f"{' '.join(command)} demo | head -1; echo ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert finished.stdout.splitlines()[-1] == b"141"
    assert b"Traceback" not in finished.stderr
    assert list(temporary.iterdir()) == []


def test_a_place_that_cannot_be_written_is_told(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    finished = cli("demo", "--keep", "file/demo")
    assert finished.returncode == 1
    assert b"Error: the demo cannot go on: " in finished.stderr
