"""Files and databases as sinks, stores and logs need them; of use to a sink of yours too.

``_thread_resource`` has the bases of sinks and stores that open something in a thread of
their own, ``_owner_thread`` that thread, ``_sqlite`` a SQLite file for it, ``_job_database``
one that keeps the checkpoint of a job. ``_locks`` keep a second run away, ``_atomic_file``
replaces a small file in one step, ``_json_lines_file`` is a log that grows and survives a
crash, ``checkpoint_table`` keeps the checkpoints of a database.
"""

from __future__ import annotations

from . import checkpoint_table
from ._atomic_file import replace_file, sync_folder, write_all
from ._gzip_tail import Inflated, is_whole
from ._job_database import JobDatabase
from ._json_lines_file import JsonLinesFile, OutputClosedError
from ._locks import FileLock
from ._owner_thread import OwnerThread
from ._paths import absolute_path, checked_path, path_text
from ._sqlite import SqliteDatabase, transaction
from ._thread_resource import Resource, StateResource, ThreadResource, ThreadSink

__all__ = [
    "FileLock",
    "Inflated",
    "JobDatabase",
    "JsonLinesFile",
    "OutputClosedError",
    "OwnerThread",
    "Resource",
    "SqliteDatabase",
    "StateResource",
    "ThreadResource",
    "ThreadSink",
    "absolute_path",
    "checked_path",
    "checkpoint_table",
    "is_whole",
    "path_text",
    "replace_file",
    "sync_folder",
    "transaction",
    "write_all",
]
