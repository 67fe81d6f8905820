"""The error of a sink that can take nothing more."""

from __future__ import annotations

from trio_ingest import IngestError


class SinkError(IngestError):
    """A sink cannot go on: locked, full, damaged, or in use; what it committed stays."""

    __module__ = "trio_ingest.delivery"
