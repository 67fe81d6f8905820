"""``--errors``: the dead letters of a run, a line each."""

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

import attrs

from trio_ingest.cli.jobs.outputs import Outputs
from trio_ingest.delivery import DeadLetter

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = (
    "run",
    "jsonl:articles.jsonl",
    "--to",
    "sqlite:documents.db",
    "--errors",
    "errors.jsonl",
)


def letters_in(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "errors.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_each_failed_record_is_kept_with_its_error(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1}\nnonsense\n{"no": "id"}\n')
    finished = cli(*RUN)
    assert finished.returncode == 3
    # The file has what this run adds, the sink all of the job.
    assert b"Each is kept with its error in documents.db, table" in finished.stderr
    first, second = letters_in(tmp_path)
    assert list(first) == [field.name for field in attrs.fields(DeadLetter)]
    assert first["record_number"] == 1
    assert first["stage"] == "parse"
    assert first["error"].startswith("articles.jsonl, line 2: ")
    assert json.loads(first["raw"])["data"] == "nonsense"
    assert second["error_type"].endswith(".BadLineError")


def test_what_a_sink_rejects_is_kept_once(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1, "text": "x"}\n' * 2)
    words = ("--duplicates=fail", "--to", "jsonl:copy.jsonl")
    assert cli(*RUN, *words).returncode == 3
    [letter] = letters_in(tmp_path)
    assert letter["stage"] == "sink"
    assert letter["doc_id"] == "1"
    assert letter["record_number"] == 1


def test_a_rejection_that_cannot_be_written_is_counted_all_the_same(
    cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1, "text": "x"}\n' * 2)
    finished = cli(*RUN[:4], "--duplicates=fail", "--errors", "/dev/full")
    assert finished.returncode == 1
    assert b"'/dev/full', which --errors names, cannot be written" in finished.stderr
    assert b"The run failed: 1 document, 1 failed" in finished.stderr
    assert b"They are in documents.db." in finished.stderr


def test_a_second_file_that_is_refused_leaves_the_first_as_it_was(
    cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b"nonsense\n")
    assert cli(*RUN).returncode == 3
    finished = cli(*RUN, "--restart", "--events", "missing/events.jsonl")
    assert finished.returncode == 2
    assert len(letters_in(tmp_path)) == 1


def test_a_dry_run_holds_no_documents_for_a_sink_that_is_not_there(tmp_path: Path) -> None:
    from trio_ingest import Document, DocumentCompleted

    outputs = Outputs(None, str(tmp_path / "errors.jsonl"), has_sinks=False)
    outputs.open()
    outputs.begin(resumed=False)
    for number in range(3):
        outputs.take(
            DocumentCompleted(
                document=Document(str(number), "feed", "text"),
                duration=0.0,
                adapter_metadata={"adapter": "feed", "parameters": {}},
                record_number=number,
                retry_count=0,
            )
        )
    outputs.close()
    assert outputs._completed == {}


def test_a_run_without_failures_leaves_an_empty_file(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b'{"id": 1, "text": "x"}\n')
    assert cli(*RUN).returncode == 0
    assert letters_in(tmp_path) == []


def test_a_dry_run_keeps_them_too(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "articles.jsonl").write_bytes(b"nonsense\n")
    finished = cli(*RUN, "--dry-run")
    assert finished.returncode == 3
    assert b"Each is kept with its error in errors.jsonl." in finished.stderr
    assert len(letters_in(tmp_path)) == 1
    assert not (tmp_path / "documents.db").exists()


def test_a_killed_and_resumed_run_loses_none(
    cli: RunCli, tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    whole = b"".join(
        b"nonsense\n" if n % 10 == 0 else b'{"id": %d, "text": "text"}\n' % n
        for n in range(3000)
    )
    words = ("run", "jsonl:-", *RUN[2:])
    process = subprocess.Popen(
        [*command, *words], cwd=tmp_path, env=environment, stdin=subprocess.PIPE
    )
    with process:
        assert process.stdin is not None
        process.stdin.write(whole[:25_000])
        process.stdin.flush()
        while not stored(tmp_path):
            assert process.poll() is None
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
    finished = cli(*words, "--resume", input=whole)
    assert finished.returncode == 3, finished.stderr
    numbers = [letter["record_number"] for letter in letters_in(tmp_path)]
    assert set(numbers) == set(range(0, 3000, 10))
    # Those of the batch that was lost may be there twice, the sink has each once.
    with closing(sqlite3.connect(tmp_path / "documents.db")) as database:
        rows = database.execute("SELECT record_number FROM trio_ingest_dead_letters")
        assert sorted(number for (number,) in rows) == list(range(0, 3000, 10))


def stored(folder: Path) -> int:
    if not (folder / "documents.db").exists():
        return 0
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name='documents'")
        if tables.fetchone() == (0,):
            return 0
        [(count,)] = database.execute("SELECT count(*) FROM documents")
        return int(count)
