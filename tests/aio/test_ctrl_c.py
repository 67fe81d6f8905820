"""Ctrl-C while a stream runs under asyncio.run: a real signal to a real process."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import suppress

import pytest

PROGRAM = """
import asyncio, sys, warnings
import anyio
from trio_ingest import Document, IngestionPipeline, aio

library, runtime, grace = sys.argv[1], sys.argv[2], float(sys.argv[3])
if library == "uvloop":
    import uvloop
    new_loop = uvloop.new_event_loop
else:
    new_loop = None

class Endless:
    source = "endless"

    async def fetch(self):
        number = 0
        try:
            while True:
                await anyio.sleep(0.001)
                yield number
                number += 1
        finally:
            print("fetch closed", flush=True)

    def parse(self, record):
        return Document(str(record), self.source, "")

    async def aclose(self):
        print("closing", flush=True)
        await anyio.sleep(grace)
        print("closed", flush=True)

async def main():
    asyncio.get_running_loop().slow_callback_duration = 10  # a busy machine is no news
    pipeline = IngestionPipeline(Endless(), workers=2, cleanup_grace_seconds=60)
    async with aio.stream_events(pipeline, runtime=runtime) as events:
        async for event in events:
            if event.sequence == 20:
                print("running", flush=True)

try:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(main())
except KeyboardInterrupt:
    print("KeyboardInterrupt", flush=True)
"""

HOSTS = pytest.mark.parametrize(
    ("library", "runtime"),
    [("asyncio", "asyncio"), ("uvloop", "asyncio"), ("asyncio", "trio")],
    ids=["asyncio", "uvloop", "bridge"],
)


def started(*arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-X", "dev", "-c", PROGRAM, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    return process


@HOSTS
def test_ctrl_c_closes_everything_and_leaves_as_itself(library: str, runtime: str) -> None:
    process = started(library, runtime, "0.01")
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert output.splitlines() == ["fetch closed", "closing", "closed", "KeyboardInterrupt"]
    assert process.returncode == 0


@HOSTS
def test_second_ctrl_c_does_not_wait_for_the_cleanup(library: str, runtime: str) -> None:
    process = started(library, runtime, "1000")
    assert process.stdout is not None
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "fetch closed\n"
    assert process.stdout.readline() == "closing\n"
    # Python itself loses one that it raises in a weak reference's callback.
    output = ""
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            output, _ = process.communicate(timeout=10)
            break
    assert "closed\n" not in output
    assert "KeyboardInterrupt" in output
