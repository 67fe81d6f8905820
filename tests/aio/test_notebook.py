"""A notebook's cells, run by a real kernel: its event loop is asyncio's, and is running."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    """
import asyncio
from trio_ingest import Document, DocumentCompleted, IngestionPipeline, aio

class Numbers:
    source = "numbers"
    closed = False

    async def fetch(self):
        for number in range(1000):
            await asyncio.sleep(0)
            yield number

    def parse(self, record):
        return Document(str(record), self.source, "")

    async def aclose(self):
        self.closed = True

adapter = Numbers()
pipeline = IngestionPipeline(adapter)
""",
    """
async with aio.stream_events(pipeline) as events:
    async for event in events:
        if isinstance(event, DocumentCompleted) and event.record_number == 500:
            break
print(event.document.doc_id, adapter.closed)
""",
    """
result = await aio.run_async(pipeline, resume_from=None)
print(result.success_count)
""",
    """
documents = []
async for document in aio.iter_results(pipeline):
    documents.append(document)
print(len(documents), len([t for t in asyncio.all_tasks() if "AsyncioNursery" in repr(t)]))
""",
]


# Jupyter's own: its client warns of what its event loop leaves open.
@pytest.mark.filterwarnings("default")
def test_cells_with_top_level_async_with_run_in_a_notebook(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in CELLS]
    )
    resources = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=60, resources=resources).execute()
    texts = [
        output.text.strip()
        for cell in notebook.cells
        for output in cell.outputs
        if output.output_type == "stream"
    ]
    assert texts == ["500 True", "1000", "1000 0"]
