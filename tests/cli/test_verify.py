"""``trio-ingest verify``: what is wrong in a log, at which line, and in the exit status."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl", "--to", "jsonl:copy.jsonl", "--events", "run.ndjson")


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl"
    lines = (b'{"id": "a%d", "text": "text"}\n' % n for n in range(2500))
    path.write_bytes(b"".join(lines) + b"nonsense\n")
    return path


# Of a job that was stopped and resumed; one is enough for all tests.
_recorded: list[bytes] = []


@pytest.fixture
def log(cli: RunCli, tmp_path: Path, articles: Path) -> Path:
    path = tmp_path / "run.ndjson"
    if not _recorded:
        assert cli(*RUN, "--limit", "1200").returncode == 0
        assert cli(*RUN, "--resume").returncode == 3
        _recorded.append(path.read_bytes())
    path.write_bytes(_recorded[0])
    return path


def test_a_log_of_a_job_that_was_stopped_and_resumed_is_good(cli: RunCli, log: Path) -> None:
    finished = cli("verify", "run.ndjson", "--ordered")
    assert finished.returncode == 0, finished.stdout
    *_, last = finished.stdout.decode().splitlines()
    assert last.startswith("run.ndjson: 2 runs, 5,0")
    assert last.endswith("events: nothing is wrong.")


def test_what_is_wrong_is_a_line_each_with_its_place(cli: RunCli, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    event = json.loads(lines[20])
    lines[20] = lines[21]
    log.write_bytes(b"".join(lines))
    finished = cli("verify", "run.ndjson", "-q")
    assert finished.returncode == 1
    first, second = finished.stdout.decode().splitlines()
    missing = event["sequence"]
    assert first.startswith(f"run.ndjson:21: sequence: Event {missing} is missing before it.")
    assert second.startswith("run.ndjson:22: sequence: The sequence is ")


def test_a_run_that_was_cut_is_a_note(cli: RunCli, tmp_path: Path, log: Path) -> None:
    lines = log.read_bytes().splitlines(keepends=True)
    place = next(n for n, line in enumerate(lines) if b"DocumentStarted" in line)
    log.write_bytes(b"".join(lines[: place + 1]) + lines[place + 1][:10])
    finished = cli("verify", "run.ndjson")
    assert finished.returncode == 0
    said = finished.stdout.decode()
    assert "did not come to its end; 1 document was in flight when the log stops." in said
    assert "the last line is torn" in said


def test_a_log_may_come_through_a_pipe(cli: RunCli, log: Path) -> None:
    finished = cli("verify", "-", input=log.read_bytes())
    assert finished.returncode == 0, finished
    assert b"nothing is wrong." in finished.stdout


def test_of_many_things_the_first_are_shown(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "run.ndjson").write_bytes(b"nonsense\n" * 80)
    finished = cli("verify", "run.ndjson")
    assert finished.returncode == 1
    lines = finished.stdout.decode().splitlines()
    assert lines[50:] == ["... and 30 more.", "run.ndjson: 0 runs, 0 events: 80 wrong."]


def test_what_the_first_run_was_resumed_from_can_be_given(
    cli: RunCli, tmp_path: Path, log: Path
) -> None:
    lines = [json.loads(line) for line in log.read_bytes().splitlines()]
    first = lines[0]["pipeline_id"]
    later = [line for line in lines if line["pipeline_id"] != first]
    (tmp_path / "later.ndjson").write_text("".join(f"{json.dumps(e)}\n" for e in later))
    [*_, point] = [
        e["checkpoint"] for e in lines if e["pipeline_id"] == first and e.get("checkpoint")
    ]
    (tmp_path / "point.json").write_text(json.dumps(point))
    words = ("verify", "later.ndjson", "--resumed-from", "point.json")
    assert cli(*words).returncode == 0
    point["positions"][0] |= {"watermark": 100, "cursor": None, "cursor_record": None}
    (tmp_path / "point.json").write_text(json.dumps(point))
    finished = cli(*words)
    assert finished.returncode == 1
    assert b"The checkpoint claims record 100 of 'articles.jsonl'" in finished.stdout


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("missing.ndjson",), "cannot be read: No such file"),
        (("folder",), "cannot be read: Is a directory"),
        (
            ("empty", "--resumed-from", "missing"),
            "checkpoint that can be read: No such",
        ),
        (
            ("empty", "--resumed-from", "empty"),
            "checkpoint that can be read: Expecting",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(
    cli: RunCli, tmp_path: Path, words: tuple[str, ...], why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    finished = cli("verify", *words)
    assert finished.returncode == 2
    assert why in finished.stderr.decode()


@pytest.mark.parametrize(
    "data", [b"\0" * 1000, b"\x1f\x8b\x08\0\0", b"\xff\xfe{", b"[" * 100_000, b"{}\n[]\n1\n"]
)
def test_no_bytes_make_it_fail(cli: RunCli, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "run.ndjson").write_bytes(data)
    assert cli("verify", "run.ndjson").returncode in (0, 1)


def test_a_reader_that_has_seen_enough_ends_it_quietly(
    tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    (tmp_path / "run.ndjson").write_bytes(b"nonsense\n" * 80)
    script = f"{' '.join(command)} verify run.ndjson | head -1; echo ${{PIPESTATUS[0]}}"
    finished = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert finished.stdout.splitlines()[-1] in (b"141", b"1")
    assert finished.stderr == b""
