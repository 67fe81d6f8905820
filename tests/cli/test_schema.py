"""``trio-ingest schema``: for whoever reads the events in another language."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema

from tests.cli.conftest import RunCli


def test_it_describes_every_line_of_a_run(cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "bad.txt").write_bytes(b"\xff")
    (tmp_path / "docs" / "good.txt").write_bytes(b"good")
    (tmp_path / "docs" / "broken").symlink_to("nowhere")
    printed = cli("schema")
    assert printed.returncode == 0
    assert printed.stderr == b""
    validator = jsonschema.Draft202012Validator(json.loads(printed.stdout))
    lines = cli("run", "files:docs", "--dry-run", "--events", "-").stdout.splitlines()
    types = [json.loads(line)["type"] for line in lines]
    assert {"DocumentCompleted", "DocumentFailed", "FileSkipped", "BatchProgress"} <= {*types}
    for line in lines:
        validator.validate(json.loads(line))
    assert not validator.is_valid({"type": "DocumentStarted", "version": 1})
