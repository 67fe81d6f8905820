"""Trap: Ctrl-C must arrive as KeyboardInterrupt itself, never in a group and never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.promises.adapters import Plain
from tests.worlds import run
from trio_ingest import DocumentCompleted, IngestionPipeline

ROOT = Path(__file__).parents[2]

# A Ctrl-C that interrupts coverage while it holds its own lock leaves the process hanging.
UNMEASURED = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE")}

# An endless hot loop; says when it is hot, and then what it was left by.
PROGRAM = """
import sys, trio
from trio_ingest import Document, IngestionPipeline
form, workers, kind = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class Endless:
    source, closed = "endless", False
    async def fetch(self):
        try:
            while True:
                yield "x"
        finally:
            Endless.closed = True
    def plain(self, record):
        return Document(record, self.source, "")
    async def awaited(self, record):
        await trio.lowlevel.checkpoint()
        return Document(record, self.source, "")
    parse = plain if kind == "sync" else awaited
async def main():
    count = 0
    stream = IngestionPipeline(Endless(), workers=workers).stream_events()
    def take():
        nonlocal count
        count += 1
        if count == 1000:
            print("hot", flush=True)
    if form == "bare":
        async for event in stream:
            take()
    else:
        async with stream as events:
            async for event in events:
                take()
try:
    trio.run(main)
except BaseException as error:
    print(type(error).__name__, "closed" if Endless.closed else "open")
"""

HOT = pytest.mark.parametrize(
    ("form", "workers", "kind"),
    [
        ("bare", "1", "sync"),
        ("block", "1", "sync"),
        ("block", "3", "sync"),
        ("block", "3", "async"),
    ],
)


def interrupted(*arguments: str) -> str:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        env=UNMEASURED,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "hot\n"
        process.send_signal(signal.SIGINT)
        return process.communicate(timeout=60)[0]
    finally:
        process.kill()
        process.communicate()


@HOT
def test_ctrl_c_in_a_hot_loop_leaves_as_itself(form: str, workers: str, kind: str) -> None:
    assert interrupted(form, workers, kind) == "KeyboardInterrupt closed\n"


@pytest.mark.slow
@HOT
def test_ctrl_c_in_a_hot_loop_leaves_as_itself_every_time(
    form: str, workers: str, kind: str
) -> None:
    outcomes = {interrupted(form, workers, kind) for _ in range(25)}
    assert outcomes == {"KeyboardInterrupt closed\n"}


class InterruptedWhile(Plain):
    """Presses Ctrl-C in a named method; Python's own handler must be in place."""

    def __init__(self, where: str, workers: int) -> None:
        super().__init__(count=5)
        self.where = where
        self.workers = workers

    def press(self, where: str) -> None:
        if where == self.where:
            signal.raise_signal(signal.SIGINT)

    def identify(self, record: object) -> str:
        self.press("identify")
        return str(record)

    def parse(self, record: object) -> object:
        self.press("parse")
        return super().parse(record)

    async def aclose(self) -> None:
        await super().aclose()
        self.press("aclose")


@pytest.mark.parametrize("leaves_early", [False, True], ids=["to the end", "break"])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("where", ["identify", "parse", "aclose"])
def test_ctrl_c_inside_an_adapter_leaves_as_itself(
    where: str, workers: int, leaves_early: bool
) -> None:
    adapter = InterruptedWhile(where, workers)

    async def main() -> None:
        async with IngestionPipeline(adapter, workers=workers).stream_events() as events:
            async for event in events:
                if leaves_early and isinstance(event, DocumentCompleted):
                    break

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert adapter.closed


@pytest.mark.parametrize("workers", [1, 3])
def test_ctrl_c_in_the_body_leaves_as_itself(workers: int) -> None:
    adapter = Plain()

    async def main() -> None:
        async with IngestionPipeline(adapter, workers=workers).stream_events() as events:
            async for _ in events:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(main)
    assert adapter.closed
