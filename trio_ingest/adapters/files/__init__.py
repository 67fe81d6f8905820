"""The files of a directory: one document a file."""

from __future__ import annotations

from ._adapter import FilesAdapter, FileSkipped
from ._reading import FileRecord

__all__ = ["FileRecord", "FileSkipped", "FilesAdapter"]
