"""What becomes of a document whose id is there already, in the same batch or before."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document, in_database
from trio_ingest import Document, IngestionPipeline
from trio_ingest.delivery import Totals, deliver
from trio_ingest.sinks import SqliteSink

OLDER = [document("a", "old"), document("b", "old")]
LATER = [document("c", "new"), document("a", "new"), document("c", "newest")]


def stored_in(path: Path) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            "SELECT row_id, doc_id, content FROM documents ORDER BY row_id"
        ).fetchall()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("duplicates", "stored", "replaced", "kept"),
    [
        ("replace", [(1, "a", "new"), (2, "b", "old"), (3, "c", "newest")], 2, 0),
        ("keep", [(1, "a", "old"), (2, "b", "old"), (3, "c", "new")], 0, 2),
        ("fail", [(1, "a", "old"), (2, "b", "old"), (3, "c", "new")], 0, 0),
        (
            "allow",
            [(1, "a", "old"), (2, "b", "old"), (3, "c", "new"), (4, "a", "new"),
             (5, "c", "newest")],
            0,
            0,
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_one_batch", [True, False])
@pytest.mark.parametrize("full_text", [True, False])
@pytest.mark.parametrize("with_a_bad_one", [True, False])
async def test_a_duplicate_is_dealt_with_by_its_rule(
    tmp_path: Path,
    duplicates: Any,
    stored: list[Any],
    replaced: int,
    kept: int,
    in_one_batch: bool,
    full_text: bool,
    with_a_bad_one: bool,
) -> None:
    path = tmp_path / "documents.db"
    later = [*LATER, document("a", "\ud800")] if with_a_bad_one else LATER
    async with SqliteSink(path, duplicates=duplicates, full_text=full_text) as sink:
        if in_one_batch:
            rejections = await sink.write(batch_of([*OLDER, *later]))
        else:
            assert await sink.write(batch_of(OLDER)) == []
            assert (sink.replaced, sink.kept) == (0, 0)
            rejections = await sink.write(batch_of(later, before=Totals(completed=2)))
        assert (sink.replaced, sink.kept) == (replaced, kept)
        delivered = await sink.load()
    assert stored_in(path) == stored
    if with_a_bad_one:
        assert "surrogate" in rejections.pop().reason
    if duplicates == "fail":
        assert [(r.document, r.reason) for r in rejections] == [
            (LATER[1], "a document with the id 'a' is there already."),
            (LATER[2], "a document with the id 'c' is there already."),
        ]
    else:
        assert rejections == []
    assert delivered is not None
    rejected = len(rejections) + with_a_bad_one
    assert delivered.totals == Totals(completed=5 + with_a_bad_one, rejected=rejected)


async def test_another_unique_column_is_not_taken_for_the_id(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    connection = sqlite3.connect(path)
    connection.execute(
        "CREATE TABLE documents (row_id INTEGER PRIMARY KEY, doc_id UNIQUE, source, "
        "content UNIQUE, raw, metadata)"
    )
    connection.close()
    async with SqliteSink(path, duplicates="fail") as sink:
        batch = batch_of([document("a", "x"), document("b", "x"), document("a", "y")])
        rejections = await sink.write(batch)
    assert [r.reason for r in rejections] == [
        "the table does not take it: UNIQUE constraint failed: documents.content.",
        "a document with the id 'a' is there already.",
    ]


async def test_only_what_was_committed_counts_as_replaced(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as first, SqliteSink(path) as second:
        await first.write(batch_of(OLDER))
        with pytest.raises(Exception, match="has a checkpoint of the job"):
            await second.write(batch_of(OLDER))
        assert second.replaced == 0
        # Rows deleted at the end leave their row ids to the next ones.
        await in_database(first, lambda c: c.execute("DELETE FROM documents"))
        await first.write(batch_of(OLDER, before=Totals(completed=2)))
        assert first.replaced == 0


class Feed:
    source = "feed"
    stable_order = True

    async def fetch(self) -> Any:
        for number in range(30):
            yield number

    def parse(self, record: int) -> Document:
        # Each third id is new; the two after it come again.
        return Document(f"d{record // 3}", "feed", str(record))


@pytest.mark.parametrize(
    ("duplicates", "contents", "rejected"),
    [
        ("replace", [str(n) for n in range(2, 30, 3)], 0),
        ("keep", [str(n) for n in range(0, 30, 3)], 0),
        ("fail", [str(n) for n in range(0, 30, 3)], 20),
        ("allow", [str(n) for n in range(30)], 0),
    ],
)
async def test_a_delivery_deals_with_duplicates_by_the_rule(
    tmp_path: Path, duplicates: Any, contents: list[str], rejected: int
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, duplicates=duplicates) as sink:
        report = await deliver(IngestionPipeline(Feed()).stream_events(), sink, batch_size=7)
    assert [content for _, _, content in stored_in(path)] == contents
    assert report.totals == {sink.name: Totals(completed=30, rejected=rejected)}
    assert sink.replaced == (20 if duplicates == "replace" else 0)
    assert sink.kept == (20 if duplicates == "keep" else 0)
