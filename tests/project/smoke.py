"""Run against an installed wheel, away from the source: is everything in it?"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import trio

import trio_ingest


class Numbers:
    source = "numbers"

    async def fetch(self) -> AsyncIterator[int]:
        for number in range(1000):
            await trio.lowlevel.checkpoint()
            yield number

    def parse(self, record: int) -> trio_ingest.Document:
        return trio_ingest.Document(str(record), self.source, "text")


async def main() -> None:
    pipeline = trio_ingest.IngestionPipeline(Numbers(), workers=2)
    async with pipeline.iter_results() as documents:
        ids = [document.doc_id async for document in documents]
    assert ids == [str(number) for number in range(1000)], ids[:10]


here = Path(trio_ingest.__file__)
assert "site-packages" in here.parts, f"This is the source, not the wheel: {here}"
assert importlib.resources.files(trio_ingest).joinpath("py.typed").is_file()
distribution = importlib.metadata.distribution("trio-ingest")
assert distribution.version == trio_ingest.__version__
assert distribution.metadata["License-Expression"] == "MIT OR Apache-2.0"
shipped = {file.name for file in distribution.files or ()}
assert {"LICENSE", "LICENSE.MIT", "LICENSE.APACHE2"} <= shipped, shipped
assert not [file for file in distribution.files or () if file.parts[0] == "tests"]
trio.run(main)
print(f"trio_ingest {distribution.version} works from its wheel, on {sys.version}")
