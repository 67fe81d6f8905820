"""JSON Lines files and standard input: one document a line."""

from __future__ import annotations

from ._adapter import JsonLinesAdapter
from ._parsing import LineRecord

__all__ = ["JsonLinesAdapter", "LineRecord"]
