"""Code of other authors on the command line that does what no code should."""

from pathlib import Path

import pytest

from tests.cli.conftest import RunCli

CODE = """
import sys
import trio
from trio_ingest import Document, SetupError

class Silent(Exception):
    def __str__(self):
        raise ValueError("no text")
    __repr__ = __str__

class Many:
    source = "many"
    stable_order = True
    async def fetch(self, *, count=1200):
        for number in range(count):
            await trio.lowlevel.checkpoint()
            yield number
        self.end()
    def end(self):
        pass
    def parse(self, record):
        return Document(str(record), self.source, "x")

class Exits(Many):
    def end(self):
        sys.exit()

class LateRefusal(Many):
    def end(self):
        raise SetupError("This source has changed its mind; try again later.")

class Unspeakable(Many):
    def end(self):
        raise Silent

class FailsUnspeakably(Many):
    async def fetch(self):
        yield 1
        yield 2
    def parse(self, record):
        if record == 1:
            raise Silent
        return super().parse(record)

class NoReason(Many):
    def end(self):
        raise TimeoutError

class Sink:
    name = "a"
    guarantee = "at-least-once"
    async def __aenter__(self):
        return self
    async def __aexit__(self, *exc):
        pass
    async def write(self, batch):
        pass

class Nameless(Sink):
    name = ""

def exits():
    sys.exit(4)
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(CODE)
    (tmp_path / "exits.py").write_text("import sys\nsys.exit()\n")


def test_an_adapter_that_ends_the_program_has_failed(cli: RunCli) -> None:
    ran = cli("run", "mine:Exits", "--to", "mine:Sink")
    assert (ran.returncode, b"ended the program" in ran.stderr) == (1, True)


@pytest.mark.parametrize("source", ["mine:exits", "exits:A"])
def test_what_ends_the_program_before_the_run_is_refused(cli: RunCli, source: str) -> None:
    ran = cli("run", source, "--dry-run")
    assert (ran.returncode, b"SystemExit" in ran.stderr) == (2, True)


def test_a_refusal_behind_documents_is_a_failure(cli: RunCli) -> None:
    ran = cli("run", "mine:LateRefusal", "--to", "jsonl:out.jsonl")
    assert ran.returncode == 1
    assert b"Go on with --resume" in ran.stderr


def test_what_has_no_text_is_named_by_its_class(cli: RunCli) -> None:
    ran = cli("run", "mine:Unspeakable", "--dry-run")
    assert (ran.returncode, b"Error: Silent: its text failed." in ran.stderr) == (1, True)
    ran = cli("run", "mine:NoReason", "--dry-run")
    assert (ran.returncode, b"Error: TimeoutError." in ran.stderr) == (1, True)
    ran = cli("run", "mine:FailsUnspeakably", "--dry-run")
    assert (ran.returncode, b"1 document, 1 failed" in ran.stderr) == (3, True)


def test_a_sink_without_a_checkpoint_is_not_said_to_resume(cli: RunCli) -> None:
    ran = cli("run", "mine:Many", "--to", "mine:Sink", "--limit", "600")
    assert b"keeps no checkpoint" in ran.stderr
    assert b"Go on with --resume" not in ran.stderr


def test_totals_are_those_of_the_sink_that_keeps_them(cli: RunCli) -> None:
    sinks = ("--to", "mine:Sink", "--to", "jsonl:out.jsonl")
    assert cli("run", "mine:Many", *sinks, "--limit", "600").returncode == 0
    ran = cli("run", "mine:Many", *sinks, "--resume")
    assert b"1,200 documents (600 in this run), 0 failed" in ran.stderr


def test_a_sink_without_a_name_is_refused(cli: RunCli) -> None:
    ran = cli("run", "mine:Many", "--to", "mine:Nameless")
    assert (ran.returncode, b"whose name is ''" in ran.stderr) == (2, True)
