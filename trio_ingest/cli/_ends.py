"""The two ends of a run, as they are spelled: ``jsonl:PATH`` and ``sqlite:PATH``."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from typing import Final, NamedTuple

import click

from trio_ingest import SetupError
from trio_ingest.adapters import JsonLinesAdapter

_SOURCES: Final = ("jsonl",)
_SINKS: Final = ("sqlite",)
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


def sink_end(_context: click.Context, _parameter: click.Parameter, text: str) -> End:
    """What SINK means; refused when it is spelled wrong, or is no file."""
    end = _split(text, _SINKS)
    if end.path == ":memory:" or end.path.startswith("file:"):
        raise click.BadParameter(
            f"{_shortened(end.path)} means no file to SQLite, or other than it says; "
            f"give a path, with ./ before it if a file is really called so."
        )
    return end


def check_apart(source: End, sink: End) -> None:
    """Refuse to write to the file that is read."""
    try:
        is_same = Path(source.path).samefile(sink.path)
    except (OSError, ValueError):
        # One of them does not exist yet, or is explained elsewhere.
        return
    if is_same:
        raise click.UsageError(
            f"SOURCE and SINK are the same file, {_shortened(sink.path)}; give two."
        )


def adapter_for(end: End, id_field: str, content_field: str) -> JsonLinesAdapter:
    """The adapter that reads ``end``."""
    try:
        return JsonLinesAdapter(end.path, id_field=id_field, content_field=content_field)
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
