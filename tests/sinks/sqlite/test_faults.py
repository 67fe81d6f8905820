"""Locked and full databases: a clear error, nothing lost, and the same sink goes on."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document, failure, in_database
from trio_ingest.delivery import SinkError, Totals
from trio_ingest.sinks import SqliteSink


def asked(path: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


async def test_a_locked_database_fails_the_write_and_keeps_what_was_committed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    other = sqlite3.connect(path, isolation_level=None)
    async with SqliteSink(path, busy_timeout_seconds=0) as sink:
        await sink.write(batch_of([document("a")]))
        other.execute("BEGIN IMMEDIATE")
        batch = batch_of([document("b")], before=Totals(completed=1))
        with pytest.raises(SinkError, match="another program has held a lock"):
            await sink.write(batch)
        with pytest.raises(SinkError, match="another program has held a lock"):
            await sink.forget()
        other.execute("ROLLBACK")
        await sink.write(batch)
        assert await sink.load() == batch.delivered()
        other.execute("BEGIN IMMEDIATE")
    with pytest.raises(SinkError, match="cannot be opened: another program"):
        async with SqliteSink(path, busy_timeout_seconds=0):
            pytest.fail("the sink opened")
    other.close()
    assert asked(path, "SELECT doc_id FROM documents") == [("a",), ("b",)]


@pytest.mark.parametrize("full_text", [True, False])
async def test_a_full_database_fails_the_write_and_takes_it_when_there_is_room(
    tmp_path: Path, full_text: bool
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, full_text=full_text) as sink:
        await in_database(sink, lambda c: c.execute("PRAGMA max_page_count = 40"))
        first = batch_of([document("a")], failed=[failure(1)])
        await sink.write(first)
        documents = [document(str(n), "x y " * 10_000) for n in range(20)]
        batch = batch_of(documents, failed=[failure(30)], before=first.delivered().totals)
        for _ in range(2):
            with pytest.raises(SinkError, match=r"disk is full. Make room, then go on"):
                await sink.write(batch)
        assert await sink.load() == first.delivered()
        assert asked(path, "SELECT doc_id FROM documents") == [("a",)]
        await in_database(sink, lambda c: c.execute("PRAGMA max_page_count = 4000"))
        assert await sink.write(batch) == []
        assert await sink.load() == batch.delivered()
    assert len(asked(path, "SELECT doc_id FROM documents")) == 21
    assert len(asked(path, "SELECT job FROM trio_ingest_dead_letters")) == 2


async def test_a_checkpoint_that_cannot_be_stored_keeps_its_documents_away(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await in_database(
            sink,
            lambda c: c.execute(
                "CREATE TRIGGER t BEFORE UPDATE ON trio_ingest_checkpoint "
                "BEGIN SELECT RAISE(ABORT, 'not today'); END"
            ),
        )
        first = batch_of([document("a")])
        await sink.write(first)
        with pytest.raises(SinkError, match="not today"):
            await sink.write(batch_of([document("b")], before=Totals(completed=1)))
        assert sink.replaced == 0
        await in_database(sink, lambda c: c.execute("DROP TRIGGER t"))
        await sink.write(batch_of([document("c")], before=Totals(completed=1)))
    assert asked(path, "SELECT doc_id FROM documents") == [("a",), ("c",)]


async def test_a_table_that_is_taken_away_ends_the_write_and_rejects_nobody(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        asked(path, "DROP TABLE documents")
        with pytest.raises(SinkError, match="no such table"):
            await sink.write(batch_of([document("a")]))
        assert await sink.load() is None
