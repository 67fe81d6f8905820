"""Killed before and after each statement, commit, write, fsync and rename: nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.crash.points import LINES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["sqlite", "rows", "jsonl"])
def test_a_crash_at_each_point_loses_nothing_and_doubles_nothing(
    kind: str, tmp_path: Path
) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "tests.crash.points", str(tmp_path), kind],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
        timeout=300,
    )
    assert finished.returncode == 0, finished.stderr.decode()
    found = json.loads(finished.stdout)
    assert found["wrong"] == []
    # Documents, dead letters, checkpoint and commit, three times, on both sides.
    assert found["points"] > 30
    # Some are bad, and some replace others.
    assert found["rows"] >= LINES - 5
