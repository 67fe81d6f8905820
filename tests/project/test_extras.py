"""What happens when an extra is not installed; runs with it and without."""

from __future__ import annotations

import subprocess
import sys

WITHOUT_CLICK = """
import runpy, sys
sys.modules["click"] = None
sys.argv = ["trio-ingest", "--help"]
runpy.run_module("trio_ingest", run_name="__main__")
"""


def test_without_click_the_command_says_what_to_install() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WITHOUT_CLICK], capture_output=True, text=True, check=False
    )
    assert ran.returncode not in {0, -11}
    assert "pip install 'trio_ingest[cli]'" in ran.stderr.replace("trio-ingest", "trio_ingest")
    assert "Traceback" not in ran.stderr
