"""A ledger as ``completed_ids``: asked in the event loop's thread, while others write."""

import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.sinks.batches import batch_of, document
from trio_ingest import (
    Document,
    DocumentCompleted,
    DocumentSkipped,
    IngestionPipeline,
    SetupError,
)
from trio_ingest.delivery import SinkError, deliver
from trio_ingest.stores import SqliteLedger

OPEN = "Run the pipeline inside `async with SqliteLedger"


class Feed:
    source = "feed"
    stable_order = True

    async def fetch(self) -> AsyncIterator[str]:
        for number in range(6):
            await trio.lowlevel.checkpoint()
            yield str(number)

    def parse(self, record: str) -> Document:
        return Document(record, self.source, "")


class NamedFeed(Feed):
    def identify(self, record: str) -> str:
        return record


async def test_only_what_is_completed_is_in_it(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        for state in ("completed", "failed", "skipped"):
            await ledger.record(state, state)
        assert "completed" in ledger
        assert "failed" not in ledger
        assert "skipped" not in ledger
        assert "Completed" not in ledger


@pytest.mark.parametrize("value", [None, 1, b"completed", ["completed"], object()])
async def test_what_is_no_string_is_not_in_it(tmp_path: Path, value: object) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.record("completed", "completed")
        await ledger.record("1", "completed")
        assert value not in ledger


async def test_an_empty_ledger_is_not_taken_for_none(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        assert bool(ledger)


async def test_it_answers_within_its_block_only(tmp_path: Path) -> None:
    ledger = SqliteLedger(tmp_path / "ledger.db")
    with pytest.raises(SetupError, match=OPEN):
        ledger.__contains__("a")
    async with ledger:
        assert "a" not in ledger
    with pytest.raises(SetupError, match=OPEN):
        ledger.__contains__("a")
    with pytest.raises(SetupError, match=r"Use it inside `async with SqliteLedger"):
        await ledger.counts()


async def test_a_write_under_way_is_not_waited_for(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def stop_in_the_middle(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE ledger SET state = 'failed'")
        begun.set()
        assert go_on.wait(60)
        connection.execute("COMMIT")

    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.record("a", "completed")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ledger._run, stop_in_the_middle)
            await trio.to_thread.run_sync(begun.wait)
            try:
                assert "a" in ledger
            finally:
                go_on.set()
        assert "a" not in ledger


async def test_another_programs_write_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        await ledger.record("a", "completed")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            other.execute("DELETE FROM ledger")
            assert "a" in ledger
            other.execute("COMMIT")
        assert "a" not in ledger


async def test_asking_pins_nothing_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        await ledger.record("a", "completed")
        assert "a" in ledger
        with closing(sqlite3.connect(path)) as other:
            # A read that had not ended would keep the log from being emptied.
            busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0
        reader = ledger._completed._connection
        assert reader is not None
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reader.execute("DELETE FROM ledger")


async def test_a_database_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE ledger")
        with pytest.raises(SinkError, match="cannot say what is completed: no such table"):
            ledger.__contains__("a")


async def test_an_engine_in_another_thread_may_ask(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.record("a", "completed")
        assert await trio.to_thread.run_sync(ledger.__contains__, "a")


@pytest.mark.parametrize("feed", [Feed(), NamedFeed()], ids=["parsed", "identified"])
async def test_a_job_begun_again_passes_over_what_is_completed(
    tmp_path: Path, feed: Feed
) -> None:
    pipeline = IngestionPipeline(feed)
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch_of([document("1"), document("4")]))
        await ledger.record("2", "failed")
        await ledger.forget()
        events: list[Any] = []
        await deliver(
            pipeline.stream_events(completed_ids=ledger),
            ledger,
            batch_size=1,
            on_event=events.append,
        )
        done = [e.document.doc_id for e in events if isinstance(e, DocumentCompleted)]
        assert done == ["0", "2", "3", "5"]
        skipped = [e.doc_id for e in events if isinstance(e, DocumentSkipped)]
        assert skipped == ([] if isinstance(feed, NamedFeed) else ["1", "4"])
        assert await ledger.counts() == {"completed": 6, "failed": 0, "skipped": 0}
        # What was completed and then skipped for it is no contradiction.
        assert ledger.refused == 0
