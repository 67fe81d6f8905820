"""Checkpoint and dead letters: committed with documents, read again, written by one run."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.sinks.batches import (
    TIMESTAMP,
    batch_of,
    checkpoint_at,
    document,
    failure,
    in_database,
)
from trio_ingest import Checkpoint, CheckpointError, Document, IngestionPipeline, Position
from trio_ingest.delivery import DeadLetter, SinkError, Totals, deliver, resume_point
from trio_ingest.sinks import SqliteSink


def asked(path: Path, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.close()


LETTERS = f"SELECT {', '.join(f.name for f in attrs.fields(DeadLetter))} "
LETTERS += "FROM trio_ingest_dead_letters WHERE job = ? ORDER BY letter_id"


async def test_the_last_commit_is_what_a_later_run_loads(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        assert await sink.load() is None
        first = batch_of([document("a")], failed=[failure(1)])
        await sink.write(first)
        second = batch_of([document("b"), document("\ud800")], before=first.delivered().totals)
        rejections = await sink.write(second)
    async with SqliteSink(path) as sink:
        delivered = await sink.load()
    assert delivered == second.delivered(rejections)
    assert delivered is not None
    assert delivered.totals == Totals(completed=3, failed=1, rejected=1)
    assert delivered.checkpoint == checkpoint_at(4)


async def test_what_is_in_no_table_is_a_dead_letter_with_every_field(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    bad = failure(0, OSError("broken"), raw={"n": b"\xff"}, doc_id="f", traceback="Trace")
    batch = batch_of([document("a"), document("b", "\ud800", raw={"b": 1})], failed=[bad])
    async with SqliteSink(path, job="nightly") as sink:
        rejections = await sink.write(batch)
    names = [field.name for field in attrs.fields(DeadLetter)]
    rows = asked(path, LETTERS, "nightly")
    letters = [DeadLetter(**dict(zip(names, row, strict=True))) for row in rows]
    assert letters == batch.dead_letters(rejections)
    assert [letter.stage for letter in letters] == ["parse", "sink"]
    assert letters[0].timestamp == TIMESTAMP


async def test_a_dead_letter_is_stored_however_long_it_is(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    long = 'ü"\\\ud800\0' * 2000
    failures = [
        failure(0, ValueError(long), raw=long, doc_id=long, traceback=long),
        failure(1, raw=[long]),
    ]
    async with SqliteSink(path) as sink:
        await in_database(sink, lambda c: c.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000))
        [rejection] = await sink.write(batch_of([document(long, long)], failed=failures))
    assert rejection.document.doc_id == long
    rows = asked(path, "SELECT raw, doc_id FROM trio_ingest_dead_letters")
    assert len(rows) == 3
    for raw, _ in rows:
        json.loads(raw)
    assert json.loads(rows[1][0]).startswith('["ü')


async def test_a_checkpoint_is_stored_whatever_it_names(tmp_path: Path) -> None:
    position = Position("fe\ud800ed\0", "{}", 3, cursor="\udc00", cursor_record=2)
    batch = batch_of([document("a")], checkpoint=Checkpoint((position,)))
    async with SqliteSink(tmp_path / "documents.db") as sink:
        await sink.write(batch)
        assert await sink.load() == batch.delivered()


async def test_forget_drops_the_job_and_leaves_documents_and_other_jobs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    batch = batch_of([document("a")], failed=[failure(1)])
    async with SqliteSink(path) as sink, SqliteSink(path, job="other") as other:
        await sink.write(batch)
        await other.write(batch)
        await sink.forget()
        assert await sink.load() is None
        assert await other.load() == batch.delivered()
        await sink.forget()
        await sink.write(batch)
    assert asked(path, "SELECT doc_id FROM documents") == [("a",)]
    assert asked(path, "SELECT job FROM trio_ingest_dead_letters") == [
        ("other",),
        ("default",),
    ]


async def test_a_job_that_has_a_checkpoint_is_not_written_unread(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    async with SqliteSink(path) as sink:
        with pytest.raises(SinkError, match=r"has not looked at it.*resume_point"):
            await sink.write(batch_of([document("b")]))
        await sink.load()
        await sink.write(batch_of([document("c")], before=Totals(completed=1)))
    # What the object knew belongs to the block that was left.
    async with sink:
        with pytest.raises(SinkError, match="has not looked at it"):
            await sink.write(batch_of([document("d")]))
    assert asked(path, "SELECT doc_id FROM documents") == [("a",), ("c",)]


@pytest.mark.parametrize("is_new", [True, False])
async def test_a_run_whose_job_another_run_writes_commits_nothing(
    tmp_path: Path, is_new: bool
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as first, SqliteSink(path) as second:
        if not is_new:
            await first.write(batch_of([document("a")]))
        assert await first.load() == await second.load()
        before = Totals() if is_new else Totals(completed=1)
        await first.write(batch_of([document("b")], before=before))
        for _ in range(2):
            with pytest.raises(SinkError, match=r"Another run is writing the job 'default'"):
                await second.write(batch_of([document("c")], failed=[failure()]))
        # The first one is not disturbed.
        await first.write(batch_of([document("d")], before=before))
    assert ("c",) not in asked(path, "SELECT doc_id FROM documents")
    assert asked(path, "SELECT * FROM trio_ingest_dead_letters") == []


async def test_a_run_whose_job_was_forgotten_and_begun_again_commits_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sleeper, SqliteSink(path) as other:
        await sleeper.write(batch_of([document("a")]))
        await other.forget()
        with pytest.raises(SinkError, match="Another run is writing"):
            await sleeper.write(batch_of([document("b")]))
        # As many batches as the sleeper had written: the numbers must not meet.
        await other.write(batch_of([document("c")]))
        with pytest.raises(SinkError, match="Another run is writing"):
            await sleeper.write(batch_of([document("b")]))
    assert asked(path, "SELECT doc_id FROM documents") == [("a",), ("c",)]


DAMAGE: list[tuple[str, str, Any, str]] = [
    ("no JSON", "delivered", "{", "is damaged"),
    ("no text", "delivered", b"\xff\xfe{", "is damaged"),
    ("deep", "delivered", "[" * 100_000, "is damaged"),
    ("other JSON", "delivered", "[]", "is damaged"),
    ("parts missing", "delivered", '{"version": 1}', "is damaged"),
    ("newer", "delivered", '{"version": 2}', "has version 2; this release"),
    ("no revision", "revision", "later", "is damaged"),
]


@pytest.mark.parametrize(
    ("column", "value", "why"), [c[1:] for c in DAMAGE], ids=[c[0] for c in DAMAGE]
)
async def test_a_damaged_checkpoint_is_told_and_can_be_forgotten(
    tmp_path: Path, column: str, value: Any, why: str
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    cast = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
    asked(path, f"UPDATE trio_ingest_checkpoint SET {column} = {cast}", value)
    async with SqliteSink(path) as sink:
        with pytest.raises(CheckpointError, match=why) as caught:
            await sink.load()
        told = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", ())])
        assert "'default'" in told
        assert "sink.forget()" in told
        with pytest.raises(SinkError, match="has not looked at it"):
            await sink.write(batch_of([document("b")]))
        await sink.forget()
        await sink.write(batch_of([document("c")]))
    assert asked(path, "SELECT doc_id FROM documents") == [("a",), ("c",)]


class Feed:
    source = "feed"
    stable_order = True

    def __init__(self, dies_at: int | None = None) -> None:
        self._dies_at = dies_at

    async def fetch(self) -> Any:
        for number in range(50):
            if number == self._dies_at:
                raise OSError("the feed is gone")
            yield number

    def parse(self, record: int) -> Document:
        if record % 10 == 3:
            raise ValueError("no title")
        return Document(f"d{record}", "feed", "\ud800" if record % 10 == 7 else str(record))


async def test_a_job_that_died_goes_on_where_it_stopped_with_each_document_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"

    async def run(feed: Feed) -> Totals:
        # No unique key, so that nothing hides a double.
        async with SqliteSink(path, duplicates="allow") as sink:
            point = await resume_point(sink)
            events = IngestionPipeline(feed).stream_events(resume_from=point)
            report = await deliver(events, sink, batch_size=8)
        return report.totals[sink.name]

    for dies_at in (0, 5, 27, 44):
        with pytest.raises(OSError, match="the feed is gone"):
            await run(Feed(dies_at))
    totals = Totals(completed=45, failed=5, rejected=5)
    assert await run(Feed()) == totals
    # Done is done.
    assert await run(Feed()) == totals
    good = [f"d{n}" for n in range(50) if n % 10 not in {3, 7}]
    assert [d for (d,) in asked(path, "SELECT doc_id FROM documents")] == good
    letters = asked(path, "SELECT record_number FROM trio_ingest_dead_letters ORDER BY 1")
    assert [n for (n,) in letters] == [n for n in range(50) if n % 10 in {3, 7}]
