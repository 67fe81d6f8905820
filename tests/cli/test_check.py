"""``trio-ingest check``: an adapter or a sink of the user's own, from a module of his own."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.cli.conftest import RunCli

ROOT = Path(__file__).parents[2]

# Good ones and bad ones, as a user would have them: in the directory where he is.
MODULE = """
import contextlib
from examples.feed import Feed
from examples.folder import FolderSink, ids_in

class GoesBack(Feed):
    async def fetch(self, *, cursor=0):
        async with contextlib.aclosing(super().fetch(cursor=max(cursor - 1, 0))) as items:
            async for item in items:
                yield item

class Forgets(FolderSink):
    async def forget(self):
        pass

number = 3
"""


@pytest.fixture(autouse=True)
def _module(tmp_path: Path, environment: dict[str, str]) -> None:
    (tmp_path / "mine.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import nothing_of_the_kind")


def test_all_is_well(cli: RunCli) -> None:
    done = cli("check", "adapter", "mine:Feed")
    assert done.returncode == 0
    assert b"ok      can_be_set_up: It has a source, an async gen" in done.stdout
    assert b"-       estimates_a_count:" in done.stdout
    assert b"        Not checked: It has no `estimate_total`." in done.stdout
    assert done.stdout.endswith(b"15 checks: 13 passed, 0 failed, 2 with nothing to check.\n")
    assert done.stderr == b""


def test_a_mistake_is_said_and_the_others_are_checked(cli: RunCli) -> None:
    done = cli("check", "adapter", "mine:GoesBack")
    assert done.returncode == 1
    assert b"FAILED  resumes_from_anywhere: " in done.stdout
    assert b"        Broken off after " in done.stdout
    assert b"15 checks: 12 passed, 1 failed, 2 with nothing to check." in done.stdout


def test_a_sink_is_checked_by_what_it_has(cli: RunCli) -> None:
    good = cli("check", "sink", "mine:FolderSink", "--contents", "mine:ids_in")
    assert good.returncode == 0
    assert b"12 checks: 12 passed, 0 failed, 0 with nothing" in good.stdout
    bad = cli("check", "sink", "mine:Forgets")
    assert bad.returncode == 1
    assert b"FAILED  begins_again: " in bad.stdout
    assert b"Not checked: No `contents` is given" in bad.stdout


@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adapter", "mine"], b"'mine' is not MODULE:NAME; say it like feeds:make_feed"),
        (["adapter", ":Feed"], b"is not MODULE:NAME"),
        (["adapter", "mine:"], b"is not MODULE:NAME"),
        (["adapter", "mine:Nothing"], b"AttributeError: module 'mine' has no attribute 'Not"),
        (["adapter", "nowhere:Feed"], b"ModuleNotFoundError: No module named 'nowhere'. The"),
        (["adapter", "broken:Feed"], b"No module named 'nothing_of_the_kind'"),
        (["adapter", "mine:number"], b"'mine:number' is 3; name a class or a function"),
        (["adapter", "mine:Feed", "--contents", "mine:ids_in"], b"--contents is about a sink"),
        (["sink", "mine:FolderSink", "--contents", "mine:no"], b"has no attribute 'no'"),
        (["store", "mine:Feed"], b"'store' is not one of 'adapter', 'sink'"),
    ],
)
def test_what_cannot_be_checked_is_refused(
    cli: RunCli, words: list[str], message: bytes
) -> None:
    done = cli("check", *words)
    assert (done.returncode, done.stdout) == (2, b"")
    assert message in done.stderr


def test_a_reader_that_has_seen_enough_ends_it(cli: RunCli) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as nobody:
        done = cli(
            "check",
            "adapter",
            "mine:Feed",
            stdout=nobody,
            stderr=subprocess.PIPE,
            capture_output=False,
        )
    assert (done.returncode, done.stderr) == (141, b"")


def test_ctrl_c_ends_it_at_once(
    tmp_path: Path, command: list[str], environment: dict[str, str]
) -> None:
    (tmp_path / "slow.py").write_text("import time\nprint('here', flush=True)\ntime.sleep(60)")
    process = subprocess.Popen(
        [*command, "check", "adapter", "slow:Feed"],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, b"\nInterrupted.\n")
