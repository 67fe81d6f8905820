"""The error of a ledger that is asked to contradict itself."""

from __future__ import annotations

from trio_ingest import IngestError


class LedgerError(IngestError):
    """A document cannot go from the state that it has to the one that it was given."""

    __module__ = "trio_ingest.stores"
