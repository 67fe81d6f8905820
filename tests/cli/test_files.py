"""``files:DIRECTORY`` on the command line."""

import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

from trio_ingest.adapters.files.connector import directory_and_pattern

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

TO_DATABASE = ("--to", "sqlite:documents.db")


def rows_of(folder: Path, columns: str = "doc_id") -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        return database.execute(f"SELECT {columns} FROM documents ORDER BY rowid").fetchall()


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.md").write_text("On cats.")
    (folder / "b.txt").write_text("On dogs.")
    (folder / "deep" / "c.md").write_text("On both.")
    return folder


def test_each_file_is_a_document(cli: RunCli, tmp_path: Path, docs: Path) -> None:
    finished = cli("run", "files:docs", *TO_DATABASE)
    assert finished.returncode == 0, finished.stderr
    assert rows_of(tmp_path, "doc_id, source, content") == [
        ("a.md", "docs", "On cats."),
        ("b.txt", "docs", "On dogs."),
        ("deep/c.md", "docs", "On both."),
    ]


def test_a_glob_pattern_chooses_among_them(cli: RunCli, tmp_path: Path, docs: Path) -> None:
    finished = cli("run", "files:docs/**/*.md", *TO_DATABASE)
    assert finished.returncode == 0, finished.stderr
    assert rows_of(tmp_path) == [("a.md",), ("deep/c.md",)]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("docs/**/*.md", ("docs", "**/*.md")),
        ("docs/*/x/*.md", ("docs", "*/x/*.md")),
        ("*.md", (".", "*.md")),
        ("/*.md", ("/", "*.md")),
        ("/srv/d[0-9]/a", ("/srv", "d[0-9]/a")),
        ("docs", ("docs", "**/*")),
    ],
)
def test_where_a_pattern_begins(path: str, expected: tuple[str, str]) -> None:
    assert directory_and_pattern(path) == expected


def test_a_directory_that_looks_like_a_pattern_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "[old]").mkdir()
    assert directory_and_pattern("[old]") == ("[old]", "**/*")


def test_what_is_no_text_is_a_failed_document_with_its_path(
    cli: RunCli, tmp_path: Path, docs: Path
) -> None:
    (docs / "deep" / "bad.md").write_bytes(b"caf\xe9")
    finished = cli("run", "files:docs/**/*.md", *TO_DATABASE)
    assert finished.returncode == 3
    assert b"  docs/deep/bad.md: the file is not valid utf-8: byte 0xe9" in finished.stderr
    assert rows_of(tmp_path) == [("a.md",), ("deep/c.md",)]


def test_another_encoding_can_be_given(cli: RunCli, tmp_path: Path, docs: Path) -> None:
    (docs / "c.md").write_bytes(b"caf\xe9")
    assert cli("run", "files:docs/c*", *TO_DATABASE, "--encoding=latin-1").returncode == 0
    assert rows_of(tmp_path, "content") == [("café",)]


def test_what_is_no_file_is_skipped_and_said(cli: RunCli, tmp_path: Path, docs: Path) -> None:
    os.mkfifo(docs / "pipe")
    (docs / "loop").symlink_to(docs)
    (docs / "nowhere").symlink_to("missing")
    (docs / "zero").symlink_to("/dev/zero")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(docs / "socket"))
        finished = cli("run", "files:docs", *TO_DATABASE)
    assert finished.returncode == 0, finished.stderr
    said = finished.stderr.decode()
    assert "Done: 3 documents, 0 failed, 5 skipped, " in said
    for name, why in [
        ("pipe", "it is a named pipe, not a file"),
        ("socket", "it is a socket, not a file"),
        ("zero", "it is a device, not a file"),
        ("loop", "it leads back to a directory that it lies in"),
        ("nowhere", "No such file or directory"),
    ]:
        assert f"  docs/{name}: {why}." in said


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("files:missing", *TO_DATABASE), "The directory missing does not exist"),
        (("files:docs/a.md", *TO_DATABASE), "docs/a.md is not a directory"),
        (("files:docs/**x", *TO_DATABASE), "**"),
        (
            ("files:docs", "--to", "sqlite:docs/documents.db"),
            "lies among the files that SOURCE",
        ),
        (("files:.", *TO_DATABASE), "lies among the files that SOURCE reads"),
        (("files:docs", *TO_DATABASE, "--errors", "docs/errors"), "--errors would write"),
        (("files:docs", "files:./docs", *TO_DATABASE), "'docs' is given twice"),
        (("files:docs", *TO_DATABASE, "--encoding=nonsense"), "nonsense"),
        (("jsonl:docs/*.jsonl", *TO_DATABASE), "jsonl: takes one file"),
    ],
)
def test_what_cannot_work_is_explained(
    cli: RunCli, tmp_path: Path, docs: Path, words: tuple[str, ...], why: str
) -> None:
    finished = cli("run", *words)
    assert finished.returncode == 2, finished.stderr
    assert why in finished.stderr.decode()
    assert {entry.name for entry in tmp_path.iterdir()} == {"docs"}


def test_a_sink_that_the_pattern_leaves_out_may_lie_there(
    cli: RunCli, tmp_path: Path, docs: Path
) -> None:
    finished = cli("run", "files:./**/*.md", *TO_DATABASE)
    assert finished.returncode == 0, finished.stderr
    assert rows_of(tmp_path) == [("docs/a.md",), ("docs/deep/c.md",)]


def test_a_run_over_files_goes_on(cli: RunCli, tmp_path: Path, docs: Path) -> None:
    for number in range(300):
        (docs / f"n{number:03}.md").write_text("text")
    assert cli("run", "files:docs/*.md", *TO_DATABASE, "--limit=200").returncode == 0
    finished = cli("run", "files:docs/*.md", *TO_DATABASE, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert rows_of(tmp_path) == [("a.md",), *((f"n{n:03}.md",) for n in range(300))]
