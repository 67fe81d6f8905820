"""``--events``: every event as a line of JSON, whatever is in it."""

import datetime
import gzip
import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, TypeAlias

import attrs
import pytest

from trio_ingest import Document, DocumentCompleted, DocumentFailed, PipelineEvent
from trio_ingest.adapters import FileSkipped
from trio_ingest.cli.jobs.event_file import event_file
from trio_ingest.eventlog import EventLogError
from trio_ingest.serialization import EventCodec

CODEC = EventCodec([FileSkipped])

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

RUN = ("run", "jsonl:articles.jsonl", "--to", "sqlite:documents.db")


@pytest.fixture
def articles(tmp_path: Path) -> Path:
    path = tmp_path / "articles.jsonl"
    path.write_bytes(b'{"id": "a", "text": "caf\xc3\xa9"}\nnonsense\n{"id": "b"}\n')
    return path


def read(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in data.splitlines()]


def completed(raw: Any = None, **metadata: Any) -> DocumentCompleted:
    return DocumentCompleted(
        document=Document("a", "feed", "text", raw, metadata),
        duration=0.5,
        adapter_metadata={"adapter": "feed", "parameters": {}},
        record_number=0,
        retry_count=0,
    )


@attrs.frozen(kw_only=True)
class PageRead(PipelineEvent):
    page: int
    notes: Any


# -- in a run -----------------------------------------------------------------------------


@pytest.mark.parametrize("to", ["events.jsonl", "-"])
def test_every_event_is_a_line_in_order(
    cli: RunCli, tmp_path: Path, articles: Path, to: str
) -> None:
    finished = cli(*RUN, "--events", to)
    assert finished.returncode == 3
    written = finished.stdout if to == "-" else (tmp_path / to).read_bytes()
    events = read(written)
    assert [event["sequence"] for event in events] == list(range(len(events)))
    assert len({event["pipeline_id"] for event in events}) == 1
    assert [event["type"] for event in events if event["type"] != "BatchProgress"] == [
        "AdapterStateChange",
        *["DocumentStarted", "DocumentCompleted"],
        *["DocumentStarted", "DocumentFailed"],
        *["DocumentStarted", "DocumentCompleted"],
        "AdapterStateChange",
    ]
    [first, _] = [event for event in events if event["type"] == "DocumentCompleted"]
    assert list(first)[:5] == ["type", "version", "timestamp", "pipeline_id", "sequence"]
    assert first["document"]["content"] == "café"
    [failed] = [event for event in events if event["type"] == "DocumentFailed"]
    assert failed["error_type"] == "trio_ingest.adapters.BadLineError"
    assert failed["error"].startswith("articles.jsonl, line 2: ")
    [letter] = [e for e in map(CODEC.decode, written.splitlines()) if hasattr(e, "error")]
    assert isinstance(letter, DocumentFailed)
    assert letter.raw == (2, b"nonsense", None)
    assert b"Done: 2 documents" in finished.stderr


