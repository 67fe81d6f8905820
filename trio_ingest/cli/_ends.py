"""The ends of a run, as they are spelled: ``jsonl:PATH`` and ``sqlite:PATH``."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import click

from trio_ingest import SetupError
from trio_ingest.adapters import JsonLinesAdapter
from trio_ingest.sinks import JsonLinesSink, SqliteSink

AnySink: TypeAlias = SqliteSink | JsonLinesSink
Duplicates: TypeAlias = Literal["replace", "keep", "fail"]

_SOURCES: Final = ("jsonl",)
_SINKS: Final = ("sqlite", "jsonl")
_STANDARD_INPUT: Final = "-"


class End(NamedTuple):
    """A source or a sink: which kind, and where it is."""

    kind: str
    path: str


def source_end(_context: click.Context, _parameter: click.Parameter, text: str) -> End:
    """What SOURCE means; refused when it is spelled wrong or cannot be read."""
    end = _split(text, _SOURCES)
    if end.path != _STANDARD_INPUT:
        _check_readable(end.path)
    elif sys.stdin is None:
        raise click.BadParameter("standard input is closed; give a file, or a pipe.")
    return end


def sink_ends(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> tuple[End, ...]:
    """What the SINKs mean; refused when one is spelled wrong, or is no file."""
    ends = tuple(_split(text, _SINKS) for text in texts)
    for kind, path in ends:
        if kind == "sqlite" and (path == ":memory:" or path.startswith("file:")):
            raise click.BadParameter(
                f"{_shortened(path)} means no file to SQLite, or other than it says; "
                f"give a path, with ./ before it if a file is really called so."
            )
        if kind == "jsonl" and path == _STANDARD_INPUT:
            raise click.BadParameter(
                "standard output cannot be cut back when a run is resumed; give a file."
            )
    return ends


# What a sink writes beside the file that it is given.
_BESIDE: Final = {
    "jsonl": ("", ".checkpoint", ".failed", ".lock"),
    "sqlite": ("", "-wal", "-shm", "-journal"),
}


def check_apart(source: End, sinks: Sequence[End]) -> None:
    """Refuse to write to the file that is read, or to one file twice."""
    taken: dict[str, str] = {}
    if source.path != _STANDARD_INPUT:
        taken[os.path.realpath(source.path)] = "SOURCE"
    for sink in sinks:
        mine = [os.path.realpath(f"{sink.path}{ending}") for ending in _BESIDE[sink.kind]]
        for path in mine:
            if taken.get(path) == "SOURCE":
                raise click.UsageError(
                    f"SOURCE and SINK are the same file, {_shortened(path)}, or one that the "
                    f"SINK keeps beside it; give two."
                )
            if path in taken:
                raise click.UsageError(
                    f"Two SINKs are the same file, {_shortened(path)}, or keep it beside "
                    f"theirs; give each its own."
                )
        taken |= dict.fromkeys(mine, "SINK")


def sinks_for(
    ends: Sequence[End], *, job: str, duplicates: Duplicates | None, full_text: bool
) -> list[AnySink]:
    """The sinks that write to ``ends``."""
    if all(end.kind != "sqlite" for end in ends) and (duplicates or full_text):
        raise click.UsageError(
            "--duplicates and --full-text are for sqlite sinks, and there is none; leave "
            "them out."
        )
    try:
        return [
            SqliteSink(
                end.path, duplicates=duplicates or "replace", full_text=full_text, job=job
            )
            if end.kind == "sqlite"
            else JsonLinesSink(end.path)
            for end in ends
        ]
    except SetupError as error:
        raise click.UsageError(str(error)) from error


def job_of(source: End) -> str:
    """What a job is called that nobody has named: as its source, however that is spelled."""
    path = source.path if source.path == _STANDARD_INPUT else os.path.realpath(source.path)
    name = f"{source.kind}:{path}"
    return name if name.isprintable() else ascii(name)


def adapter_for(
    end: End, id_field: str, content_field: str, max_record_bytes: int
) -> JsonLinesAdapter:
    """The adapter that reads ``end``."""
    try:
        return JsonLinesAdapter(
            end.path,
            id_field=id_field,
            content_field=content_field,
            max_record_bytes=max_record_bytes,
        )
    except SetupError as error:
        raise click.UsageError(str(error)) from error


def _split(text: str, kinds: tuple[str, ...]) -> End:
    kind, colon, path = text.partition(":")
    if colon and kind in kinds and path:
        return End(kind, path)
    known = " or ".join(f"{kind}:PATH" for kind in kinds)
    raise click.BadParameter(f"{_shortened(text)} is not of the form {known}.")


def _check_readable(path: str) -> None:
    # Not opened to see: a named pipe would lose its writer when we close it.
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path changes what is raised, by version
    except FileNotFoundError as error:
        raise click.BadParameter(f"the file {_shortened(path)} does not exist.") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.BadParameter(
            f"the file {_shortened(path)} cannot be reached: {why}."
        ) from error
    if stat.S_ISDIR(mode):
        raise click.BadParameter(f"{_shortened(path)} is a directory; give a file.")
    if not os.access(path, os.R_OK):
        raise click.BadParameter(f"the file {_shortened(path)} may not be read by you.")


def _shortened(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
