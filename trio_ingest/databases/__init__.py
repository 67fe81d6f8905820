"""What sinks and stores on a database share; of use to a sink of yours as well.

``_owner`` is a thread that owns what may be touched from one thread only, ``_sqlite`` a
SQLite file behind such a thread, ``_lock`` keeps a second run away, ``_replace`` replaces
a small file in one step, ``checkpoint_table`` is where a database keeps its checkpoints.
"""

from __future__ import annotations

from . import checkpoint_table
from ._lock import FileLock
from ._owner import OwnerThread
from ._paths import shortened
from ._replace import replace_file, sync_folder, write_all
from ._sqlite import SqliteDatabase, transaction

__all__ = [
    "FileLock",
    "OwnerThread",
    "SqliteDatabase",
    "checkpoint_table",
    "replace_file",
    "shortened",
    "sync_folder",
    "transaction",
    "write_all",
]
