"""The kind ``sqlite`` of sinks."""

from __future__ import annotations

import os
from typing import Any, Literal

import attrs

from trio_ingest import SetupError
from trio_ingest.connectors import SinkConnector, Touches, option

from ._sink import SqliteSink


@attrs.frozen(kw_only=True)
class SqliteOptions:
    """The options of a database as a sink."""

    duplicates: Literal["replace", "keep", "fail"] = option(
        "replace",
        help="What becomes of a document whose id is in the database already.",
    )
    full_text: bool = option(False, help="Keep a full-text index in the database.")  # noqa: FBT003 -- a default


class SqliteSinkConnector(SinkConnector):
    """The table ``documents`` of a SQLite file."""

    name = "sqlite"
    form = "PATH"
    summary = "A SQLite database, with a row for each document in its table documents."
    options = SqliteOptions
    guarantee = "exactly-once"

    def check(self, place: str) -> None:
        """Refuse what SQLite takes for something else than a file."""
        if place == ":memory:" or place.startswith("file:"):
            raise SetupError(
                f"{place!r:.80} means no file to SQLite, or other than it says; "
                f"give a path, with ./ before it if a file is really called so."
            )

    def identity(self, place: str) -> str:
        """Return the file that links lead to."""
        return os.path.realpath(place)

    def touches(self, place: str) -> Touches:
        """Return the file, and those that SQLite keeps beside it."""
        endings = ("", "-wal", "-shm", "-journal")
        return Touches(files=[f"{place}{ending}" for ending in endings])

    def make(self, place: str, options: Any, job: str) -> SqliteSink:
        """Return a sink for the file."""
        return SqliteSink(place, job=job, **attrs.asdict(options))

    def failures_place(self, place: str) -> str:
        """Return the table of the database."""
        return f"{place}, table trio_ingest_dead_letters"

    def other_job_remedy(self, place: str, sources: str) -> str:
        """Return that a database has room for several jobs."""
        del place, sources
        return "or give this job a --job of its own"
