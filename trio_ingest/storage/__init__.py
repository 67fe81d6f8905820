"""Files and databases as sinks, stores and logs need them; of use to a sink of yours too.

``_owner_thread`` is a thread that owns what may be touched from one thread only, ``_sqlite``
a SQLite file behind such a thread, ``_locks`` keep a second run away, ``_atomic_file``
replaces a small file in one step, ``_json_lines_file`` is a log that grows and survives a
crash, ``checkpoint_table`` is where a database keeps its checkpoints.
"""

from __future__ import annotations

from . import checkpoint_table
from ._atomic_file import replace_file, sync_folder, write_all
from ._gzip_tail import Inflated
from ._json_lines_file import JsonLinesFile, OutputClosedError
from ._locks import FileLock
from ._owner_thread import OwnerThread
from ._paths import path_text
from ._sqlite import SqliteDatabase, transaction
from ._torn import is_whole

__all__ = [
    "FileLock",
    "Inflated",
    "JsonLinesFile",
    "OutputClosedError",
    "OwnerThread",
    "SqliteDatabase",
    "checkpoint_table",
    "is_whole",
    "path_text",
    "replace_file",
    "sync_folder",
    "transaction",
    "write_all",
]
