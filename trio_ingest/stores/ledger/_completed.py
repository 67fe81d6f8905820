"""The ids of completed documents, asked for in the middle of a run, in the engine's task."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from typing import Any, Final

from trio_ingest import SetupError
from trio_ingest.delivery import SinkError
from trio_ingest.storage import path_text

from ._rows import key_of

_QUERY: Final = "SELECT 1 FROM ledger WHERE doc_id = ? AND state = 'completed'"

# SQLite takes a lock of its own for each call, where it was built to. An engine in another
# thread than the one that opened the ledger may ask then.
_SERVES_ALL_THREADS: Final = sqlite3.threadsafety == 3


class CompletedIds:
    """Answers ``in`` from a connection of its own that cannot write.

    Args:
        path: the file; its database is in WAL mode, so no writer is waited for.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._ask: Callable[[str, tuple[Any]], sqlite3.Cursor] | None = None

    def open(self) -> None:
        """Open the connection; the database exists."""
        self._connection = sqlite3.connect(
            os.path.join(os.curdir, self._path),  # noqa: PTH118 - as the database does
            # A wait here would hold up the event loop.
            timeout=0,
            isolation_level=None,
            check_same_thread=not _SERVES_ALL_THREADS,
        )
        self._connection.execute("PRAGMA query_only = ON")
        # Asked once, so that whatever is wrong shows now.
        self._connection.execute(_QUERY, ("",)).fetchone()
        self._ask = self._connection.execute

    def close(self) -> None:
        """Close the connection; nothing happens when it is not open."""
        connection, self._connection, self._ask = self._connection, None, None
        if connection is not None:
            connection.close()

    def __contains__(self, doc_id: object) -> bool:
        if self._ask is None:
            raise SetupError(
                f"The ledger {path_text(self._path)} is not open, so it cannot say what is "
                f"completed. Run the pipeline inside `async with SqliteLedger(...)`."
            )
        if not isinstance(doc_id, str):
            return False
        try:
            return self._ask(_QUERY, (doc_id,)).fetchone() is not None
        except UnicodeEncodeError:
            return self._ask(_QUERY, (key_of(doc_id),)).fetchone() is not None
        except sqlite3.Error as error:
            raise SinkError(
                f"The ledger {path_text(self._path)} cannot say what is completed: {error}. "
                f"What was committed before stays, and the job can be resumed."
            ) from error
