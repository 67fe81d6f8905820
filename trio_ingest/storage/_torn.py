"""Whether the last line of a log is all there, though it was never ended."""

from __future__ import annotations

import json


def is_whole(line: bytes) -> bool:
    """Whether a line without its end is all there: an object is closed by its last byte."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False
