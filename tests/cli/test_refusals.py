"""What cannot work is said in a sentence, with exit status 2, or 1 when it had begun."""

import io
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

from trio_ingest.adapters import JsonLinesAdapter
from trio_ingest.cli.endpoints.endpoint import Endpoint
from trio_ingest.cli.endpoints.sources import Source
from trio_ingest.cli.jobs.ingest import run_job
from trio_ingest.cli.jobs.job import Job
from trio_ingest.cli.main import main
from trio_ingest.cli.signals import Signals
from trio_ingest.cli.terminal.display import display_for
from trio_ingest.cli.terminal.report import Report
from trio_ingest.connectors import adapter_connectors

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl", "--to", "sqlite:documents.db")


@pytest.fixture(autouse=True)
def _articles(tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1}\n')


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("run", "jsonl:missing.jsonl", *RUN[2:]), "'missing.jsonl' does not exist"),
        (("run", f"jsonl:{'x' * 300}", *RUN[2:]), "cannot be reached: File name too long"),
        ((*RUN[:3], "sqlite::memory:"), "':memory:' means no file to SQLite"),
        ((*RUN[:3], "sqlite:file:x.db?mode=memory"), "means no file to SQLite"),
        ((*RUN[:3], "sqlite:./articles.jsonl"), "are the same file"),
        (("run", "jsonl:.", *RUN[2:]), "'.' is a directory"),
        (
            ("run", "articles.jsonl", *RUN[2:]),
            "'articles.jsonl' is not of the form files:DIRECTORY or jsonl:PATH",
        ),
        (
            ("run", "csv:articles.csv", *RUN[2:]),
            "not of the form files:DIRECTORY or jsonl:PATH",
        ),
        (
            ("run", "jsonl:", *RUN[2:]),
            "'jsonl:' is not of the form files:DIRECTORY or jsonl:PATH",
        ),
        (
            (*RUN[:2], "--to", "documents.db"),
            "'documents.db' is not of the form jsonl:PATH or sqlite:PATH",
        ),
        (RUN[:2], "--to"),
        (("run",), "SOURCE"),
        ((*RUN, "--workers", "0"), "--workers"),
        ((*RUN, "--buffer-size", "many"), "--buffer-size"),
        ((*RUN, "--id-field", "text"), "must name two different fields"),
        ((*RUN, "--unheard-of"), "--unheard-of"),
        (("unheard-of",), "unheard-of"),
        ((), "Usage:"),
    ],
)
def test_a_wrong_command_is_explained(
    cli: RunCli, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    finished = cli(*words)
    assert finished.returncode == 2
    assert why in finished.stderr.decode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["articles.jsonl"]


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("jsonl:link.jsonl", "--to", "jsonl:articles.jsonl"), 2),
        (("jsonl:link.jsonl", "--dry-run", "--events", "articles.jsonl"), 2),
        (("jsonl:-", "--to", "jsonl:articles.jsonl"), 2),
        (("jsonl:-", "--to", "jsonl:other.jsonl"), 0),
    ],
)
def test_one_file_under_two_names_is_one(
    cli: RunCli, tmp_path: Path, words: tuple[str, ...], status: int
) -> None:
    (tmp_path / "link.jsonl").hardlink_to(tmp_path / "articles.jsonl")
    with (tmp_path / "articles.jsonl").open("rb") as source:
        finished = cli("run", *words, stdin=source)
    assert finished.returncode == status, finished.stderr
    assert (b"are the same file" in finished.stderr) is (status == 2)
    assert (tmp_path / "articles.jsonl").read_bytes() == b'{"id": 1}\n'


def test_somebody_elses_lock_file_is_left_alone(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "out.jsonl.lock").write_text("keep this")
    finished = cli(*RUN[:3], "jsonl:out.jsonl")
    assert finished.returncode == 2
    assert b"out.jsonl.lock has something in it that no run wrote" in finished.stderr
    assert (tmp_path / "out.jsonl.lock").read_text() == "keep this"


def test_a_home_directory_is_found_behind_the_colon(
    cli: RunCli, tmp_path: Path, environment: dict[str, str]
) -> None:
    environment["HOME"] = str(tmp_path)
    assert cli("run", "jsonl:~/articles.jsonl", "--to", "sqlite:~/home.db").returncode == 0
    assert (tmp_path / "home.db").exists()


def test_a_database_whose_name_is_no_utf_8_is_resumed(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1}\n{"id": 2}\n')
    words = (*RUN[:3], "sqlite:o\udcff.db")
    assert cli(*words, "--limit", "1").returncode == 0
    finished = cli(*words, "--resume")
    assert finished.returncode == 0, finished.stderr


def test_a_closed_standard_input_is_explained(cli: RunCli) -> None:
    finished = cli("run", "jsonl:-", *RUN[2:], stdin=None, preexec_fn=lambda: os.close(0))
    assert finished.returncode == 2
    assert b"standard input is closed" in finished.stderr


