"""What a sink says when it cannot take a document, or can take none at all."""

from __future__ import annotations

import attrs

from trio_ingest import Document, IngestError


class SinkError(IngestError):
    """A sink cannot go on: locked, full, or damaged; what it committed stays."""


@attrs.frozen
class Rejection:
    """One document that a sink did not take; the rest of its batch is not affected.

    Args:
        document: the document.
        reason: why, as a sentence.
    """

    document: Document
    reason: str
