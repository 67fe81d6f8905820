"""The full-text index: right after everything that changes the table, and made once."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document
from trio_ingest import SetupError
from trio_ingest.delivery import Totals
from trio_ingest.sinks import SqliteSink
from trio_ingest.sinks.sqlite import _full_text


def run(path: Path, *statements: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return [row for one in statements for row in connection.execute(one).fetchall()]
    finally:
        connection.close()


def found(path: Path, words: str) -> list[str]:
    """The ids of the documents with these words, once the index has been checked."""
    run(
        path,
        "INSERT INTO documents_full_text (documents_full_text, rank) "
        "VALUES ('integrity-check', 1)",
    )
    rows = run(
        path,
        "SELECT doc_id FROM documents_full_text f JOIN documents d ON d.row_id = f.rowid "
        f"WHERE documents_full_text MATCH '{words}' ORDER BY doc_id",
    )
    return [doc_id for (doc_id,) in rows]


async def test_documents_are_found_by_their_words(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, full_text=True) as sink:
        await sink.write(batch_of([document("a", "On cats."), document("b", "On dogs.")]))
    assert found(path, "cats") == ["a"]
    assert found(path, "on") == ["a", "b"]


async def test_replaced_and_deleted_documents_are_no_longer_found(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    old = [document(str(n), f"cats {n}") for n in range(20)]
    async with SqliteSink(path, full_text=True) as sink:
        await sink.write(batch_of(old))
        new = [document(str(n), f"dogs {n}") for n in range(10)]
        await sink.write(batch_of([*new, *old[15:]], before=Totals(completed=20)))
        assert sink.replaced == 15
    assert len(found(path, "cats")) == 10
    run(
        path, "DELETE FROM documents WHERE row_id % 2 = 0", "UPDATE documents SET source = 'x'"
    )
    assert len(found(path, "cats")) == 5
    run(path, "UPDATE documents SET row_id = row_id + 100", "VACUUM")
    assert found(path, "dogs") == ["0", "2", "4", "6", "8"]


async def test_a_sink_that_does_not_ask_keeps_the_index_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, full_text=True) as sink:
        await sink.write(batch_of([document("a", "cats")]))
    run(path, "VACUUM")
    async with SqliteSink(path, job="other") as sink:
        await sink.write(batch_of([document("a", "dogs"), document("b", "cats")]))
        assert sink.replaced == 1
    assert found(path, "cats") == ["b"]


async def test_rows_that_are_there_already_are_found(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, duplicates="allow") as sink:
        await sink.write(batch_of([document("a", "cats"), document("a", "cats")]))
    async with SqliteSink(path, duplicates="allow", full_text=True):
        pass
    assert found(path, "cats") == ["a", "a"]
    # Once made, it is not made again; a piece that somebody dropped is.
    run(path, "DROP TRIGGER documents_full_text_insert",
        "INSERT INTO documents VALUES (9, 'c', 'feed', 'cats', NULL, '{}')")  # fmt: skip
    async with SqliteSink(path, duplicates="allow", full_text=True):
        pass
    assert found(path, "cats") == ["a", "a", "c"]


async def test_a_rejected_document_leaves_nothing_in_the_index(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    documents = [document(str(n), f"cats {n}") for n in range(50)]
    documents[20] = document("20", "cats", raw="\ud800")
    async with SqliteSink(path, full_text=True) as sink:
        assert len(await sink.write(batch_of(documents))) == 1
    assert len(found(path, "cats")) == 49


async def test_an_index_with_a_tokenizer_of_yours_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path):
        pass
    run(
        path,
        'CREATE VIRTUAL TABLE documents_full_text USING FTS5 (content, content = "documents", '
        "content_rowid='row_id', tokenize=porter)",
    )
    async with SqliteSink(path, full_text=True) as sink:
        await sink.write(batch_of([document("a", "cats")]))
    assert found(path, "cat") == ["a"]


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_sqlite_without_fts5_is_a_setup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, full_text=is_there):
        pass
    monkeypatch.setattr(_full_text, "_MODULE", "fts55")
    with pytest.raises(SetupError, match="was built without FTS5"):
        # With the index there, each insert would fail at its trigger.
        await SqliteSink(path, full_text=not is_there).__aenter__()
