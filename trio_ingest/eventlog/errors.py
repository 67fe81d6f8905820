"""What a recorder, a replay and a verification say when they cannot go on."""

from __future__ import annotations

from trio_ingest import IngestError


class EventLogError(IngestError):
    """A log of events cannot be written or read; the message says which, where, and why."""
