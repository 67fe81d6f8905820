"""Errors of adapters that read files; each names the place, so that a person finds it."""

from __future__ import annotations

from trio_ingest import IngestError


class BadDocumentError(IngestError, ValueError):
    """One file is no document; the other files are not affected.

    Args:
        path: the file, relative to the adapter's directory.
        reason: what is wrong with it, as a sentence.
    """

    __module__ = "trio_ingest.adapters"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class _LineError(IngestError, ValueError):
    def __init__(self, path: str, line_number: int, reason: str) -> None:
        super().__init__(path, line_number, reason)
        self.path = path
        self.line_number = line_number
        self.reason = reason


class BadLineError(_LineError):
    """One line of a file is no document; the lines around it are not affected.

    Args:
        path: the file, as the adapter was given it.
        line_number: the line, counted from 1 as editors do.
        reason: what is wrong with it, as a sentence.
    """

    __module__ = "trio_ingest.adapters"

    def __str__(self) -> str:
        return f"{self.path}, line {self.line_number}: {self.reason}"


class BadFileError(_LineError):
    """A file cannot be read any further: truncated or damaged gzip, or UTF-16 or 32.

    Args:
        path: the file, as the adapter was given it.
        line_number: the last line that was read whole, 0 when there was none.
        reason: what is wrong, and what to do, as a sentence.
    """

    __module__ = "trio_ingest.adapters"

    def __str__(self) -> str:
        where = f"after line {self.line_number}" if self.line_number else "line 1"
        return f"{self.path}, {where}: {self.reason}"
