"""``trio-ingest replay``: a recorded run once more, shown as it was, and into sinks."""

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
from typing import TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl", "--to", "sqlite:documents.db", "--events", "run.ndjson")


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl"
    lines = [b'{"id": "a%d", "text": "text %d"}\n' % (n, n) for n in range(2000)]
    path.write_bytes(b"".join([*lines[:1500], b"nonsense\n", *lines[1500:]]))
    return path


# Of a job that was stopped and resumed; one is enough for all tests.
_recorded: list[bytes] = []


@pytest.fixture
def log(cli: RunCli, tmp_path: Path, articles: Path) -> Path:
    path = tmp_path / "run.ndjson"
    if not _recorded:
        assert cli(*RUN, "--limit", "700").returncode == 0
        assert cli(*RUN, "--resume").returncode == 3
        _recorded.append(path.read_bytes())
    path.write_bytes(_recorded[0])
    return path


def ids_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as database:
        return [i for (i,) in database.execute("SELECT doc_id FROM documents ORDER BY row_id")]


ALL = [f"a{n}" for n in range(2000)]


def test_what_is_said_is_what_was_said_of_the_run(cli: RunCli, log: Path) -> None:
    finished = cli("replay", "run.ndjson")
    said = finished.stderr.decode()
    assert finished.returncode == 3
    assert "articles.jsonl, line 1501: the line is not valid JSON" in said
    assert "Replayed: 2,000 documents, 1 failed, " in said


def test_its_seconds_are_those_of_the_recorded_run(cli: RunCli, log: Path) -> None:
    events = [json.loads(line) for line in log.read_bytes().splitlines()]
    last = events[-1]["pipeline_id"]
    for place, event in enumerate(events):
        event["timestamp"] = 1000.0 if event["pipeline_id"] == last else 1.0
        event["timestamp"] += place / 1000
    events[-1]["timestamp"] += 90.0
    log.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in events))
    said = cli("replay", "run.ndjson").stderr.decode()
    # Not the night between the two runs.
    assert "94.0 seconds, 21 documents/s" in said


