"""A commit record whose state was lost is refused: the documents would be appended again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from trio_ingest import CheckpointError, IngestionPipeline
from trio_ingest.delivery import deliver
from trio_ingest.sinks import JsonLinesSink
from trio_ingest.testing import Fail, ScriptedAdapter


@pytest.mark.parametrize("which", ["output", "failed"])
def test_offsets_without_a_state_are_refused(tmp_path: Path, which: str) -> None:
    path = tmp_path / "out.jsonl"

    async def run() -> None:
        async with JsonLinesSink(path) as sink:
            stream = IngestionPipeline(ScriptedAdapter([1, Fail(), 3])).stream_events()
            await deliver(stream, sink)

    trio.run(run)
    record = tmp_path / "out.jsonl.checkpoint"
    fields: Any = json.loads(record.read_text("utf-8"))
    fields["delivered"] = None
    other = "failed" if which == "output" else "output"
    fields[other] = {"offset": 0, "check": 0}
    record.write_text(json.dumps(fields), "utf-8")
    before = path.read_bytes()
    with pytest.raises(
        CheckpointError, match=r"no state that covers them.*Bring back the file"
    ):
        trio.run(run)
    assert path.read_bytes() == before
