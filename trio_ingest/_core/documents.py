"""The parsed result that a pipeline delivers."""

from collections.abc import Mapping
from typing import Any

import attrs

from .reprs import one_line


@attrs.frozen
class Document:
    """One parsed document, as an adapter's ``parse`` returns it.

    Args:
        doc_id: its identity within the catalogue; a ``parse`` that returns
            anything but a string here makes the record a failed document.
        source: the ``source`` of the adapter it came from.
        content: the text.
        raw: the record it was parsed from, or whatever should be kept of it.
        metadata: anything else; shallow: the engine never copies or changes it.
    """

    __module__ = "trio_ingest"

    doc_id: str = attrs.field(repr=one_line)
    source: str = attrs.field(repr=one_line)
    content: str = attrs.field(repr=one_line)
    raw: Any = attrs.field(default=None, repr=one_line)
    metadata: Mapping[str, Any] = attrs.field(factory=dict, repr=one_line)