def test_events_of_an_adapters_own_are_written_too(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    os.mkfifo(tmp_path / "docs" / "pipe")
    cli("run", "files:docs", *RUN[2:], "--events", "events.jsonl")
    events = read((tmp_path / "events.jsonl").read_bytes())
    [skipped] = [event for event in events if event["type"] == "FileSkipped"]
    assert skipped["path"] == "pipe"


def test_a_dry_run_shows_its_events(cli: RunCli, articles: Path) -> None:
    finished = cli(*RUN[:2], "--dry-run", "--events", "-")
    assert len(read(finished.stdout)) >= 8


def test_a_resumed_run_adds_to_the_file(cli: RunCli, tmp_path: Path, articles: Path) -> None:
    words = (*RUN, "--events", "events.jsonl", "--max-failed", "1")
    assert cli(*words, "--limit", "1").returncode == 0
    with (tmp_path / "events.jsonl").open("ab") as file:
        file.write(b'{"type":"DocumentSta')  # as a killed run leaves it
    assert cli(*words, "--resume").returncode == 0
    events = read((tmp_path / "events.jsonl").read_bytes())
    assert len({event["pipeline_id"] for event in events}) == 2
    documents = [e["document"]["doc_id"] for e in events if "document" in e]
    assert documents == ["a", "b"]


def test_a_run_that_begins_writes_the_file_anew(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    for words in ((), ("--restart",)):
        assert cli(*RUN, "--events", "events.jsonl", *words).returncode == 3
    events = read((tmp_path / "events.jsonl").read_bytes())
    assert events[0]["sequence"] == 0
    assert len({event["pipeline_id"] for event in events}) == 1


def test_a_reader_that_has_seen_enough_ends_the_run_quietly(
    tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    lines = b"".join(b'{"id": %d, "text": "text"}\n' % n for n in range(5000))
    (tmp_path / "articles.jsonl").write_bytes(lines)
    script = (
        f"{' '.join(command)} {' '.join(RUN)} --events - | head -1; echo ${{PIPESTATUS[0]}}"
    )
    finished = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    first, status = finished.stdout.splitlines()
    assert json.loads(first)["sequence"] == 0
    assert status == b"141"
    assert finished.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_ends_the_run_and_keeps_what_was_delivered(
    cli: RunCli, tmp_path: Path
) -> None:
    lines = b"".join(b'{"id": %d, "text": "text"}\n' % n for n in range(3000))
    (tmp_path / "articles.jsonl").write_bytes(lines)
    finished = cli(*RUN, "--events", "/dev/full")
    assert finished.returncode == 1
    assert b"'/dev/full', which --events names, cannot be written any more" in finished.stderr
    assert b"No space left on device" in finished.stderr
    assert cli(*RUN, "--resume").returncode == 0


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--events", "folder"), "'folder', which --events names, cannot be written"),
        (("--events", "missing/x"), "cannot be written: No such file or directory"),
        (("--events", "articles.jsonl"), "SOURCE and --events are the same file"),
        (("--events", "documents.db-wal"), "SINK and --events are the same file"),
        (("--events", "x", "--errors", "./x"), "--events and --errors are the same file"),
        (("--events", "-", "--errors", "-"), "would both write to standard output"),
        (("--events", "notes.txt"), "begins with 'Dear diary', so something else wrote it"),
        (("--errors", "notes.txt"), "begins with 'Dear diary', so something else wrote it"),
        (("--errors", "other.jsonl"), "begins with '{\"id\": 1}', so something else wrote it"),
        (("--events", "letters.jsonl"), "so something else wrote it; it was left alone"),
        # Of one line each, and alike at the beginning: what ours would be if it were cut.
        (("--events", "map.geojson"), 'begins with \'{"type": "FeatureCollection"'),
        (("--errors", "only.jsonl"), 'begins with \'{"doc_id": "a", "text"'),
        (("--events", "types.jsonl"), 'begins with \'{"type": "article"}'),
    ],
)
def test_what_cannot_be_written_or_is_somebody_elses_is_refused(
    cli: RunCli, tmp_path: Path, articles: Path, words: tuple[str, ...], why: str
) -> None:
    (tmp_path / "folder").mkdir()
    texts = {
        "notes.txt": "Dear diary",
        "other.jsonl": '{"id": 1}',
        "letters.jsonl": '{"doc_id": null, "adapter": "x"}\n',
        "map.geojson": '{"type": "FeatureCollection", "features": []}',
        "only.jsonl": '{"doc_id": "a", "text": "the only copy"}',
        "types.jsonl": '{"type": "article"}\n{"version": 1, "pipeline_id": 2, "sequence": 3}',
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    for more in ((), ("--resume",)):
        finished = cli(*RUN, *words, *more)
        assert finished.returncode == 2, finished.stderr
        assert why in finished.stderr.decode()
    for name, text in texts.items():
        assert (tmp_path / name).read_text() == text


@pytest.mark.parametrize(
    ("sink", "events"), [("sqlite:new.db", "missing/x"), ("sqlite:articles.jsonl/x", "new")]
)
def test_a_refused_run_makes_no_file(
    cli: RunCli, tmp_path: Path, articles: Path, sink: str, events: str
) -> None:
    finished = cli(*RUN[:3], sink, "--events", events)
    assert finished.returncode == 2, finished.stderr
    assert [entry.name for entry in tmp_path.iterdir()] == ["articles.jsonl"]


def test_a_link_that_leads_nowhere_yet_outlives_a_refused_run(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    (tmp_path / "events.jsonl").symlink_to("not-yet.jsonl")
    assert cli(*RUN[:3], "sqlite:missing/x.db", "--events", "events.jsonl").returncode == 2
    assert (tmp_path / "events.jsonl").is_symlink()
    assert cli(*RUN, "--events", "events.jsonl").returncode == 3
    assert read((tmp_path / "not-yet.jsonl").read_bytes())[0]["sequence"] == 0


def test_a_pipe_of_the_shell_can_be_written_to(
    tmp_path: Path, command: list[str], environment: dict[str, str], articles: Path
) -> None:
    script = f"{' '.join(command)} {' '.join(RUN)} --events >(cat > seen.jsonl); wait $!"
    subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert read((tmp_path / "seen.jsonl").read_bytes())[0]["sequence"] == 0


def test_a_pipe_whose_reader_has_gone_ends_the_run(
    tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    lines = b"".join(b'{"id": %d, "text": "text"}\n' % n for n in range(3000))
    (tmp_path / "articles.jsonl").write_bytes(lines)
    script = f"{' '.join(command)} {' '.join(RUN)} --events >(head -1 > seen.jsonl); echo $?"
    finished = subprocess.run(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert finished.stdout == b"1\n"
    assert b"which --events names, cannot be written any more: Broken pipe" in finished.stderr
    assert b"Traceback" not in finished.stderr


def test_a_named_pipe_is_not_opened_for_reading(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = event_file(str(path))
    file.open()
    file.begin(append=False)
    file.take(PageRead(page=1, notes=None))
    os.close(reader)
    with pytest.raises(EventLogError, match="cannot be written any more: Broken pipe"):
        file.close()
    file.close()


@pytest.mark.parametrize("left", [b"", b"{", b'{"type":"'])
def test_the_first_bytes_of_a_killed_run_are_ours(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "events.jsonl"
    path.write_bytes(left)
    file = event_file(str(path))
    file.open()
    file.begin(append=True)
    file.take(PageRead(page=1, notes=None))
    file.close()
    [event] = read(path.read_bytes())
    assert event["page"] == 1


# -- whatever is in an event ---------------------------------------------------------------


class Stubborn:
    def __str__(self) -> str:
        raise RuntimeError("no text of me")

    __repr__ = __str__


deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]
cyclic: dict[str, Any] = {}
cyclic["self"] = cyclic


def written_by(path: Path, *events: PipelineEvent) -> bytes:
    file = event_file(str(path))
    file.open()
    file.begin(append=False)
    for event in events:
        file.take(event)
    file.close()
    return path.read_bytes()


def test_a_document_comes_back_as_it_was(tmp_path: Path) -> None:
    metadata = {"when": datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "size": math.nan}
    raw = {"data": b"caf\xe9", 1: {(2, "x"), None}, "$": "\ud800", "n": 2**70}
    event = completed(raw, **metadata)
    [line] = written_by(tmp_path / "events.jsonl", event).splitlines()
    found = CODEC.decode(line)
    assert isinstance(found, DocumentCompleted)
    assert found.document.raw == raw
    assert found.document.metadata["when"] == metadata["when"]
    assert math.isnan(found.document.metadata["size"])


@pytest.mark.parametrize(
    "value", [Stubborn(), object(), deep, cyclic, 10**5000, KeyError()], ids=type
)
def test_whatever_a_record_holds_its_line_can_be_read(tmp_path: Path, value: Any) -> None:
    events = [completed(value, value=value), PageRead(page=1, notes=value), completed(1)]
    first, own, last = written_by(tmp_path / "events.jsonl", *events).splitlines()
    assert isinstance(CODEC.decode(first), DocumentCompleted)
    assert json.loads(own)["page"] == 1
    assert CODEC.decode(last) == completed(1)


def test_every_line_of_a_run_can_be_read(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bad.txt").write_bytes(b"\xff")
    (tmp_path / "docs" / "good.txt").write_bytes(b"good")
    os.mkfifo(tmp_path / "docs" / "pipe")
    cli("run", "files:docs", *RUN[2:], "--events", "events.jsonl")
    lines = (tmp_path / "events.jsonl").read_bytes().splitlines()
    found = {type(CODEC.decode(line)).__name__ for line in lines}
    assert {"DocumentCompleted", "DocumentFailed", "FileSkipped", "BatchProgress"} <= found


def test_a_compressed_file_is_made_and_added_to(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    words = (*RUN, "--events", "events.ndjson.gz", "--max-failed", "1")
    assert cli(*words, "--limit", "1").returncode == 0
    path = tmp_path / "events.ndjson.gz"
    path.write_bytes(path.read_bytes()[:-9])  # as a killed run leaves it
    assert cli(*words, "--resume").returncode == 0
    events = read(gzip.decompress(path.read_bytes()))
    assert len({event["pipeline_id"] for event in events}) == 2


def test_a_second_run_into_one_file_is_refused(
    cli: RunCli, tmp_path: Path, articles: Path
) -> None:
    file = event_file(str(tmp_path / "events.jsonl"))
    file.open()
    finished = cli(*RUN, "--events", "events.jsonl")
    assert finished.returncode == 2
    assert b"is being written by another run" in finished.stderr
    file.close()
    assert cli(*RUN, "--events", "events.jsonl").returncode == 3
