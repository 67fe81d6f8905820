"""Starts the command line many times, from one process that has imported what it needs.

A test that only looks at what a command says and leaves behind need not wait for the same
imports each time. Each command still has a process, a folder and an interpreter's end of
its own.

    python starter.py SOCKET

It reads a command from the socket, with its two outputs, and answers with the exit status.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
from typing import Any

import trio_ingest.cli.commands.group  # noqa: F401 -- so that no command has to
from trio_ingest.__main__ import main

MOST_SECONDS = 60


def become(order: dict[str, Any], outputs: list[int]) -> None:
    """Be the command's process, as if just started; one that hangs is killed."""
    signal.alarm(MOST_SECONDS)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, descriptor in enumerate([nothing, *outputs]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv[:] = ["trio-ingest", *order["words"]]


def serve(channel: socket.socket) -> int | None:
    """Answer until nobody asks; the exit status in a process that was a command."""
    while True:
        text, outputs, _, _ = socket.recv_fds(channel, 1 << 20, 2)
        if not text:
            return None
        child = os.fork()
        if child == 0:
            channel.close()
            become(json.loads(text), outputs)
            return main()
        for descriptor in outputs:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        channel.sendall(b"%d" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    # No child of the tests, some of which count theirs. It ends when nobody can ask any more.
    if os.fork():
        os._exit(0)
    sys.path[0] = ""  # as with -m
    with socket.socket(fileno=int(sys.argv[1]), type=socket.SOCK_SEQPACKET) as asked:
        ended = serve(asked)
    sys.exit(ended)