@pytest.mark.parametrize(
    ("sink", "why"),
    [
        ("sqlite:folder", "folder cannot be opened: it is a directory"),
        ("sqlite:missing/documents.db", "missing does not exist"),
        ("sqlite:notes.txt", "notes.txt cannot be opened: it is a file, but not a"),
        (f"sqlite:{'x' * 300}", "File name too long"),
        ("sqlite:loop/documents.db", "cannot be opened: Too many levels of symbolic links"),
        ("sqlite:foreign.db", "foreign.db has a table 'documents' of another shape"),
    ],
)
def test_a_sink_that_cannot_work_is_explained(
    cli: RunCli, tmp_path: Path, sink: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "notes.txt").write_bytes(b"Dear diary, " * 100)
    connection = sqlite3.connect(tmp_path / "foreign.db")
    connection.execute("CREATE TABLE documents (id INTEGER PRIMARY KEY, body)")
    connection.close()
    finished = cli(*RUN[:3], sink)
    assert finished.returncode == 2
    assert why in finished.stderr.decode()


def test_a_sink_that_fails_ends_the_run_and_keeps_what_was_committed(
    cli: RunCli, tmp_path: Path
) -> None:
    line = b'{"id": %d, "text": "' + b"x" * 500 + b'"}\n'
    (tmp_path / "articles.jsonl").write_bytes(b"".join(line % n for n in range(20_000)))

    def limit_file_size() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (6_000_000, 6_000_000))

    finished = cli(*RUN, preexec_fn=limit_file_size)
    assert finished.returncode == 1
    said = finished.stderr.decode()
    assert (
        "Error: documents.db cannot be used: disk I/O error. What was committed before stays"
        in said
    )
    connection = sqlite3.connect(tmp_path / "documents.db")
    [(count,)] = connection.execute("SELECT count(*) FROM documents")
    connection.close()
    assert 0 < count < 20_000
    assert f"The run failed: {count:,} documents, 0 failed" in said


def test_a_source_that_is_a_loop_of_links_is_explained(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    finished = cli("run", "jsonl:loop", *RUN[2:])
    assert finished.returncode == 2
    assert b"'loop' cannot be reached: Too many levels of symbolic links" in finished.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("word", ["--help", "--version"])
def test_an_answer_that_cannot_be_written_is_explained(cli: RunCli, word: str) -> None:
    with Path("/dev/full").open("wb") as full:
        finished = cli(word, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert finished.returncode == 1
    assert finished.stderr == (
        b"Error: the answer cannot be written: No space left on device.\n"
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_exit_status_holds_when_the_reason_cannot_be_written(cli: RunCli) -> None:
    with Path("/dev/full").open("wb") as full:
        finished = cli("run", "jsonl:missing", *RUN[2:], capture_output=False, stderr=full)
    assert finished.returncode == 2


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
        (MemoryError(), 1, "Error: the memory is used up.\n"),
        (KeyError("x"), 1, "Internal error: KeyError: 'x'. Please report it"),
    ],
)
def test_no_error_is_a_traceback(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    status: int,
    said: str,
) -> None:
    def fail(_arguments: object) -> int:
        raise error

    monkeypatch.delenv("TRIO_INGEST_DEBUG", raising=False)
    monkeypatch.setattr("trio_ingest.cli.main._command_line", fail)
    assert main([]) == status
    assert capsys.readouterr().err.startswith(said)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't start new thread")])
def test_a_machine_at_its_limit_fails_the_run(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_arguments: object) -> None:
        raise error

    monkeypatch.setattr("trio.run", fail)
    connector = adapter_connectors()["jsonl"]
    endpoint = Endpoint(connector, "articles.jsonl")
    source = Source(endpoint, JsonLinesAdapter("articles.jsonl"), connector.options())
    job = Job(sources=[source], destinations=[])
    screen = io.StringIO()
    report = Report(["documents.db"], display=display_for(screen))
    assert run_job(job, report, Signals()) == 1
    assert screen.getvalue().startswith("Error: ")
    assert "They are in" not in screen.getvalue()


WITHOUT_CLICK = """
import sys
sys.modules["click"] = None
from trio_ingest.cli.main import main
sys.exit(main(["--version"]))
"""


def test_without_click_the_command_to_install_it_is_named(environment: dict[str, str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLICK],
        capture_output=True,
        env=environment,
        check=False,
    )
    assert finished.returncode == 2
    assert finished.stderr.count(b"\n") == 1
    assert b"pip install 'trio_ingest[cli]'" in finished.stderr


def test_the_version_is_that_of_the_package(cli: RunCli) -> None:
    import trio_ingest

    finished = cli("--version")
    assert finished.returncode == 0
    assert finished.stdout.decode() == f"trio-ingest {trio_ingest.__version__}\n"


@pytest.mark.parametrize("words", [("--help",), ("-h",), ("run", "--help")])
def test_help_is_an_answer(cli: RunCli, words: tuple[str, ...]) -> None:
    finished = cli(*words)
    assert finished.returncode == 0
    assert b"Usage: trio-ingest" in finished.stdout
