"""A kind that another package adds: its own folder and its entry points, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

from tests.connectors import upper
from tests.project.tree import ROOT

Run: TypeAlias = Callable[..., "CompletedProcess[str]"]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = upper.install(tmp_path / "installed")

    def with_it(*words: str) -> "CompletedProcess[str]":
        return upper.python(folder, "-m", "trio_ingest", *words, cwd=tmp_path, path=str(ROOT))

    return with_it


def test_its_documents_go_through_run_with_its_options(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("tea rice")
    ran = run("run", "upper:words", "--to", "upper:out", "--ending", "?")
    assert (ran.returncode, ran.stderr.count("Error")) == (0, 0)
    assert (tmp_path / "out").read_text() == "TEA?\nRICE?\n"


def test_it_mixes_with_ours(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("tea rice")
    assert run("run", "upper:words", "--to", "sqlite:d.db").returncode == 0
    refused = run("run", "upper:words", "--to", "jsonl:words")
    assert refused.returncode == 2
    assert "the same file" in refused.stderr


def test_its_failed_records_are_named_as_it_says(run: Run, tmp_path: Path) -> None:
    (tmp_path / "words").write_text("tea bad rice")
    ran = run("run", "upper:words", "--to", "upper:out")
    assert ran.returncode == 3
    assert "word 2 of upper" in ran.stderr


def test_it_is_in_the_help_and_in_the_lists(run: Run) -> None:
    shown = run("run", "--help").stdout
    assert "upper:FILE" in shown
    assert "--ending TEXT" in shown
    adapters, sinks = run("adapters").stdout, run("sinks").stdout
    assert "A file of words, each a document in capitals." in adapters
    assert "--ending TEXT: What stands behind each word. Default: !." in adapters
    assert "guarantee: at-least-once" in sinks


def test_it_is_in_the_tables_of_the_documentation(run: Run, tmp_path: Path) -> None:
    shown = upper.python(
        tmp_path / "installed",
        "-c",
        "from tests.docs.generated import part; print(part('adapters'), part('sinks'))",
        cwd=tmp_path,
        path=str(ROOT),
    )
    assert shown.stdout.count("`upper:FILE`") == 2, shown.stderr
    assert "`--ending TEXT`" in shown.stdout


BROKEN = """
[trio_ingest.adapters]
jsonl = upper_kind.connector:UpperAdapterConnector
gone = upper_kind.nothing:Here
other = upper_kind.connector:UpperAdapterConnector
sink = upper_kind.connector:UpperSinkConnector
"""


def test_a_broken_kind_is_listed_with_the_reason_and_stops_no_other(tmp_path: Path) -> None:
    folder = upper.install(tmp_path / "installed", BROKEN)

    def run(*words: str) -> "CompletedProcess[str]":
        return upper.python(folder, "-m", "trio_ingest", *words, cwd=tmp_path, path=str(ROOT))

    listed = run("adapters").stdout
    assert "gone: cannot be used." in listed
    assert "No module named 'upper_kind.nothing'" in listed
    assert "calls itself 'upper'" in " ".join(listed.split())
    assert "no subclass of AdapterConnector" in " ".join(listed.split())
    # No package can take a name of ours away.
    (tmp_path / "a.jsonl").write_text('{"id": 1, "text": "tea"}\n')
    assert run("run", "jsonl:a.jsonl", "--dry-run").returncode == 0
    refused = run("run", "gone:x", "--dry-run")
    assert refused.returncode == 2
    assert "the kind gone cannot be used" in refused.stderr