@pytest.mark.parametrize("name", ["run.ndjson", "packed.ndjson.gz"])
def test_documents_go_into_sinks_exactly_once(
    cli: RunCli, tmp_path: Path, log: Path, name: str
) -> None:

    (tmp_path / "packed.ndjson.gz").write_bytes(gzip.compress(log.read_bytes()))
    finished = cli("replay", name, "--to", "sqlite:again.db", "--to", "jsonl:again.jsonl")
    assert finished.returncode == 3
    assert ids_in(tmp_path / "again.db") == ALL
    lines = (tmp_path / "again.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["doc_id"] for line in lines] == ALL
    assert b"Each is kept with its error in again.db, table" in finished.stderr


def test_the_real_run_goes_on_behind_a_replay(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    assert cli(*RUN, "--limit", "700").returncode == 0
    finished = cli("replay", "run.ndjson", "--to", "sqlite:again.db")
    assert finished.returncode == 0
    assert b"The recorded run did not come to its end." in finished.stderr
    finished = cli(*RUN[:3], "sqlite:again.db", "--resume")
    assert finished.returncode == 3
    assert b"Going on after 700 documents." in finished.stderr
    assert ids_in(tmp_path / "again.db") == ALL


@pytest.mark.slow
def test_what_the_killed_run_did_twice_is_in_a_sink_once(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    # The log of the first run goes further than its sink: as when it was killed.
    assert cli(*RUN, "--limit", "700").returncode == 0
    first = (tmp_path / "run.ndjson").read_bytes()
    assert cli(*RUN, "--restart", "--limit", "500").returncode == 0
    assert cli(*RUN, "--resume").returncode == 3
    last = [
        line
        for line in (tmp_path / "run.ndjson").read_bytes().splitlines(keepends=True)
        if json.loads(line)["pipeline_id"]
        != json.loads((tmp_path / "run.ndjson").read_bytes().splitlines()[0])["pipeline_id"]
    ]
    (tmp_path / "run.ndjson").write_bytes(first + b"".join(last))
    assert cli("replay", "run.ndjson", "--to", "jsonl:again.jsonl").returncode == 3
    lines = (tmp_path / "again.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["doc_id"] for line in lines] == ALL


def test_events_that_a_killed_recorder_has_lost_are_said_to_be_in_the_source(
    cli: RunCli, tmp_path: Path, log: Path
) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    first = json.loads(lines[0])["pipeline_id"]
    second = next(n for n, one in enumerate(lines) if json.loads(one)["pipeline_id"] != first)
    log.write_bytes(b"".join(lines[: second - 200] + lines[second:]))
    finished = cli("replay", "run.ndjson", "--to", "sqlite:again.db")
    assert finished.returncode == 1  # what came before is in the sink
    assert b"go on from the source: trio-ingest run SOURCE" in finished.stderr
    job = ("jsonl:articles.jsonl", "--to", "sqlite:again.db", "--resume")
    assert cli("run", *job).returncode == 3
    assert ids_in(tmp_path / "again.db") == ALL


def test_several_jobs_are_refused_before_any_is_replayed(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    assert cli(*RUN).returncode == 3
    log = tmp_path / "run.ndjson"
    data = log.read_bytes()
    other = json.loads(data.splitlines()[0])["pipeline_id"].encode()
    log.write_bytes(data + data.replace(other, b"another"))
    finished = cli("replay", "run.ndjson", "--to", "jsonl:again.jsonl")
    assert finished.returncode == 2
    assert b"holds several jobs" in finished.stderr
    assert (tmp_path / "again.jsonl").read_bytes() == b""


def test_a_pipe_is_refused_since_it_can_be_read_once_only(cli: RunCli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    finished = cli("replay", "pipe")
    assert finished.returncode == 2
    assert b"can be read once only" in finished.stderr


def test_a_sink_that_has_the_job_is_gone_on_with_or_begun_again(
    cli: RunCli, tmp_path: Path, log: Path
) -> None:
    words = ("replay", "run.ndjson", "--to", "jsonl:again.jsonl", "--max-failed", "1")
    assert cli(*words).returncode == 0
    finished = cli(*words)
    assert finished.returncode == 2
    assert b"There is a checkpoint of this job in again.jsonl already." in finished.stderr
    for more in ("--resume", "--restart"):
        assert cli(*words, more).returncode == 0
        assert len((tmp_path / "again.jsonl").read_bytes().splitlines()) == 2000


def test_one_run_of_several_can_be_chosen(cli: RunCli, log: Path) -> None:
    first = json.loads(log.read_bytes().splitlines()[0])["pipeline_id"]
    assert (
        b"Replayed: 700 documents, 0 failed"
        in cli("replay", "run.ndjson", "--run", first).stderr
    )
    assert b"Replayed: 1,300 documents" in cli("replay", "run.ndjson", "--run", "last").stderr
    finished = cli("replay", "run.ndjson", "--run", "last", "--to", "sqlite:again.db")
    assert finished.returncode == 2
    assert b"begins in the middle of a job" in finished.stderr
    finished = cli("replay", "run.ndjson", "--run", "third")
    assert finished.returncode == 2
    assert b"has no run 'third'" in finished.stderr


def test_a_source_that_broke_down_when_it_was_recorded_is_said(
    cli: RunCli, tmp_path: Path, log: Path
) -> None:
    events = [json.loads(line) for line in log.read_bytes().splitlines()]
    [place] = [n for n, e in enumerate(events) if e.get("new_state") == "finished"][-1:]
    events[place] |= {"new_state": "failed", "reason": "OSError: the disk"}
    log.write_bytes(b"".join(json.dumps(event).encode() + b"\n" for event in events))
    finished = cli("replay", "run.ndjson")
    assert finished.returncode == 1
    assert (
        b"When this was recorded, articles.jsonl failed: OSError: the disk." in finished.stderr
    )


def test_a_log_with_gaps_goes_into_no_sink(cli: RunCli, tmp_path: Path, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:100] + lines[101:]))
    finished = cli("replay", "run.ndjson", "--to", "sqlite:again.db")
    assert finished.returncode == 2
    assert b"The log has gaps" in finished.stderr
    assert cli("replay", "run.ndjson").returncode == 3


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("missing.ndjson",), "cannot be read: No such file"),
        (("empty.ndjson",), "has no events"),
        (("notes.txt",), "has no events"),
        (("folder",), "cannot be read: Is a directory"),
        (("run.ndjson", "--to", "csv:x"), "is not of the form jsonl:PATH or sqlite:PATH"),
        (("run.ndjson", "--to", "jsonl:run.ndjson"), "are the same file"),
        (("run.ndjson", "--restart"), "and there is none"),
        (("run.ndjson", "--to", "sqlite:x", "--restart", "--resume"), "give one of them"),
        (("run.ndjson", "-q", "-v"), "give one of them"),
    ],
)
def test_what_cannot_be_replayed_is_refused(
    cli: RunCli, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.ndjson").touch()
    (tmp_path / "notes.txt").write_text("Dear diary")
    (tmp_path / "run.ndjson").write_text('{"type": "X", "version": 1, "pipeline_id": "a"}\n')
    finished = cli("replay", *words)
    assert finished.returncode == 2
    assert why in finished.stderr.decode()


def test_a_torn_log_is_replayed_as_far_as_it_goes(
    cli: RunCli, tmp_path: Path, log: Path
) -> None:
    log.write_bytes(log.read_bytes()[:-20])
    finished = cli("replay", "run.ndjson")
    assert finished.returncode == 3
    assert b"ends in the middle of a line" in finished.stderr


def test_a_line_in_the_middle_that_is_no_event_is_named(cli: RunCli, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join([*lines[:100], b"nonsense\n", *lines[101:]]))
    finished = cli("replay", "run.ndjson", "--to", "sqlite:again.db")
    assert finished.returncode == 1
    assert b"'run.ndjson': line 101: this is no JSON" in finished.stderr


@pytest.mark.skipif(os.name == "nt", reason="there are no such signals")
def test_ctrl_c_stores_what_has_come(
    tmp_path: Path, command: list[str], environment: dict[str, str], cli: RunCli, log: Path
) -> None:
    with subprocess.Popen(
        [*command, "replay", "run.ndjson", "--to", "jsonl:again.jsonl", "-v"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        process.stderr.readline()  # it has begun
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(60) in (130, 3)
    if process.returncode == 130:
        assert b"Stopp" in said
    assert cli("replay", "run.ndjson", "--to", "jsonl:again.jsonl", "--resume").returncode == 3
    lines = (tmp_path / "again.jsonl").read_bytes().splitlines()
    assert [json.loads(line)["doc_id"] for line in lines] == ALL
