"""MODULE:NAME: adapters and sinks of the user's own on the command line."""

from pathlib import Path

import pytest

from tests.cli.conftest import RunCli
from tests.project.tree import ROOT

CODE = """
import trio
from trio_ingest import Document

class Many:
    source = "many"
    async def fetch(self, *, n=3, tag=""):
        for number in range(n):
            await trio.lowlevel.checkpoint()
            yield f"{tag}{number}"
    def parse(self, record):
        return Document(record, self.source, "x")

class Boom(Many):
    async def fetch(self):
        yield "one"
        raise ValueError("the server said no")

class Sink:
    name = "mine"
    guarantee = "at-least-once"
    async def __aenter__(self):
        return self
    async def __aexit__(self, *exc):
        pass
    async def write(self, batch):
        with open("out", "a") as file:
            file.writelines(f"{d.doc_id}\\n" for d in batch.documents)

class FailingSink(Sink):
    async def write(self, batch):
        raise KeyError("lost")

def fails():
    raise RuntimeError("no configuration")

VALUE = 3
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)


def test_documents_of_an_adapter_go_into_a_sink(cli: RunCli, tmp_path: Path) -> None:
    assert cli("run", "mine:Many", "--to", "mine:Sink").returncode == 0
    assert (tmp_path / "out").read_text() == "0\n1\n2\n"


def test_params_are_json_or_text(cli: RunCli, tmp_path: Path) -> None:
    words = ("--param", "n=2", "--param", "tag=2026-01-01/")
    assert cli("run", "mine:Many", *words, "--to", "mine:Sink").returncode == 0
    assert (tmp_path / "out").read_text() == "2026-01-01/0\n2026-01-01/1\n"


def test_examples_run_and_resume(cli: RunCli, tmp_path: Path) -> None:
    for name in ("feed.py", "folder.py"):
        (tmp_path / name).write_text((ROOT / "examples" / name).read_text())
    first = cli("run", "feed:Feed", "--to", "folder:FolderSink", "--limit", "2")
    assert first.returncode == 0
    second = cli("run", "feed:Feed", "--to", "folder:FolderSink", "--resume")
    assert (second.returncode, b"Going on after" in second.stderr) == (3, True)
    again = cli("run", "feed:Feed", "--to", "folder:FolderSink")
    assert (again.returncode, b"--restart" in again.stderr) == (2, True)


def test_an_adapter_mixes_with_our_sinks(cli: RunCli, tmp_path: Path) -> None:
    assert cli("run", "mine:Many", "--to", "sqlite:d.db").returncode == 0
    again = cli("run", "mine:Many", "--to", "sqlite:d.db")
    assert (again.returncode, b"came to its end" in again.stderr) == (2, True)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mine:Many", "--param", "m=1"), "cannot fetch with the params {'m': 1}"),
        (("mine:Many", "--param", "n"), "'n' is not of the form KEY=VALUE"),
        (("mine:Many", "--param", "n=1", "--param", "n=2"), "n is given twice"),
        (("mine:Many", "mine:Many"), "'mine:Many' is given twice"),
        (("mine:None",), "has no attribute 'None'"),
        (("mine:VALUE",), "'mine:VALUE' is 3"),
        (("mine:fails",), "mine:fails failed when it was called"),
        (
            ("jsnl:a.jsonl",),
            "or jsonl:PATH. As MODULE:NAME: 'jsnl:a.jsonl' cannot be imported",
        ),
        (("a b:c",), "is not of the form files:DIRECTORY or jsonl:PATH or MODULE:NAME"),
        (("mine:Many", "--encoding", "utf-8"), "--encoding is for files:, and there is none"),
        (("mine:Many", "--to", "mine:Many"), "which is no sink: it has no name"),
    ],
)
def test_mistakes_are_refused_with_a_sentence(
    cli: RunCli, words: tuple[str, ...], said: str
) -> None:
    ran = cli("run", *words, *(() if "--to" in words else ("--dry-run",)))
    assert ran.returncode == 2
    assert said in " ".join(ran.stderr.decode().split())


def test_an_adapter_that_fails_is_named_and_is_no_fault_of_ours(cli: RunCli) -> None:
    ran = cli("run", "mine:Boom", "--to", "mine:Sink")
    assert ran.returncode == 1
    assert b"ValueError: the server said no. In the adapter 'many'" in ran.stderr
    assert b"Internal error" not in ran.stderr
    assert b"TRIO_INGEST_DEBUG=1" in ran.stderr


def test_a_sink_that_fails_is_named_and_is_no_fault_of_ours(cli: RunCli) -> None:
    ran = cli("run", "mine:Many", "--to", "mine:FailingSink")
    assert ran.returncode == 1
    assert b"KeyError: 'lost'. The delivery stopped at mine" in ran.stderr
    assert b"Internal error" not in ran.stderr
