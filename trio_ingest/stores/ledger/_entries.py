"""The entries of a ledger, one for each document, and all of them a page at a time."""

import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Self, TypeAlias

import attrs

from ._rows import Key, Row, id_of, key_of
from ._transitions import LedgerState

# With more, one query keeps the thread from writing; with fewer, the hop to it shows.
_PAGE: Final = 1000

_ONE: Final = "SELECT * FROM ledger WHERE doc_id = ?"

Query: TypeAlias = Callable[[sqlite3.Connection], list["LedgerEntry"]]


@attrs.frozen(kw_only=True)
class LedgerEntry:
    """The end of a document, over all runs.

    Args:
        doc_id: the document's id; ``"<source>#<record_number>"`` of a record that failed
            before its id was known.
        source: the ``source`` of the adapter that brought it last.
        state: ``completed``, ``failed`` or ``skipped``.
        attempts: the number of attempts, all runs together.
        error_type: the class of the last error, when it failed.
        error: the message of that error, cut at two thousand characters.
        duration_seconds: of work on it, when it was completed.
        updated_at: the time when it came to this state, in seconds since the epoch.
    """

    __module__ = "trio_ingest.stores"

    doc_id: str
    source: str
    state: LedgerState
    attempts: int
    error_type: str | None
    error: str | None
    duration_seconds: float | None
    updated_at: float


class LedgerEntries:
    """The entries of a ledger in the order of their ids, read a page at a time.

    Args:
        run: gives the database's connection to a function.
        state: only those in this state; None for all.

    What changes while it is iterated is met, or not, like the files of a folder.

    Memory: a page of a thousand entries.
    """

    __module__ = "trio_ingest.stores"

    def __init__(
        self,
        run: Callable[[Query], Awaitable[list[LedgerEntry]]],
        state: LedgerState | None,
    ) -> None:
        self._run = run
        self._state = state
        self._page: deque[LedgerEntry] = deque()
        self._after: Key | None = None
        self._is_last = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> LedgerEntry:  # noqa: ASYNC910 -- once a page is enough
        if not self._page and not self._is_last:
            self._page.extend(await self._run(self._read_page))
            self._is_last = len(self._page) < _PAGE
            if self._page:
                self._after = key_of(self._page[-1].doc_id)
        if not self._page:
            raise StopAsyncIteration
        return self._page.popleft()  # noqa: ASYNC910 -- the same

    def _read_page(self, connection: sqlite3.Connection) -> list[LedgerEntry]:
        conditions, values = ["1"], []
        if self._after is not None:
            conditions.append("doc_id > ?")
            values.append(self._after)
        if self._state is not None:
            conditions.append("state = ?")
            values.append(self._state)
        rows = connection.execute(
            f"SELECT * FROM ledger WHERE {' AND '.join(conditions)} "  # noqa: S608 -- ours
            f"ORDER BY doc_id LIMIT {_PAGE}",
            values,
        )
        return [_entry(Row._make(row)) for row in rows]


def entry_of(connection: sqlite3.Connection, doc_id: str) -> LedgerEntry | None:
    """Return the entry of one document, or None when the ledger does not know it."""
    row = connection.execute(_ONE, (key_of(doc_id),)).fetchone()
    return None if row is None else _entry(Row._make(row))


def _entry(row: Row) -> LedgerEntry:
    return LedgerEntry(**{**row._asdict(), "doc_id": id_of(row.doc_id)})
