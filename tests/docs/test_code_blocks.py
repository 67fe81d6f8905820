from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, Block, Program, pages, read

PROGRAMS = [program for path in pages() for program in read(path).programs]
COMMANDS = [block for path in pages() for block in read(path).commands]

# These make a virtual environment: .ci/run and `nox -s readme` run them for real.
MAKES_ITS_OWN_ENVIRONMENT = "python3 -m venv "


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder of its own with the examples in it, as if it were the repository."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


def environment() -> dict[str, str]:
    """Ours, with the scripts beside this Python and the tree itself found first."""
    scripts = str(Path(sys.executable).parent)
    paths = {"PATH": scripts + os.pathsep + os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return {**os.environ, **paths, "PYTHONWARNINGS": "error"}


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_program_runs_and_prints_what_the_page_says(program: Program, place: Path) -> None:
    script = place / "program.py"
    script.write_text("\n" * (program.line - 1) + program.text, encoding="utf-8")
    ran = subprocess.run(
        [sys.executable, script],
        cwd=place,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stderr == ""
    # In this order, with others between: blocks that continue a program print theirs, and
    # progress may come by the clock.
    printed = iter(ran.stdout.splitlines())
    missing = [line for line in program.output.splitlines() if line not in printed]
    assert missing == [], ran.stdout


@pytest.mark.parametrize("block", COMMANDS, ids=lambda block: f"{block.page}:{block.line}")
def test_command_runs(block: Block, place: Path) -> None:
    expected = int(block.remark.removeprefix("exit ")) if "exit " in block.remark else 0
    for line in block.text.splitlines():
        if line.startswith(MAKES_ITS_OWN_ENVIRONMENT):
            continue
        ran = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=place,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == expected, f"{line}\n{ran.stdout}{ran.stderr}"
        assert "Traceback" not in ran.stderr


def test_every_page_has_been_read() -> None:
    assert PROGRAMS
    assert COMMANDS
