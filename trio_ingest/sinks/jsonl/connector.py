"""The kind ``jsonl`` of sinks."""

from __future__ import annotations

import os
from typing import Any

from trio_ingest import SetupError
from trio_ingest.connectors import SinkConnector, Touches

from ._sink import JsonLinesSink


class JsonLinesSinkConnector(SinkConnector):
    """A file of JSON objects."""

    name = "jsonl"
    form = "PATH"
    summary = (
        "A file with one JSON object a line; it belongs to one job. Beside it are "
        "PATH.checkpoint, PATH.failed and PATH.lock."
    )
    guarantee = "exactly-once"
    restart_empties = True

    def check(self, place: str) -> None:
        """Refuse standard output, which cannot be cut back."""
        if place == "-":
            raise SetupError(
                "standard output cannot be cut back when a run is resumed; give a file. "
                "Documents can be read from --events -."
            )

    def identity(self, place: str) -> str:
        """Return the file that links lead to."""
        return os.path.realpath(place)

    def touches(self, place: str) -> Touches:
        """Return the file, and those that are kept beside it."""
        endings = ("", ".checkpoint", ".failed", ".lock")
        return Touches(files=[f"{place}{ending}" for ending in endings])

    def make(self, place: str, options: Any, job: str) -> JsonLinesSink:
        """Return a sink for the file; the name of the job is not needed."""
        del options, job
        return JsonLinesSink(place)

    def failures_place(self, place: str) -> str:
        """Return the file beside it."""
        return f"{place}.failed"

    def other_job_remedy(self, place: str, sources: str) -> str:
        """Return that a file has one job."""
        return (
            f"or give another path; or, to have {sources} in its place, delete {place} and "
            f"{place}.checkpoint"
        )
