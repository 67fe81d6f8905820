"""Adapters that ship with trio_ingest: ready-made input sides.

They use only what ``trio_ingest`` exports, so an adapter of yours can do what they do.
Waiting and threads go through anyio, so they serve Trio and asyncio alike.

A kind is a folder (``jsonl``, ``files``); ``errors`` are those of all kinds that read files,
and ``_bytes`` is below them: opening, decompressing, lines, positions.
"""

from __future__ import annotations

from .errors import BadDocumentError, BadFileError, BadLineError
from .files import FileRecord, FilesAdapter, FileSkipped
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
