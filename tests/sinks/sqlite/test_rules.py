"""Rules of somebody else's table: constraints and triggers reject documents one by one."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document
from trio_ingest.delivery import Totals
from trio_ingest.sinks import SqliteSink


def made(path: Path, script: str) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(script)
    connection.close()


def asked(path: Path, statement: str) -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()


RULES = """
CREATE TABLE documents (
    doc_id TEXT PRIMARY KEY, source, content CHECK (content <> ''), raw,
    metadata, number INTEGER DEFAULT 7 UNIQUE ON CONFLICT {conflict}
);
CREATE TABLE notes (doc_id);
CREATE TRIGGER rules AFTER INSERT ON documents WHEN new.content = 'bad' BEGIN
    INSERT INTO notes VALUES (new.doc_id);
    SELECT RAISE({action}, 'we do not take that');
END;
"""


@pytest.mark.parametrize("action", ["ABORT", "FAIL", "ROLLBACK"])
@pytest.mark.parametrize("bad", [{2}, {0}, {4}, {1, 2, 3}])
async def test_a_rule_of_somebody_elses_table_rejects_its_document_alone(
    tmp_path: Path, action: str, bad: set[int]
) -> None:
    path = tmp_path / "documents.db"
    rules = RULES.format(action=action, conflict="ABORT").replace(" UNIQUE", "")
    made(path, rules.replace(" ON CONFLICT ABORT", ""))
    documents = [document(str(n), "bad" if n in bad else "good") for n in range(5)]
    async with SqliteSink(path) as sink:
        rejections = await sink.write(batch_of([*documents, document("5", "")]))
        assert sink.replaced == 0
        delivered = await sink.load()
    assert {int(r.document.doc_id) for r in rejections} == {*bad, 5}
    reasons = [r.reason for r in rejections]
    assert reasons.count("the table does not take it: we do not take that.") == len(bad)
    assert [r for r in reasons if "CHECK constraint failed" in r] != []
    assert asked(path, "SELECT doc_id FROM documents ORDER BY doc_id") == [
        (str(n),) for n in range(5) if n not in bad
    ]
    assert asked(path, "SELECT * FROM notes") == []
    assert delivered is not None
    assert delivered.totals.rejected == len(bad) + 1


async def test_a_constraint_that_rolls_all_back_rejects_its_document_alone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "documents.db"
    made(path, RULES.format(action="ABORT", conflict="ROLLBACK"))
    async with SqliteSink(path) as sink:
        names = "abc"
        rejections = await sink.write(batch_of([document(name) for name in names]))
    # All of them have the same default number, so there can be one only.
    assert [r.document.doc_id for r in rejections] == ["b", "c"]
    assert asked(path, "SELECT doc_id, number FROM documents") == [("a", 7)]


async def test_a_document_that_may_not_be_replaced_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write(batch_of([document("a", "old"), document("b", "old")]))
        made(
            path,
            "CREATE TRIGGER rules BEFORE UPDATE ON documents WHEN old.doc_id = 'a' "
            "BEGIN SELECT RAISE(ABORT, 'a is final'); END",
        )
        new = [document("a", "new"), document("b", "new")]
        [rejection] = await sink.write(batch_of(new, before=Totals(completed=2)))
        assert sink.replaced == 1
    assert rejection.reason == "the table does not take it: a is final."
    found = asked(path, "SELECT doc_id, content FROM documents ORDER BY doc_id")
    assert found == [("a", "old"), ("b", "new")]
