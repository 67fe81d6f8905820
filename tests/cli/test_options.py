"""What the options of ``trio-ingest run`` change."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl", "--to", "sqlite:documents.db")


def ids_in(folder: Path) -> list[str]:
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        rows = database.execute("SELECT doc_id FROM documents ORDER BY rowid")
        return [doc_id for (doc_id,) in rows]


def lines(*ids: object) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"text {i}"}).encode() + b"\n" for i in ids)


def numbers(stop: int, start: int = 0) -> list[str]:
    return [str(number) for number in range(start, stop)]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("pipe", [True, False])
@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_limit_stops_at_exactly_so_many_and_resume_goes_on_behind_them(
    cli: RunCli, tmp_path: Path, pipe: bool, workers: str
) -> None:
    content = lines(*range(3)) + b"nonsense\n" + lines(*range(3, 2000))
    (tmp_path / "articles.jsonl").write_bytes(content)
    source = {"input": content} if pipe else {}
    words = ("run", "jsonl:-", *RUN[2:]) if pipe else RUN
    words = (*words, "--workers", workers, "--max-failed", "1")
    first = cli(*words, "--limit", "700", **source)
    assert first.returncode == 0, first.stderr
    assert b"Stopped at the limit: 699 documents, 1 failed" in first.stderr
    assert b"Go on with --resume." in first.stderr
    assert ids_in(tmp_path) == numbers(699)
    second = cli(*words, "--limit", "1", "--resume", **source)
    assert second.returncode == 0, second.stderr
    assert ids_in(tmp_path) == numbers(700)
    third = cli(*words, "--resume", **source)
    assert third.returncode == 0, third.stderr
    assert b"Done: 2,000 documents (1,300 in this run), 1 failed" in third.stderr
    assert ids_in(tmp_path) == numbers(2000)


def test_a_limit_beyond_the_source_is_never_reached(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1, 2))
    finished = cli(*RUN, "--limit", "3")
    assert finished.returncode == 0
    assert finished.stderr.startswith(b"Done: 2 documents")


def test_a_dry_run_reads_everything_and_writes_nothing(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1, 2) + b"nonsense\n")
    for words in (RUN, RUN[:2]):
        finished = cli(*words, "--dry-run")
        assert finished.returncode == 3
        assert b"Dry run: 2 documents, 1 failed" in finished.stderr
        assert b"articles.jsonl, line 3: " in finished.stderr
        assert [entry.name for entry in tmp_path.iterdir()] == ["articles.jsonl"]


@pytest.mark.parametrize("workers", ["1", "4"])
def test_a_limited_dry_run_counts_what_it_was_limited_to(
    cli: RunCli, tmp_path: Path, workers: str
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1) + b"nonsense\n" + lines(*range(500)))
    finished = cli(*RUN, "--dry-run", "--limit", "5", "--workers", workers, "--max-failed=1")
    assert finished.returncode == 0
    assert b"Stopped at the limit: 4 documents, 1 failed" in finished.stderr


@pytest.mark.parametrize("words", [("--resume",), ("--restart",)])
def test_a_dry_run_resumes_nothing(cli: RunCli, tmp_path: Path, words: tuple[str]) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1))
    finished = cli(*RUN, "--dry-run", *words)
    assert finished.returncode == 2
    assert b"--dry-run looks at no checkpoint" in finished.stderr


@pytest.mark.parametrize(("most", "status"), [("0", 3), ("1", 3), ("2", 0), ("9", 0)])
def test_so_many_documents_may_fail(
    cli: RunCli, tmp_path: Path, most: str, status: int
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b"nonsense\n" + lines(1) + b"nonsense\n")
    finished = cli(*RUN, "--max-failed", most)
    assert finished.returncode == status
    assert b"Done: 1 document, 2 failed" in finished.stderr


def test_failures_of_earlier_runs_count(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b"nonsense\n" + lines(*range(1000)))
    assert cli(*RUN, "--limit", "600", "--max-failed", "1").returncode == 0
    resumed = cli(*RUN, "--resume")
    assert resumed.returncode == 3
    assert b"1 failed in earlier runs of this job." in resumed.stderr


@pytest.mark.parametrize("bad", [b"", b"nonsense\n"])
def test_quiet_says_only_what_went_wrong(cli: RunCli, tmp_path: Path, bad: bytes) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1) + bad)
    finished = cli(*RUN, "-q")
    assert finished.returncode == (3 if bad else 0)
    assert (finished.stderr == b"") is (not bad)


def test_verbose_says_what_happens_when_it_happens(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1) + b"nonsense\n")
    finished = cli(*RUN, "-v")
    said = finished.stderr.decode().splitlines()
    assert said[0] == "articles.jsonl was pending and is running."
    assert said[1].startswith("Failed: articles.jsonl, line 2: the line is not valid JSON")
    assert said[2] == "articles.jsonl was running and is finished."
    assert len([line for line in said if "line 2:" in line]) == 1


def test_quiet_and_verbose_exclude_each_other(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(1))
    assert cli(*RUN, "-q", "-v").returncode == 2


def test_several_sources_are_one_job(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(*range(900)))
    (tmp_path / "more.jsonl").write_bytes(lines(*range(900, 1800)))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("A note.")
    sources = ("jsonl:articles.jsonl", "jsonl:more.jsonl", "files:notes")
    first = cli("run", *sources, *RUN[2:], "--limit", "1000")
    assert first.returncode == 0, first.stderr
    # In whatever order they are given.
    again = cli("run", *reversed(sources), *RUN[2:], "--resume")
    assert again.returncode == 0, again.stderr
    assert b"Done: 1,801 documents (801 in this run)" in again.stderr
    assert sorted(ids_in(tmp_path)) == sorted([*numbers(1800), "a.txt"])


def test_both_of_two_bad_sources_are_named(cli: RunCli, tmp_path: Path) -> None:
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        (tmp_path / name).write_bytes(b"no gzip data at all")
    finished = cli("run", "jsonl:a.jsonl.gz", "jsonl:b.jsonl.gz", *RUN[2:])
    assert finished.returncode == 1
    assert b"a.jsonl.gz, line 1: " in finished.stderr
    assert b"b.jsonl.gz, line 1: " in finished.stderr


def test_contents_that_are_all_empty_are_noticed(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(
        b'{"id": 1, "abstract": "x", "title": "y"}\n' * 2
    )
    finished = cli(*RUN)
    assert finished.returncode == 0
    assert (
        b"Note: no document has a text, in a field 'text'. The first has 'abstract', 'title'. "
        b"Name the right one with --content-field."
    ) in finished.stderr
    empty = (tmp_path / "empty.jsonl").write_bytes(b'{"id": 1, "text": ""}\n')
    assert empty
    assert b"Note" not in cli("run", "jsonl:empty.jsonl", "--dry-run").stderr
    noticed = cli(*RUN, "--content-field", "abstract", "--restart")
    assert b"Note" not in noticed.stderr


def test_order_can_be_given_up(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(lines(*range(300)))
    assert cli(*RUN, "--workers=3", "--unordered", "--retries=2").returncode == 0
    assert sorted(ids_in(tmp_path)) == sorted(numbers(300))
