"""A SQLite database as a sink: one document a row."""

from __future__ import annotations

from ._sink import SqliteSink

__all__ = ["SqliteSink"]
