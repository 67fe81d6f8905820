"""The proof that the demo's database has each document exactly once."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path
from typing import Final

import attrs

# What many know of, and where, so that they can judge what is found.
_QUERY: Final = '"Mersenne Twister"'


@attrs.frozen(kw_only=True)
class Proof:
    """The content of the database, beside what should be there.

    Args:
        rows: of the table ``documents``.
        distinct: ids among them.
        missing: ids that should be there and are not.
        surplus: ids that are there and should not be.
        failed: the dead letters, as file and reason.
        query: what was searched for.
        hits: what was found, as id and piece of text, the best first.
    """

    rows: int
    distinct: int
    missing: Collection[str]
    surplus: Collection[str]
    failed: list[tuple[str, str]]
    query: str
    hits: list[tuple[str, str]]

    def faults(self, good: Collection[str], bad: Collection[str]) -> list[str]:
        """The sentences about what does not add up, as sentences; empty when all is well.

        Args:
            good: the files that are text.
            bad: those that are not.
        """
        faults = []
        if self.missing:
            faults.append(f"These documents are missing: {_some(self.missing)}.")
        if self.surplus:
            faults.append(f"These documents should not be there: {_some(self.surplus)}.")
        if self.rows != len(good) or self.distinct != self.rows:
            faults.append(
                f"There are {self.rows:,} documents with {self.distinct:,} ids, where "
                f"{len(good):,} were expected."
            )
        if sorted(doc_id for doc_id, _ in self.failed) != sorted(bad):
            faults.append(
                f"Kept as failed are {len(self.failed):,}, and of the files {len(bad):,} are "
                f"not UTF-8."
            )
        if not self.hits:
            faults.append(f"The search for {self.query} found nothing.")
        return faults


def look_at(database: Path, good: Collection[str]) -> Proof:
    """Read what a demo has left.

    Args:
        database: the file.
        good: the ids that it should have.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    with closing(_read_only(database)) as connection:
        ids = [doc_id for (doc_id,) in connection.execute("SELECT doc_id FROM documents")]
        failed = connection.execute("SELECT doc_id, error FROM trio_ingest_dead_letters")
        hits = connection.execute(
            "SELECT doc_id, snippet(documents_full_text, 0, '', '', ' … ', 12) "
            "FROM documents_full_text JOIN documents ON documents.rowid = "
            "documents_full_text.rowid WHERE documents_full_text MATCH ? "
            "ORDER BY bm25(documents_full_text), doc_id LIMIT 3",
            (_QUERY,),
        )
        return Proof(
            rows=len(ids),
            distinct=len(set(ids)),
            missing=sorted(set(good) - set(ids)),
            surplus=sorted(set(ids) - set(good)),
            failed=failed.fetchall(),
            query=_QUERY,
            hits=[(doc_id, " ".join(text.split())) for doc_id, text in hits],
        )


def stored(database: Path) -> int:
    """Return the count of documents now; 0 while there is no database."""
    try:
        with closing(_read_only(database)) as connection:
            [(count,)] = connection.execute("SELECT count(*) FROM documents")
    except sqlite3.OperationalError:
        return 0
    return int(count)


def _read_only(database: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{database.resolve().as_uri()}?mode=ro", uri=True)


def _some(names: Collection[str]) -> str:
    more = len(names) - 3
    return ", ".join(sorted(names)[:3]) + (f" and {more:,} more" if more > 0 else "")
