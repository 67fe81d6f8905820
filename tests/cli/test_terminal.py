"""What a person at a terminal sees, and what Ctrl-C leaves."""

import contextlib
import os
import pty
import select
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import TypeAlias

import pytest

RunCli: TypeAlias = Callable[..., CompletedProcess[bytes]]

FROM_PIPE = ("run", "jsonl:-", "--to", "sqlite:documents.db")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        with contextlib.suppress(OSError):
            os.close(theirs)


def stored(folder: Path) -> int:
    connection = sqlite3.connect(folder / "documents.db")
    try:
        [(count,)] = connection.execute("SELECT count(*) FROM documents")
    finally:
        connection.close()
    return int(count)


def read_until(terminal: int, words: bytes) -> bytes:
    said = b""
    until = time.monotonic() + 60
    # At its end Linux answers EIO, others nothing.
    with contextlib.suppress(OSError):
        while words not in said and time.monotonic() < until:
            if not select.select([terminal], [], [], 10)[0]:
                continue
            piece = os.read(terminal, 4096)
            if not piece:
                break
            said += piece
    assert words in said
    return said


def test_ctrl_c_ends_with_130_and_keeps_what_was_stored(
    tmp_path: Path,
    command: list[str],
    environment: dict[str, str],
    terminal: tuple[int, int],
) -> None:
    ours, theirs = terminal
    process = subprocess.Popen(
        [*command, *FROM_PIPE],
        cwd=tmp_path,
        # Not measured: a Ctrl-C may catch coverage with its own lock in its hands.
        env={k: v for k, v in environment.items() if not k.startswith("COVERAGE")},
        stdin=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    # Whatever fails here, nobody is left waiting for it.
    with process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        assert process.stdin is not None
        process.stdin.write(b"".join(b'{"id": %d}\n' % n for n in range(2500)))
        process.stdin.flush()
        # The pipe stays open, so the last ones come by the progress of each second.
        said = read_until(ours, b"2,500 documents")
        process.send_signal(signal.SIGINT)
        said += read_until(ours, b"They are in documents.db.")
        assert process.wait(timeout=30) == 130
    assert b"\r" in said
    assert b"Stopping after Ctrl-C" in said
    assert b"Stopped: 2,500 documents, 0 failed" in said
    assert b"Traceback" not in said
    assert stored(tmp_path) == 2500


@pytest.mark.parametrize("fate", ["closed", "unread"])
def test_documents_arrive_when_nobody_reads_standard_error(
    cli: RunCli, tmp_path: Path, fate: str
) -> None:
    reading, writing = os.pipe()
    os.close(reading)

    def close() -> None:
        if fate == "closed":
            os.close(2)

    finished = cli(
        *FROM_PIPE,
        input=b'{"id": 1}\n',
        capture_output=False,
        stderr=writing,
        preexec_fn=close,
    )
    os.close(writing)
    assert finished.returncode == 0
    assert stored(tmp_path) == 1
