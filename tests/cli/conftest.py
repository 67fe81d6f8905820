"""The command line as users have it: a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

Finished: TypeAlias = subprocess.CompletedProcess[bytes]
RunCli: TypeAlias = Callable[..., Finished]


@pytest.fixture
def command() -> list[str]:
    return [sys.executable, "-m", "trio_ingest"]


@pytest.fixture
def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    # The child has a folder of its own, so it must be told where the package is.
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, "PYTHONWARNINGS": "error", "TERM": "xterm"}


@pytest.fixture
def cli(tmp_path: Path, command: list[str], environment: dict[str, str]) -> RunCli:
    """Run the command line in the test's own folder; no end of it is a traceback."""

    def run(*words: str, **options: Any) -> Finished:
        settings: Any = {"capture_output": True, "stdin": subprocess.DEVNULL, **options}
        if "input" in options:
            del settings["stdin"]
        finished = subprocess.run(
            [*command, *words],
            cwd=tmp_path,
            env=environment,
            timeout=60,
            check=False,
            **settings,
        )
        assert b"Traceback" not in (finished.stderr or b"")
        return finished

    return run
