"""Adapters that ship with trio_ingest: ready-made input sides.

They use only what ``trio_ingest`` exports, so whatever they do, an adapter of
yours can do too. Whatever waits or uses a thread is written on anyio, so they
serve Trio and asyncio alike.
"""

from __future__ import annotations

from .errors import BadFileError, BadLineError
from .files import BadDocumentError, FileRecord, FilesAdapter, FileSkipped
from .jsonl import JsonLinesAdapter, LineRecord

__all__ = [
    "BadDocumentError",
    "BadFileError",
    "BadLineError",
    "FileRecord",
    "FileSkipped",
    "FilesAdapter",
    "JsonLinesAdapter",
    "LineRecord",
]
