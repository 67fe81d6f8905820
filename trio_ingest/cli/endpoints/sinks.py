"""What a SINK means: ``sqlite:PATH`` and ``jsonl:PATH``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import attrs
import click

from trio_ingest import SetupError
from trio_ingest.sinks import JsonLinesSink, SqliteSink

from .endpoint import Endpoint, shortened, split

AnySink: TypeAlias = SqliteSink | JsonLinesSink
Duplicates: TypeAlias = Literal["replace", "keep", "fail"]

_FORMS: Final = {"sqlite": "PATH", "jsonl": "PATH"}

# What a sink writes beside the file that it is given.
_BESIDE: Final = {
    "jsonl": ("", ".checkpoint", ".failed", ".lock"),
    "sqlite": ("", "-wal", "-shm", "-journal"),
}


@attrs.frozen
class Destination:
    """A sink, and how a person calls it.

    Args:
        sink: not yet open.
        path: as it was given.
    """

    sink: AnySink
    path: str

    @property
    def is_database(self) -> bool:
        """Whether several jobs share it, and documents stay there when one begins again."""
        return isinstance(self.sink, SqliteSink)

    @property
    def dead_letters(self) -> str:
        """Where it keeps failed records and rejected documents."""
        if self.is_database:
            return f"{self.path}, table trio_ingest_dead_letters"
        return f"{self.path}.failed"


def sink_ends(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> tuple[Endpoint, ...]:
    """What the SINKs mean; refused when one is spelled wrong, or is no file."""
    ends = tuple(split(text, _FORMS) for text in texts)
    for end in ends:
        kind, path = end
        if kind == "sqlite" and (path == ":memory:" or path.startswith("file:")):
            raise click.BadParameter(
                f"{shortened(path)} means no file to SQLite, or other than it says; "
                f"give a path, with ./ before it if a file is really called so."
            )
        if kind == "jsonl" and end.is_standard_stream:
            raise click.BadParameter(
                "standard output cannot be cut back when a run is resumed; give a file. "
                "Documents can be read from --events -."
            )
    return ends


def files_of(end: Endpoint) -> list[str]:
    """The files that a sink writes."""
    return [f"{end.path}{ending}" for ending in _BESIDE[end.kind]]


def destinations_for(
    ends: Sequence[Endpoint], *, job: str, duplicates: Duplicates | None, full_text: bool
) -> list[Destination]:
    """The sinks that write to ``ends``."""
    if all(end.kind != "sqlite" for end in ends) and (duplicates or full_text):
        raise click.UsageError(
            "--duplicates and --full-text are for sqlite sinks, and there is none; leave "
            "them out."
        )
    try:
        return [
            Destination(
                SqliteSink(
                    end.path, duplicates=duplicates or "replace", full_text=full_text, job=job
                )
                if end.kind == "sqlite"
                else JsonLinesSink(end.path),
                end.path,
            )
            for end in ends
        ]
    except SetupError as error:
        raise click.UsageError(str(error)) from error
