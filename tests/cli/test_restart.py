"""A restart takes nothing away before there is something to put in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl")
TWO = ("--to", "jsonl:a.out", "--to", "jsonl:b.out")


def lines(*ids: object) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"text {i}"}).encode() + b"\n" for i in ids)


def contents_of(folder: Path) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".lock"
    }


@pytest.fixture
def articles(tmp_path: Path, cli: RunCli) -> Path:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(lines("a", "b"))
    assert cli(*RUN, *TWO).returncode == 0
    return path


def test_sinks_of_which_one_cannot_begin_again_are_all_left_as_they_are(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    changed = tmp_path / "b.out"
    changed.write_bytes(changed.read_bytes().replace(b"text a", b"TEXT a"))
    before = contents_of(tmp_path)
    finished = cli(*RUN, *TWO, "--restart")
    assert finished.returncode == 2
    assert b"was changed or replaced" in finished.stderr
    assert contents_of(tmp_path) == before


@pytest.mark.parametrize(
    ("content", "words", "status"),
    [
        ("\ufeffutf-16".encode("utf-16-le"), (), 1),
        (lines("a"), ("--buffer-size", "9" * 20), 2),
        (lines("a"), ("--id-field", "text"), 2),
    ],
    ids=["UTF-16", "options", "fields"],
)
def test_a_run_that_cannot_begin_takes_nothing_away(
    content: bytes,
    words: tuple[str, ...],
    status: int,
    cli: RunCli,
    tmp_path: Path,
    articles: Path,
) -> None:
    articles.write_bytes(content)
    before = contents_of(tmp_path)
    assert cli(*RUN, *TWO, "--restart", *words).returncode == status
    assert contents_of(tmp_path) == before


def test_a_file_with_another_jobs_documents_is_not_emptied(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "more.jsonl").write_bytes(lines("c"))
    before = contents_of(tmp_path)
    for words in ((), ("--resume",), ("--restart",)):
        finished = cli("run", "jsonl:more.jsonl", "--to", "jsonl:a.out", *words)
        assert finished.returncode == 2
        said = finished.stderr.decode()
        assert "another job, whose source is articles.jsonl" in said
        assert "delete a.out and a.out.checkpoint" in said
    assert contents_of(tmp_path) == before


def test_somebody_elses_file_beside_what_looks_like_a_checkpoint_is_not_emptied(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "model").write_text("mine\n")
    (tmp_path / "model.checkpoint").write_text("weights\n")
    before = contents_of(tmp_path)
    for words in ((), ("--resume",), ("--restart",)):
        assert cli(*RUN, "--to", "jsonl:model", *words).returncode == 2
    assert contents_of(tmp_path) == before


def test_a_refused_run_leaves_the_output_as_it_is(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    with (tmp_path / "a.out").open("ab") as file:
        file.write(b'{"doc_id": "mine"}\n')
    before = contents_of(tmp_path)
    assert cli(*RUN, *TWO).returncode == 2
    assert contents_of(tmp_path) == before


def test_a_restart_is_announced_to_empty_a_file(cli: RunCli, articles: Path) -> None:
    finished = cli(*RUN, *TWO)
    assert b"give --restart, which empties a.out and b.out" in finished.stderr


@pytest.mark.one_in(2)
@pytest.mark.parametrize(
    "words",
    [
        ("run", "jsonl:a.out.failed", "--to", "jsonl:a.out"),
        ("run", "jsonl:a.out.checkpoint", "--to", "jsonl:a.out"),
        (*RUN, "--to", "jsonl:z", "--to", "jsonl:z.failed"),
        (*RUN, "--to", "jsonl:z", "--to", "jsonl:./z"),
        (*RUN, "--to", "sqlite:z", "--to", "sqlite:./z"),
        (*RUN, "--to", "sqlite:z", "--to", "jsonl:z-wal"),
    ],
)
def test_a_file_that_a_sink_keeps_beside_its_own_is_its_own_too(
    words: tuple[str, ...], cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "a.out.failed").write_bytes(lines("x"))
    before = contents_of(tmp_path)
    finished = cli(*words, "--restart")
    assert finished.returncode == 2
    assert b"the same file" in finished.stderr
    assert contents_of(tmp_path) == before


def test_a_job_is_the_same_however_its_source_is_spelled(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    sink = ("--to", "sqlite:documents.db")
    assert cli(*RUN, *sink).returncode == 0
    for path in ("./articles.jsonl", str(articles)):
        for words in ((), ("--resume",)):
            finished = cli("run", f"jsonl:{path}", *sink, *words)
            assert finished.returncode == 2
            assert b"Spell the source as it was" in finished.stderr


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", ["sqlite", "jsonl"])
def test_a_source_that_has_less_than_before_is_not_finished(
    kind: str, cli: RunCli, tmp_path: Path
) -> None:
    sink = ("--to", f"{kind}:out")
    whole = lines(*range(3000))
    words = ("run", "jsonl:-", *sink)
    # A truncated gzip stops the job in its middle.
    import gzip

    packed = gzip.compress(whole, 1)
    assert cli(*words, input=packed[: len(packed) * 2 // 3]).returncode == 1
    for less in (b"", packed[: len(packed) // 3]):
        finished = cli(*words, "--resume", input=less)
        assert finished.returncode == 2, finished.stderr
        assert b"the file is shorter than that now" in finished.stderr
    finished = cli(*words, "--resume", input=packed)
    assert finished.returncode == 0, finished.stderr
    assert b"Done: 3,000 documents" in finished.stderr
