"""``--resume`` goes on, ``--restart`` begins again, and without either nothing is doubled."""

import gzip
import json
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

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl")
SINKS = {"sqlite": ("--to", "sqlite:documents.db"), "jsonl": ("--to", "jsonl:documents.jsonl")}
BOTH = (*SINKS["sqlite"], *SINKS["jsonl"])


def lines(*ids: object) -> bytes:
    return b"".join(json.dumps({"id": i, "text": f"text {i}"}).encode() + b"\n" for i in ids)


def ids_in(folder: Path, kind: str) -> list[str]:
    if kind == "jsonl":
        text = (folder / "documents.jsonl").read_text("utf-8")
        return [json.loads(line)["doc_id"] for line in text.splitlines()]
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        rows = database.execute("SELECT doc_id FROM documents ORDER BY rowid")
        return [doc_id for (doc_id,) in rows]


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(lines("a", "b") + b"nonsense\n" + lines("c"))
    return path


def killed_inside(folder: Path, command: list[str], environment: dict[str, str]) -> None:
    """Run into both sinks from a pipe that never ends, and kill it when some are stored."""
    process = subprocess.Popen(
        [*command, "run", "jsonl:-", *BOTH],
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(b"nonsense\n" + lines(*range(1500)))
        process.stdin.flush()
        side_file = folder / "documents.jsonl.checkpoint"
        while not (side_file.exists() and '"completed"' in side_file.read_text("utf-8")):
            assert process.poll() is None
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize("kind", SINKS)
def test_a_checkpoint_that_is_there_is_refused_with_the_two_ways_to_go_on(
    kind: str, cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    assert cli(*RUN, *SINKS[kind]).returncode == 3
    articles.write_bytes(lines("x"))
    finished = cli(*RUN, *SINKS[kind])
    assert finished.returncode == 2
    said = finished.stderr.decode()
    assert "has the checkpoint of a job that came to its end, with 3 documents" in said
    assert "--resume" in said
    assert "--restart" in said
    assert ids_in(tmp_path, kind) == ["a", "b", "c"]


@pytest.mark.parametrize("kind", SINKS)
def test_restart_begins_again(kind: str, cli: RunCli, tmp_path: Path, articles: Path) -> None:
    assert cli(*RUN, *SINKS[kind]).returncode == 3
    articles.write_bytes(lines("b", "d"))
    finished = cli(*RUN, *SINKS[kind], "--restart")
    # The failure was in the job that was dropped.
    assert finished.returncode == 0, finished.stderr
    assert b"Done: 2 documents" in finished.stderr
    expected = {"sqlite": ["a", "b", "c", "d"], "jsonl": ["b", "d"]}
    assert ids_in(tmp_path, kind) == expected[kind]


def test_a_killed_run_goes_on_and_gives_each_document_once_and_is_judged_as_a_whole(
    cli: RunCli, tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    killed_inside(tmp_path, command, environment)
    source = b"nonsense\n" + lines(*range(3000))
    refused = cli("run", "jsonl:-", *BOTH, input=source)
    assert refused.returncode == 2
    assert b"of a job that was stopped, with " in refused.stderr

    finished = cli("run", "jsonl:-", *BOTH, "--resume", input=source)
    said = finished.stderr.decode()
    assert finished.returncode == 3, said
    assert "Going on after " in said
    assert "Done: 3,000 documents (" in said
    assert " in this run), 1 failed" in said
    assert "1 failed in earlier runs of this job." in said
    for kind in SINKS:
        assert ids_in(tmp_path, kind) == [str(number) for number in range(3000)]


def test_resume_without_a_checkpoint_begins_and_says_so(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    finished = cli(*RUN, *SINKS["sqlite"], "--resume")
    assert finished.returncode == 3
    assert b"There is nothing to resume: the job begins." in finished.stderr
    assert ids_in(tmp_path, "sqlite") == ["a", "b", "c"]


def test_a_job_that_came_to_its_end_has_nothing_left_to_do(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    cli(*RUN, *SINKS["sqlite"])
    finished = cli(*RUN, *SINKS["sqlite"], "--resume")
    assert finished.returncode == 3
    assert b"Done: 3 documents (0 in this run), 1 failed" in finished.stderr
    assert ids_in(tmp_path, "sqlite") == ["a", "b", "c"]


def test_gzip_goes_on_too(cli: RunCli, tmp_path: Path) -> None:
    whole = gzip.compress(lines(*range(4000)))
    source = tmp_path / "articles.jsonl.gz"
    source.write_bytes(whole[: len(whole) // 2])
    words = ("run", "jsonl:articles.jsonl.gz", *SINKS["jsonl"])
    assert cli(*words).returncode == 1
    assert 0 < len(ids_in(tmp_path, "jsonl")) < 4000
    source.write_bytes(whole)
    finished = cli(*words, "--resume")
    assert finished.returncode == 0, finished.stderr
    assert ids_in(tmp_path, "jsonl") == [str(number) for number in range(4000)]


def test_another_source_is_another_job_of_the_same_database(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "more.jsonl").write_bytes(lines("d"))
    assert cli(*RUN, *SINKS["sqlite"]).returncode == 3
    assert cli("run", "jsonl:more.jsonl", *SINKS["sqlite"]).returncode == 0
    assert ids_in(tmp_path, "sqlite") == ["a", "b", "c", "d"]


@pytest.mark.parametrize("words", [(*SINKS["jsonl"],), (*SINKS["sqlite"], "--job", "mine")])
def test_a_checkpoint_of_another_pipeline_is_refused(
    words: tuple[str, ...], cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "more.jsonl").write_bytes(lines("d"))
    assert cli(*RUN, *words).returncode == 3
    for more in ((), ("--resume",)):
        finished = cli("run", "jsonl:more.jsonl", *words, *more)
        assert finished.returncode == 2
        said = finished.stderr.decode()
        assert "another job, whose source is articles.jsonl, and not more.jsonl" in said
        assert "--restart" not in said


def test_a_source_that_has_changed_is_refused(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    long = lines(*range(20_000))
    articles.write_bytes(long)

    def limit_file_size() -> None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, 1_500_000))

    assert cli(*RUN, *SINKS["jsonl"], preexec_fn=limit_file_size).returncode == 1
    articles.write_bytes(long.replace(b"text", b"TEXT"))
    finished = cli(*RUN, *SINKS["jsonl"], "--resume")
    assert finished.returncode == 2
    assert b"is not what was read there" in finished.stderr


@pytest.mark.one_in(2)
@pytest.mark.parametrize("kind", SINKS)
@pytest.mark.parametrize("damage", ["newer", "damaged"])
def test_a_checkpoint_that_cannot_be_read_is_refused(
    kind: str, damage: str, cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    cli(*RUN, *SINKS[kind])
    wrong: Any = {"version": 99} if damage == "newer" else {"nonsense": 1}
    if kind == "jsonl":
        side_file = tmp_path / "documents.jsonl.checkpoint"
        side = json.loads(side_file.read_text("utf-8"))
        side_file.write_text(json.dumps({**side, "delivered": wrong}))
    else:
        with closing(sqlite3.connect(tmp_path / "documents.db")) as database, database:
            database.execute(
                "UPDATE trio_ingest_checkpoint SET delivered = ?", (json.dumps(wrong),)
            )
    before = ids_in(tmp_path, kind)
    for words in ((), ("--resume",)):
        finished = cli(*RUN, *SINKS[kind], *words)
        assert finished.returncode == 2, finished.stderr
        assert (b"version 99" if damage == "newer" else b"damaged") in finished.stderr
        assert ids_in(tmp_path, kind) == before
    assert cli(*RUN, *SINKS[kind], "--restart").returncode == 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ((*SINKS["sqlite"], *SINKS["sqlite"]), "are the same file"),
        (("--to", "jsonl:articles.jsonl"), "are the same file"),
        (("--to", "jsonl:-"), "standard output cannot be cut back"),
        (("--to", "jsonl:/dev/full"), "/dev/full"),
        (
            (*SINKS["jsonl"], "--duplicates=keep"),
            "--duplicates is for sqlite:, and there is none",
        ),
        ((*SINKS["jsonl"], "--full-text"), "--full-text is for sqlite:, and there is none"),
        ((*SINKS["sqlite"], "--max-record-bytes=0"), "--max-record-bytes"),
        ((*SINKS["sqlite"], "--job", ""), "job"),
        ((*SINKS["sqlite"], "--resume", "--restart"), "give one of them"),
    ],
)
def test_sinks_that_cannot_work_are_explained(
    words: tuple[str, ...], why: str, cli: RunCli, articles: Path
) -> None:
    finished = cli(*RUN, *words)
    assert finished.returncode == 2
    assert why in finished.stderr.decode()


def test_somebody_elses_file_is_left_alone(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "documents.jsonl").write_text("somebody else's\n")
    for words in ((), ("--resume",), ("--restart",)):
        finished = cli(*RUN, *SINKS["jsonl"], *words)
        assert finished.returncode == 2
        assert (tmp_path / "documents.jsonl").read_text() == "somebody else's\n"


def test_duplicates_and_the_full_text_index_can_be_chosen(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    articles.write_bytes(lines("a") + b'{"id": "a", "text": "later"}\n')
    kept = cli(*RUN, *SINKS["sqlite"], "--duplicates=keep", "--full-text")
    assert kept.returncode == 0
    assert b"1 of them gave way to an earlier one with the same id" in kept.stderr
    failed = cli(*RUN, *SINKS["sqlite"], "--duplicates=fail", "--restart")
    assert failed.returncode == 3
    assert b"is there already" in failed.stderr
    with closing(sqlite3.connect(tmp_path / "documents.db")) as database:
        [(found,)] = database.execute(
            "SELECT content FROM documents_full_text WHERE documents_full_text MATCH 'text'"
        )
    assert found == "text a"


def test_a_line_beyond_the_limit_is_named_and_the_others_arrive(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    articles.write_bytes(lines("a", "x" * 5000, "b"))
    finished = cli(*RUN, *SINKS["sqlite"], "--max-record-bytes=1000")
    assert finished.returncode == 3
    assert b"line 2: the line is " in finished.stderr
    assert ids_in(tmp_path, "sqlite") == ["a", "b"]
