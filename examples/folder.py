"""A sink of your own, small enough to read at once: all documents in one file of JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trio

from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState


class FolderSink:
    """A sink of documents and checkpoint in one file, which each batch replaces."""

    guarantee: Guarantee = "exactly-once"

    def __init__(self, folder: Path) -> None:
        self.name = f"folder:{folder}"
        self._path = folder / "documents.json"

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Do nothing: no file is open between two batches."""

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Commit the documents and the new state of the job, in one rename."""
        await trio.lowlevel.checkpoint()
        rejections = [
            Rejection(document, "It is half of a surrogate pair, which no file can hold.")
            for document in batch.documents
            if not _can_be_written(document.doc_id + document.content)
        ]
        refused = {id(rejection.document) for rejection in rejections}
        kept = _read(self._path)
        kept["documents"] += [
            [document.doc_id, document.content]
            for document in batch.documents
            if id(document) not in refused
        ]
        self._replace({**kept, "delivered": batch.delivered(rejections).to_dict()})
        return rejections

    async def load(self) -> SinkState | None:
        """Return the state after the last batch."""
        await trio.lowlevel.checkpoint()
        delivered = _read(self._path)["delivered"]
        return None if delivered is None else SinkState.from_dict(delivered)

    async def forget(self) -> None:
        """Let the job begin again; the documents stay."""
        await trio.lowlevel.checkpoint()
        self._replace({**_read(self._path), "delivered": None})

    def _replace(self, content: dict[str, Any]) -> None:
        beside = self._path.with_suffix(".new")
        with beside.open("w", encoding="utf-8") as file:
            json.dump(content, file, ensure_ascii=False)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)


def ids_in(folder: Path) -> list[str]:
    """List the ids of the documents that are there."""
    return [doc_id for doc_id, _ in _read(folder / "documents.json")["documents"]]


def _read(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {"documents": [], "delivered": None}
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _can_be_written(text: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
