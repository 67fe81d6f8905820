"""A log that the disk has no room for stops the run before a sink is ahead of it."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli


def limit_file_size() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))


@pytest.mark.parametrize("option", ["--events"])
def test_the_database_has_nothing_that_the_log_lacks(
    cli: RunCli, tmp_path: Path, option: str
) -> None:
    lines = (json.dumps({"id": n, "text": f"text {n}"}) for n in range(6_000))
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    words = ("run", "jsonl:a.jsonl", "--to", "sqlite:out.db", option, "log.ndjson")
    stopped = cli(*words, preexec_fn=limit_file_size)
    assert stopped.returncode == 1
    assert b"cannot be written any more" in stopped.stderr

    def in_the_log() -> int:
        return (tmp_path / "log.ndjson").read_bytes().count(b'"DocumentCompleted"')

    def in_the_database() -> int:
        with sqlite3.connect(tmp_path / "out.db") as connection:
            return int(connection.execute("SELECT count(*) FROM documents").fetchone()[0])

    assert 0 < in_the_database() <= in_the_log()
    done = cli(*words, "--resume")
    assert (done.returncode, in_the_database()) == (0, 6_000)
    assert cli("verify", "log.ndjson").returncode == 0
    replayed = cli("replay", "log.ndjson", "--to", "sqlite:again.db")
    assert replayed.returncode == 0, replayed.stderr
    assert b"6,000 documents" in replayed.stderr
