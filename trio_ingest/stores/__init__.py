"""Stores of what lasts between runs: the checkpoint of a job, the end of each document.

All of these are sinks too: given to ``deliver`` after the sink with the documents, they
keep its checkpoint. They use only what users have, so a store of yours can do the same.
"""

from __future__ import annotations

from .checkpoint_file import FileCheckpointStore
from .checkpoint_sqlite import SqliteCheckpointStore
from .ledger import LedgerEntries, LedgerEntry, LedgerError, LedgerState, SqliteLedger

__all__ = [
    "FileCheckpointStore",
    "LedgerEntries",
    "LedgerEntry",
    "LedgerError",
    "LedgerState",
    "SqliteCheckpointStore",
    "SqliteLedger",
]
