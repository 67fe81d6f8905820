"""A user's sink on the two bases keeps every promise that the shipped ones keep."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from trio_ingest import SetupError
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState
from trio_ingest.storage import JobDatabase, ThreadSink
from trio_ingest.testing import check_sink

CREATE = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL, text TEXT NOT NULL)"


class Notes(ThreadSink):
    """As a user would write it: its table, its statement, and nothing of the shell."""

    guarantee: Guarantee = "exactly-once"

    def __init__(self, path: Path) -> None:
        self._database = JobDatabase(path, "default", create=lambda c: c.execute(CREATE))
        super().__init__(f"notes:{path}", self._database)

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        return await self._run_in_thread(lambda: self._write(batch))

    def _write(self, batch: Batch) -> list[Rejection]:
        rejections = []

        def write(connection: sqlite3.Connection) -> tuple[SinkState, None]:
            for document in batch.documents:
                try:
                    values = document.doc_id, document.content
                    connection.execute("INSERT INTO notes VALUES (?, ?)", values)
                except UnicodeEncodeError as error:
                    rejections.append(Rejection(document, f"It is no text: {error}."))
            return batch.delivered(rejections), None

        self._database.commit(write)
        return rejections


def ids_in(folder: Path) -> Iterable[str]:
    with closing(sqlite3.connect(folder / "notes.db")) as connection:
        return [doc_id for (doc_id,) in connection.execute("SELECT id FROM notes")]


@pytest.mark.one_in(3)
@pytest.mark.parametrize("check", check_sink(lambda f: Notes(f / "notes.db"), ids_in))
def test_a_sink_on_the_bases_passes(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("seconds", [-1, float("nan"), 1e10, "5", True])
def test_a_wait_that_is_none_is_refused(tmp_path: Path, seconds: float) -> None:
    with pytest.raises(SetupError, match="busy_timeout_seconds must be a number between"):
        JobDatabase(tmp_path / "a.db", "default", busy_timeout_seconds=seconds)
