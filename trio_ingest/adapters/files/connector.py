"""The kind ``files`` of sources."""

from __future__ import annotations

import os
from typing import Any, Final

import attrs

from trio_ingest import DocumentFailed, PipelineEvent
from trio_ingest.connectors import AdapterConnector, Touches, option

from ._adapter import FilesAdapter, FileSkipped

_EVERY_FILE: Final = "**/*"


@attrs.frozen(kw_only=True)
class FilesOptions:
    """The options of a directory as a source."""

    encoding: str = option("utf-8", help="How bytes become text.", metavar="NAME")
    max_record_bytes: int = option(
        16 * 1024 * 1024,
        help="A longer line or file is a failed document, and is not held in memory.",
        unit="bytes",
        minimum=1,
    )


class FilesAdapterConnector(AdapterConnector):
    """The files below a directory."""

    name = "files"
    form = "DIRECTORY"
    summary = (
        "Each file below a directory is a document. A glob pattern chooses among them, as in "
        "'files:docs/**/*.md'. Pipes, sockets, devices and what may not be read are skipped."
    )
    options = FilesOptions
    resumes = "at the next files of the list, which the checkpoint names"
    order = "sorted by path"
    memory = "1 MiB, the longest file, and the names in the directories on the path"
    events = (FileSkipped,)

    def identity(self, place: str) -> str:
        """Return the directory that links lead to, with the pattern."""
        return os.path.realpath(place)

    def touches(self, place: str) -> Touches:
        """Return the directory, and what the pattern chooses in it."""
        directory, _ = directory_and_pattern(place)
        return Touches(
            folder=directory,
            reads=self.make(place, FilesOptions()).would_read,
            remedy=(
                f"Write to another directory, or choose files with a pattern, as in "
                f"'files:{directory.rstrip('/')}/**/*.txt'."
            ),
        )

    def make(self, place: str, options: Any) -> FilesAdapter:
        """Return an adapter of the directory."""
        directory, pattern = directory_and_pattern(place)
        # With the pattern: two of them in one directory are two sources.
        source = place.encode(errors="backslashreplace").decode()
        return FilesAdapter(directory, pattern=pattern, source=source, **attrs.asdict(options))

    def suits(self, source: str) -> bool:
        """Return whether it is a directory, with a pattern or without."""
        directory, _ = directory_and_pattern(source)
        return os.path.isdir(directory) and not os.path.isfile(source)  # noqa: PTH112, PTH113 -- as typed

    def failure_text(self, failure: DocumentFailed, adapter: Any | None) -> str | None:
        """Return the message of a bad file, with the path to open it by."""
        if not failure.error_type.endswith(".BadDocumentError"):
            return None
        return _with_directory(failure.error, adapter)

    def skipped_text(self, event: PipelineEvent, adapter: Any | None) -> str | None:
        """Return the path of what is no document, and why."""
        if not isinstance(event, FileSkipped):
            return None
        return f"{_with_directory(event.path, adapter)}: {event.reason}."


def directory_and_pattern(place: str) -> tuple[str, str]:
    """Split a place at its first part that is a glob pattern."""
    parts = place.split("/")
    first = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), None)
    if first is None or os.path.isdir(place):  # noqa: PTH112 -- Path changes what is raised
        return place, _EVERY_FILE
    before = "/".join(parts[:first])
    return before or ("/" if first else "."), "/".join(parts[first:])


def _with_directory(path: str, adapter: Any | None) -> str:
    """The path to open a file by; in a replay, what the event has of that."""
    return path if adapter is None else adapter.place_of(path)
