"""A source that changed between two runs, and standard input whose writer died."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli


def lines(*ids: int) -> bytes:
    return b"".join(
        json.dumps({"id": number, "text": f"text {number}"}).encode() + b"\n" for number in ids
    )


@pytest.mark.parametrize("name", ["articles.jsonl", "articles.jsonl.gz"])
def test_another_file_under_the_name_is_refused_however_early(
    cli: RunCli, tmp_path: Path, name: str
) -> None:
    pack = gzip.compress if name.endswith(".gz") else bytes
    path = tmp_path / name
    first = pack(lines(*range(300)))
    path.write_bytes(first)
    words = ("run", f"jsonl:{name}", "--to", "sqlite:out.db")
    assert cli(*words, "--limit", "50").returncode == 0
    path.write_bytes(pack(lines(*range(150, 450))))
    refused = cli(*words, "--resume")
    assert refused.returncode == 2
    assert b"is not what was read there" in refused.stderr
    assert b"--restart" in refused.stderr
    path.write_bytes(first)
    done = cli(*words, "--resume")
    assert (done.returncode, b"Done: 300 documents" in done.stderr) == (0, True)


def test_standard_input_is_read_on_when_its_writer_had_died(
    cli: RunCli, tmp_path: Path
) -> None:
    words = ("run", "jsonl:-", "--to", "sqlite:out.db")
    whole = lines(*range(2000))
    part = whole[: whole.index(b"\n", 30_000) + 1]
    count = part.count(b"\n")
    assert cli(*words, input=part).returncode == 0
    done = cli(*words, "--resume", input=whole)
    assert done.returncode == 0
    assert f"Done: 2,000 documents ({2000 - count:,} in this run)".encode() in done.stderr
    again = cli(*words, "--resume", input=whole)
    assert (again.returncode, b"2,000 documents (0 in this run)" in again.stderr) == (0, True)
    other = cli(*words, "--resume", input=whole.replace(b"text", b"TEXT"))
    assert (other.returncode, b"is not what was read there" in other.stderr) == (2, True)


def test_a_folder_that_was_moved_is_never_begun_again_in_silence(
    cli: RunCli, tmp_path: Path
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(200):
        (docs / f"{number:03}.txt").write_text(f"text {number}", encoding="utf-8")
    assert cli("run", "files:docs", "--to", "sqlite:out.db", "--limit", "70").returncode == 0
    docs.rename(tmp_path / "moved")
    moved = ("run", "files:moved", "--to", "sqlite:out.db")
    for words in ((), ("--resume",)):
        refused = cli(*moved, *words)
        assert refused.returncode == 2, refused.stderr
        assert b"put it back and go on with --resume" in refused.stderr
    (tmp_path / "moved").rename(docs)
    done = cli("run", "files:docs", "--to", "sqlite:out.db", "--resume")
    assert (done.returncode, b"Done: 200 documents" in done.stderr) == (0, True)
    # A job that has come to its end is no other's business.
    docs.rename(tmp_path / "moved")
    assert cli(*moved).returncode == 0


def test_a_job_beside_another_one_that_was_stopped_is_none_of_its_business(
    cli: RunCli, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.jsonl").write_bytes(lines(*range(100)))
    to = ("--to", "sqlite:out.db")
    assert cli("run", "jsonl:a.jsonl", *to, "--limit", "20").returncode == 0
    assert cli("run", "jsonl:b.jsonl", *to).returncode == 0
    (tmp_path / "a.jsonl").rename(tmp_path / "c.jsonl")
    assert cli("run", "jsonl:c.jsonl", *to).returncode == 2
    assert cli("run", "jsonl:c.jsonl", *to, "--restart").returncode == 0
