"""What is said of JSON that is not what it should be."""

from __future__ import annotations

from trio_ingest import IngestError


class DecodeError(IngestError, ValueError):
    """A line is no JSON, or its fields are not those of its type; the message says where."""

    __module__ = "trio_ingest.serialization"
