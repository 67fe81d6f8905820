"""Whatever is fed to it: a sentence with file and line, the good lines kept, the right status.

The one list of bad input. Each case is a run of its own, into both kinds of sinks at once.
"""

import copy
import gzip
import json
import os
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, NamedTuple, TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

SINKS = ("--to", "sqlite:documents.db", "--to", "jsonl:documents.jsonl")
GOOD = [b'{"id": "a", "text": "first"}', b'{"id": "z", "text": "last"}']


def ids_in_both(folder: Path) -> list[str]:
    """The ids that are in both sinks, which must agree."""
    with closing(sqlite3.connect(folder / "documents.db")) as database:
        rows = database.execute("SELECT doc_id FROM documents ORDER BY rowid")
        in_database = [doc_id for (doc_id,) in rows]
    text = (folder / "documents.jsonl").read_text("utf-8")
    in_file = [json.loads(line)["doc_id"] for line in text.splitlines()]
    assert list(dict.fromkeys(in_file)) == in_database
    return in_file


class Bad(NamedTuple):
    """One line, and the essence of what must be said of it."""

    line: bytes
    why: str


BAD_LINES = {
    "not JSON": Bad(b"nonsense", "the line is not valid JSON: Expecting value at position 1."),
    "a list": Bad(b"[1, 2]", "must hold a JSON object, not a list"),
    "a pretty-printed object": Bad(b"{", "is not valid JSON"),
    "100,000 deep": Bad(b'{"id": 1, "x": ' + b"[" * 100_000, "nests values too deeply"),
    "100,000 deep and closed": Bad(
        b'{"id": 1, "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nests values too deeply"
    ),
    "no id": Bad(b'{"pmid": 1, "text": "x"}', "is missing; the line has 'pmid', 'text'."),
    "null id": Bad(b'{"id": null}', "or a number, not null"),
    "list id": Bad(b'{"id": ["x"]}', "or a number, not a list"),
    "object id": Bad(b'{"id": {}}', "or a number, not an object"),
    "true id": Bad(b'{"id": true}', "or a number, not true"),
    "empty id": Bad(b'{"id": ""}', "must be a string that is not empty"),
    "a number for a text": Bad(b'{"id": 1, "text": 5}', "'text' must be a string, not 5"),
    "NaN": Bad(b'{"id": 1, "x": NaN}', "NaN is not a JSON value"),
    "infinity": Bad(b'{"id": 1, "x": 1e999}', "'1e999', a number beyond all floats"),
    "half of a surrogate pair": Bad(
        rb'{"id": 1, "text": "\ud800"}', "half of a surrogate pair (\\ud800)"
    ),
    "6,000 digits": Bad(
        b'{"id": ' + b"9" * 6000 + b"}", "a number with more than 4,300 digits"
    ),
    "NUL bytes": Bad(b"\0\0\0\0", "is not valid JSON"),
    "a NUL byte in a text": Bad(
        b'{"id": 1, "text": "\0"}', "Invalid control character at position 20."
    ),
    "invalid UTF-8": Bad(b'{"id": "caf\xe9"}', "not valid UTF-8: byte 0xe9 at position 12"),
    "UTF-16 in the middle": Bad('{"id": 1}'.encode("utf-16-le"), "is not valid JSON"),
}


