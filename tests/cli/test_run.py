"""``trio-ingest run`` from a JSON Lines file into SQLite: what arrives, what is said."""

import gzip
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

TO_DATABASE = ("--to", "sqlite:documents.db")


def rows_of(folder: Path, columns: str = "doc_id") -> list[tuple[object, ...]]:
    connection = sqlite3.connect(folder / "documents.db")
    try:
        return connection.execute(f"SELECT {columns} FROM documents ORDER BY rowid").fetchall()
    finally:
        connection.close()


def lines(*ids: object) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"text {i}"}).encode() + b"\n" for i in ids)


def test_documents_arrive_and_are_counted(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines("a", 2))
    finished = cli("run", "jsonl:articles.jsonl", *TO_DATABASE)
    assert finished.returncode == 0
    assert finished.stderr.startswith(b"Done: 2 documents, 0 failed, ")
    assert finished.stderr.rstrip().endswith(b" documents/s.")
    assert finished.stdout == b""
    assert rows_of(tmp_path, "doc_id, source, content") == [
        ("a", "articles.jsonl", "text a"),
        ("2", "articles.jsonl", "text 2"),
    ]


def test_more_documents_than_a_batch_arrive_in_order(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(*range(3501)))
    finished = cli(
        "run", "jsonl:articles.jsonl", *TO_DATABASE, "--workers=4", "--buffer-size=7"
    )
    assert finished.returncode == 0
    assert rows_of(tmp_path) == [(str(number),) for number in range(3501)]


def test_replaced_documents_are_counted(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines("a", "b", "a", "c", "a"))
    finished = cli("run", "jsonl:articles.jsonl", *TO_DATABASE)
    assert finished.stderr.startswith(
        b"Done: 5 documents (2 of them replaced an earlier one with the same id), 0 failed"
    )
    assert rows_of(tmp_path) == [("a",), ("b",), ("c",)]


def test_an_empty_source_says_0_documents(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    finished = cli("run", "jsonl:empty.jsonl", *TO_DATABASE)
    assert finished.returncode == 0
    assert b"Done: 0 documents, 0 failed" in finished.stderr
    assert rows_of(tmp_path) == []


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input_is_a_source(
    cli: RunCli, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    assert cli("run", "jsonl:-", *TO_DATABASE, input=pack(lines("a", "b"))).returncode == 0
    assert rows_of(tmp_path, "doc_id, source") == [
        ("a", "standard input"),
        ("b", "standard input"),
    ]


def test_a_file_can_be_standard_input(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines("a"))
    with (tmp_path / "articles.jsonl").open("rb") as file:
        assert cli("run", "jsonl:-", *TO_DATABASE, stdin=file).returncode == 0
    assert rows_of(tmp_path) == [("a",)]


def test_gzip_is_unpacked(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl.gz").write_bytes(gzip.compress(lines("a")))
    assert cli("run", "jsonl:articles.jsonl.gz", *TO_DATABASE).returncode == 0
    assert rows_of(tmp_path) == [("a",)]


def test_other_fields_can_be_named(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(
        b'{"pmid": 7, "abstract": "On cats.", "year": 1979}'
    )
    fields = ("--id-field", "pmid", "--content-field", "abstract")
    assert cli("run", "jsonl:articles.jsonl", *TO_DATABASE, *fields).returncode == 0
    assert rows_of(tmp_path, "doc_id, content, metadata") == [
        ("7", "On cats.", '{"year": 1979}')
    ]


def test_the_first_10_failures_are_named_and_the_rest_counted_and_kept(
    cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b"nonsense\n" * 2020 + lines("a"))
    finished = cli("run", "jsonl:articles.jsonl", *TO_DATABASE)
    assert finished.returncode == 3
    said = finished.stderr.decode()
    assert "articles.jsonl, line 10: " in said
    assert "line 11: " not in said
    assert "and 2,010 more." in said
    assert "kept with its error in documents.db, table trio_ingest_dead_letters." in said
    with closing(sqlite3.connect(tmp_path / "documents.db")) as database:
        kept = database.execute("SELECT count(*) FROM trio_ingest_dead_letters")
        assert kept.fetchone() == (2020,)
    assert rows_of(tmp_path) == [("a",)]


def test_a_document_that_the_sink_rejects_counts_as_failed(
    cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines("a", "b", "c"))
    connection = sqlite3.connect(tmp_path / "documents.db")
    connection.execute(
        "CREATE TABLE documents (doc_id TEXT PRIMARY KEY, source, "
        "content CHECK (content != 'text b'), raw, metadata)"
    )
    connection.close()
    finished = cli("run", "jsonl:articles.jsonl", *TO_DATABASE)
    assert finished.returncode == 3
    assert b"Done: 2 documents, 1 failed" in finished.stderr
    assert (
        b"articles.jsonl, document 'b': the table does not take it: CHECK" in finished.stderr
    )
    assert rows_of(tmp_path) == [("a",), ("c",)]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs Linux's /proc")
def test_a_source_that_cannot_be_read_fails_the_run(cli: RunCli) -> None:
    finished = cli("run", "jsonl:/proc/self/mem", *TO_DATABASE)
    assert finished.returncode == 1
    assert b"Error: /proc/self/mem: Input/output error." in finished.stderr
    assert b"The run failed: 0 documents, 0 failed" in finished.stderr


def test_a_truncated_source_fails_the_run_and_keeps_its_whole_lines(
    cli: RunCli, tmp_path: Path
) -> None:
    packed = gzip.compress(lines(*(pow(3, n, 2**127 - 1) for n in range(5000))))
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    finished = cli("run", "jsonl:cut.jsonl.gz", *TO_DATABASE)
    assert finished.returncode == 1
    count = len(rows_of(tmp_path))
    assert 1000 < count < 4000
    assert (
        f"Error: cut.jsonl.gz, after line {count}: the gzip data ends".encode()
        in finished.stderr
    )
    assert f"The run failed: {count:,} documents, 0 failed".encode() in finished.stderr
