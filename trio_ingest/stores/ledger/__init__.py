"""The ledger: the end of each document, kept over all runs."""

from __future__ import annotations

from ._entries import LedgerEntries, LedgerEntry
from ._ledger import SqliteLedger
from ._transitions import LedgerState
from .errors import LedgerError

__all__ = ["LedgerEntries", "LedgerEntry", "LedgerError", "LedgerState", "SqliteLedger"]
