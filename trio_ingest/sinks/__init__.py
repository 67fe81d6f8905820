"""Sinks that ship with trio_ingest: places where a consumer puts documents.

They use only what ``trio_ingest`` exports, so whatever they do, a sink of
yours can do too. Whatever waits or uses a thread is written on anyio, so they
serve Trio and asyncio alike.
"""

from __future__ import annotations

from .errors import Rejection, SinkError
from .sqlite import SqliteSink

__all__ = ["Rejection", "SinkError", "SqliteSink"]
