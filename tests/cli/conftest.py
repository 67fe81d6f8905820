"""The command line as users have it: a process of its own."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Finished: TypeAlias = subprocess.CompletedProcess[bytes]
RunCli: TypeAlias = Callable[..., Finished]
Start: TypeAlias = Callable[[tuple[str, ...], Path], Finished]

# What measures, and `nox -s slow`, want whole processes.
WHOLE = os.environ.get("HYPOTHESIS_PROFILE") == "slow" or any(
    name.startswith("COVERAGE") for name in os.environ
)


def environment_here() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    # The child has a folder of its own, so it must be told where the package is.
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    # What pytest tells of where it is changes while a test runs.
    ours = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    return ours | {"PYTHONPATH": path, "PYTHONWARNINGS": "error", "TERM": "xterm"}


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-m", "trio_ingest"]


@pytest.fixture
def environment() -> dict[str, str]:
    return environment_here()


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Run words as ``command`` would, in a fork of a process that waits for them."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    subprocess.run(
        [sys.executable, str(Path(__file__).parent / "starter.py"), str(theirs.fileno())],
        env=environment_here(),
        cwd=tmp_path_factory.mktemp("starter"),
        pass_fds=[theirs.fileno()],
        start_new_session=True,
        check=True,
    )
    theirs.close()

    def run(words: tuple[str, ...], folder: Path) -> Finished:
        order = {"words": words, "folder": str(folder), "environment": environment_here()}
        pairs = [os.pipe() for _ in range(2)]
        outputs = [writing for _, writing in pairs]
        socket.send_fds(ours, [json.dumps(order).encode()], outputs)
        for descriptor in outputs:
            os.close(descriptor)
        with ThreadPoolExecutor(2) as pool:
            said = [pool.submit(whole, reading) for reading, _ in pairs]
        status = ours.recv(16)
        assert status, "the process that starts the others has ended"
        return subprocess.CompletedProcess(
            list(words), int(status), *(one.result() for one in said)
        )

    with ours:
        yield run


def whole(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()


@pytest.fixture
def cli(
    tmp_path: Path, command: list[str], environment: dict[str, str], start: Start
) -> RunCli:
    """Run the command line in the test's own folder; no end of it is a traceback.

    In a process that has only forked, where all is as usual; `nox -s slow` and every test
    that wants something special of the process start a whole one.
    """

    def run(*words: str, **options: Any) -> Finished:
        if WHOLE or options or environment != environment_here():
            finished = run_whole(*words, **options)
        else:
            finished = start(words, tmp_path)
        assert b"Traceback" not in (finished.stderr or b"")
        return finished

    def run_whole(*words: str, **options: Any) -> Finished:
        settings: Any = {"capture_output": True, "stdin": subprocess.DEVNULL, **options}
        if "input" in options:
            del settings["stdin"]
        return subprocess.run(
            [*command, *words],
            cwd=tmp_path,
            env=environment,
            timeout=60,
            check=False,
            **settings,
        )

    return run
