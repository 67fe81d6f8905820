"""How a path is shown in a message."""

from __future__ import annotations


def path_text(path: str) -> str:
    """``path``, or its end: the end tells more than the start."""
    return path if len(path) <= 80 else f"…{path[-79:]}"
