"""The kind ``jsonl`` of sources."""

from __future__ import annotations

import os
import stat
import sys
from typing import Any

import attrs

from trio_ingest import Document, DocumentFailed, SetupError
from trio_ingest.adapters._bytes.opening import STANDARD_INPUT
from trio_ingest.connectors import AdapterConnector, Touches, option

from ._adapter import JsonLinesAdapter


@attrs.frozen(kw_only=True)
class JsonLinesOptions:
    """The options of a JSON Lines source."""

    id_field: str = option("id", help="The field that identifies a document.", metavar="NAME")
    content_field: str = option("text", help="The field that holds its text.", metavar="NAME")
    max_record_bytes: int = option(
        16 * 1024 * 1024,
        help="A longer line or file is a failed document, and is not held in memory.",
        unit="bytes",
        minimum=1,
    )


class JsonLinesAdapterConnector(AdapterConnector):
    """A file of JSON objects, or standard input."""

    name = "jsonl"
    form = "PATH"
    summary = (
        "A file with one JSON object a line, plain or gzip; - is standard input. The other "
        "fields of an object are kept as metadata."
    )
    options = JsonLinesOptions
    resumes = "at its line in a plain file; gzip and pipes are read from their start again"
    order = "as in the file"
    memory = "256 KiB and the longest line"

    def check(self, place: str) -> None:
        """Refuse what is no file that may be read, and a standard input that is closed."""
        if place == STANDARD_INPUT:
            if sys.stdin is None:
                raise SetupError("standard input is closed; give a file, or a pipe.")
            return
        shown = f"{place!r:.80}"
        # Not opened to see: a named pipe would lose its writer when we close it.
        try:
            mode = os.stat(place).st_mode  # noqa: PTH116 - Path changes what is raised, by version
        except FileNotFoundError as error:
            hint = ""
            if set(place) & set("*?["):
                hint = " jsonl: takes one file; give each as a SOURCE of its own."
            raise SetupError(f"the file {shown} does not exist.{hint}") from error
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise SetupError(f"the file {shown} cannot be reached: {why}.") from error
        if stat.S_ISDIR(mode):
            raise SetupError(
                f"{shown} is a directory; give a file, or files:DIRECTORY for the files in it."
            )
        if not os.access(place, os.R_OK):
            raise SetupError(f"the file {shown} may not be read by you.")

    def identity(self, place: str) -> str:
        """Return the file that links lead to."""
        return place if place == STANDARD_INPUT else os.path.realpath(place)

    def touches(self, place: str) -> Touches:
        """Return the one file, or the descriptor of standard input."""
        return Touches(files=(0 if place == STANDARD_INPUT else place,))

    def make(self, place: str, options: Any) -> JsonLinesAdapter:
        """Return an adapter of the file."""
        return JsonLinesAdapter(place, **attrs.asdict(options))

    def suits(self, source: str) -> bool:
        """Return whether it may be a file, though it need not be there any more."""
        return not os.path.isdir(source)  # noqa: PTH112 -- Path changes what is raised

    def failure_text(self, failure: DocumentFailed, adapter: Any | None) -> str | None:
        """Return the message of a bad line, which names its file and line."""
        del adapter
        is_bad_line = failure.error_type.endswith(".BadLineError")
        return failure.error if is_bad_line else None

    def empty_content_hint(self, document: Document, options: Any) -> str | None:
        """Return a hint that the field of the text may have another name."""
        field = options.content_field
        if f'"{field}"' in str(document.raw):
            return None  # it is there, and empty: the name is right
        names = [repr(name) for name in document.metadata][:5]
        there = f" The first has {', '.join(names)}." if names else ""
        return (
            f"Note: no document has a text, in a field {field!r}.{there} Name the right one "
            f"with --content-field."
        )
