"""Sinks that ship with trio_ingest: places where a consumer puts documents.

They use only what ``trio_ingest`` and its shared rooms export, so a sink of yours can do all
that they do. They are written on anyio, so they serve Trio and asyncio alike.
"""

from __future__ import annotations

from .jsonl import JsonLinesSink
from .sqlite import SqliteSink

__all__ = ["JsonLinesSink", "SqliteSink"]