class Told(NamedTuple):
    """What a run over all the bad lines, with a good one before and behind each, has said."""

    folder: Path
    status: int
    lines: list[str]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("bad-lines")
    pieces = [b'{"id": 0, "text": "first"}']
    for number, bad in enumerate(BAD_LINES.values(), 1):
        pieces += [bad.line, b'{"id": %d, "text": "next"}' % number]
    (folder / "bad.jsonl").write_bytes(b"\n".join(pieces))
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    finished = subprocess.run(
        [sys.executable, "-m", "trio_ingest", "run", "jsonl:bad.jsonl", *SINKS, "--verbose"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Told(folder, finished.returncode, finished.stderr.splitlines())


@pytest.mark.parametrize("name", BAD_LINES)
def test_a_bad_line_is_named_and_told(told: Told, name: str) -> None:
    line_number = 2 * [*BAD_LINES].index(name) + 2
    [line] = [text for text in told.lines if f"bad.jsonl, line {line_number}: " in text]
    assert BAD_LINES[name].why in line
    assert len(line) < 250


def test_the_lines_around_the_bad_ones_arrive(told: Told) -> None:
    assert told.status == 3
    assert "Traceback" not in "".join(told.lines)
    count = len(BAD_LINES)
    assert f"Done: {count + 1} documents, {count} failed" in told.lines[-1]
    assert ids_in_both(told.folder) == [str(number) for number in range(count + 1)]


FINE = {
    "an empty file": (b"", []),
    "blank lines": (b"\n\n  \n" + GOOD[0] + b"\n\n", ["a"]),
    "a byte order mark": (b"\xef\xbb\xbf" + GOOD[0] + b"\n", ["a"]),
    "Windows line ends": (b"\r\n".join(GOOD) + b"\r\n", ["a", "z"]),
    "no line end at the end": (b"\n".join(GOOD), ["a", "z"]),
    "duplicate ids": (GOOD[0] + b"\n" + GOOD[0] + b"\n", ["a", "a"]),
    "duplicate keys": (b'{"id": "x", "text": "1", "id": "y", "text": "2"}', ["y"]),
    "a NUL character in a text": (rb'{"id": "a", "text": "\u0000"}', ["a"]),
    "a number as id": (b'{"id": 1.50, "text": "x"}', ["1.50"]),
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("name", FINE)
def test_what_is_unusual_and_fine_arrives(cli: RunCli, tmp_path: Path, name: str) -> None:
    content, ids = FINE[name]
    (tmp_path / "fine.jsonl").write_bytes(content)
    finished = cli("run", "jsonl:fine.jsonl", *SINKS)
    said = finished.stderr.decode()
    assert finished.returncode == 0, said
    noun = "document" if len(ids) == 1 else "documents"
    assert f"Done: {len(ids)} {noun}" in said
    assert ids_in_both(tmp_path) == ids
    if name == "duplicate ids":
        assert "1 of them replaced an earlier one with the same id" in said
    if name == "duplicate keys":
        [line] = (tmp_path / "documents.jsonl").read_text("utf-8").splitlines()
        assert json.loads(line)["content"] == "2"


def test_a_line_of_100_megabytes_is_named_and_never_held(cli: RunCli, tmp_path: Path) -> None:
    with (tmp_path / "long.jsonl").open("wb") as file:
        file.write(GOOD[0] + b'\n{"id": "x", "text": "')
        file.seek(100_000_000, os.SEEK_CUR)
        file.write(b'"}\n' + GOOD[1] + b"\n")

    def limit_memory() -> None:
        # It needs 80 MB, half of it for the stacks of threads, and 180 MB with the line.
        # What the system says of a child's peak would count this process, too.
        resource.setrlimit(resource.RLIMIT_DATA, (140_000_000, 140_000_000))

    finished = cli("run", "jsonl:long.jsonl", *SINKS, preexec_fn=limit_memory)
    said = finished.stderr.decode()
    assert finished.returncode == 3, said
    assert "long.jsonl, line 2: the line is 100,000,023 bytes long and was skipped" in said
    assert ids_in_both(tmp_path) == ["a", "z"]


def utf_16(text: bytes) -> bytes:
    return text.decode().encode("utf-16")


def cut(text: bytes) -> bytes:
    packed = gzip.compress(text)
    return packed[: len(packed) - 12]


class BadFile(NamedTuple):
    """A file that is bad as a whole: its name, how it is made, what is said, what arrives."""

    name: str
    pack: Callable[[bytes], bytes]
    why: str
    ids: list[str]


BAD_FILES = {
    "UTF-16": BadFile(
        "x.jsonl", utf_16, "x.jsonl, line 1: the file is UTF-16, and JSON Lines is UTF-8.", []
    ),
    "text named .gz": BadFile(
        "x.jsonl.gz", bytes, "x.jsonl.gz, line 1: the gzip data is damaged, or is no gzip", []
    ),
    "truncated gzip": BadFile(
        "x.jsonl.gz", cut, "x.jsonl.gz, after line 1: the gzip data ends early", ["a"]
    ),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_fails_the_run_and_what_came_before_arrives(
    cli: RunCli, tmp_path: Path, case: str
) -> None:
    bad = BAD_FILES[case]
    (tmp_path / bad.name).write_bytes(bad.pack(b"\n".join(GOOD) + b"\n"))
    finished = cli("run", f"jsonl:{bad.name}", *SINKS)
    said = finished.stderr.decode()
    assert finished.returncode == 1, said
    assert f"Error: {bad.why}" in said
    assert f"The run failed: {len(bad.ids)} document" in said
    assert ids_in_both(tmp_path) == bad.ids


@pytest.mark.parametrize(
    ("indent", "value", "remedy"),
    [
        (None, [{"id": 1}, {"id": 2}], "jq -c '.[]' FILE > FILE.jsonl"),
        (2, [{"id": 1}, {"id": 2}], "jq -c '.[]' FILE > FILE.jsonl"),
        (2, {"id": 1}, "jq -c . FILE > FILE.jsonl"),
    ],
    ids=["an array", "a pretty-printed array", "a pretty-printed object"],
)
def test_json_that_is_no_json_lines_is_recognised_in_line_1(
    cli: RunCli, tmp_path: Path, indent: int | None, value: object, remedy: str
) -> None:
    (tmp_path / "x.json").write_text(json.dumps(value, indent=indent))
    finished = cli("run", "jsonl:x.json", *SINKS)
    assert finished.returncode == 3
    [line] = [text for text in finished.stderr.decode().splitlines() if remedy in text]
    assert "x.json, line 1: " in line


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("jsonl:missing.jsonl", "the file 'missing.jsonl' does not exist"),
        ("jsonl:folder", "'folder' is a directory; give a file, or files:DIRECTORY"),
        ("files:missing", "The directory missing does not exist"),
        ("files:good.jsonl", "good.jsonl is not a directory"),
    ],
)
def test_what_is_not_there_is_refused_before_anything_is_made(
    cli: RunCli, tmp_path: Path, source: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "good.jsonl").write_bytes(b"\n".join(GOOD))
    finished = cli("run", source, *SINKS)
    assert finished.returncode == 2
    assert why in finished.stderr.decode()
    assert {entry.name for entry in tmp_path.iterdir()} == {"folder", "good.jsonl"}


@pytest.mark.parametrize("sink", [SINKS[:2], SINKS[2:]])
def test_a_checkpoint_of_another_pipeline_is_refused(
    cli: RunCli, tmp_path: Path, sink: tuple[str, ...]
) -> None:
    for name in ("one.jsonl", "two.jsonl"):
        (tmp_path / name).write_bytes(b"\n".join(GOOD))
    job = ("--job", "mine") if "sqlite" in sink[1] else ()
    assert cli("run", "jsonl:one.jsonl", *sink, *job).returncode == 0
    for words in ((), ("--resume",)):
        finished = cli("run", "jsonl:two.jsonl", *sink, *job, *words)
        assert finished.returncode == 2
        assert b"another job, whose source is one.jsonl, and not two.jsonl" in finished.stderr
        assert b"Spell the source as " in finished.stderr


def newer(what: dict[str, Any], path: tuple[str, ...]) -> str:
    """The same with the version that is found at ``path`` far ahead."""
    changed = copy.deepcopy(what)
    place = changed
    for name in path:
        place = place[name]
    assert place["version"] == 1
    place["version"] = 99
    return json.dumps(changed)


def test_a_checkpoint_of_a_newer_version_in_a_database_is_refused(
    cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "one.jsonl").write_bytes(b"\n".join(GOOD))
    command = ("run", "jsonl:one.jsonl", *SINKS[:2])
    assert cli(*command).returncode == 0
    with closing(sqlite3.connect(tmp_path / "documents.db", isolation_level=None)) as database:
        [(text,)] = database.execute("SELECT delivered FROM trio_ingest_checkpoint")
        for path in ((), ("checkpoint",)):
            database.execute(
                "UPDATE trio_ingest_checkpoint SET delivered = ?",
                (newer(json.loads(text), path),),
            )
            says_to_upgrade(cli(*command, "--resume"))
        assert database.execute("SELECT count(*) FROM documents").fetchone() == (2,)


def test_a_checkpoint_of_a_newer_version_beside_a_file_is_refused(
    cli: RunCli, tmp_path: Path
) -> None:
    (tmp_path / "one.jsonl").write_bytes(b"\n".join(GOOD))
    command = ("run", "jsonl:one.jsonl", *SINKS[2:])
    assert cli(*command).returncode == 0
    side, output = tmp_path / "documents.jsonl.checkpoint", tmp_path / "documents.jsonl"
    text, documents = side.read_text("utf-8"), output.read_bytes()
    for path in ((), ("delivered",), ("delivered", "checkpoint")):
        side.write_text(newer(json.loads(text), path))
        says_to_upgrade(cli(*command, "--resume"))
    assert output.read_bytes() == documents


def says_to_upgrade(finished: CompletedProcess[bytes]) -> None:
    assert finished.returncode == 2, finished.stderr
    assert b"has version 99; this release of trio_ingest reads up to" in finished.stderr
    assert b"Upgrade trio_ingest" in finished.stderr


def test_no_traceback_of_any_random_bytes(cli: RunCli, tmp_path: Path) -> None:
    # Seeded by their own number, so the same in each run.
    junk = b"".join(
        bytes((byte * 31 + line * 17) % 256 for byte in range(line % 40)) + b"\n"
        for line in range(400)
    )
    (tmp_path / "junk.jsonl").write_bytes(GOOD[0] + b"\n" + junk + b"\n" + GOOD[1] + b"\n")
    finished = cli("run", "jsonl:junk.jsonl", *SINKS)
    assert finished.returncode == 3
    assert ids_in_both(tmp_path) == ["a", "z"]
