"""The error of recorders, replays and verifications."""

from __future__ import annotations

from trio_ingest import IngestError


class EventLogError(IngestError):
    """A log of events cannot be written or read; the message says which, where, and why."""

    __module__ = "trio_ingest.eventlog"
