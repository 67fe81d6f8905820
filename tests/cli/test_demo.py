"""``trio-ingest demo``: what it shows, what it proves, and what it leaves."""

import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import pytest

from trio_ingest.cli._demo_library import BROKEN, DemoError, copy_library, readable
from trio_ingest.cli._demo_proof import look_at, stored

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


def test_an_interrupted_demo_leaves_no_process_and_no_file(
    tmp_path: Path, command: list[str], environment: dict[str, str], temporary: Path
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
        # As a terminal does: the child hears it too.
        os.killpg(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Interrupted." in said
    assert b"Traceback" not in said
    assert list(temporary.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


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
