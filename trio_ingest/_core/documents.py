"""The parsed result that a pipeline delivers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs


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

    doc_id: str
    source: str
    content: str
    raw: Any = None
    metadata: Mapping[str, Any] = attrs.field(factory=dict)
