"""What a SOURCE means: ``jsonl:PATH`` and ``files:DIRECTORY``."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Sequence
from typing import Final, TypeAlias

import attrs
import click

from trio_ingest import SetupError
from trio_ingest.adapters import FilesAdapter, JsonLinesAdapter

from .endpoint import Endpoint, shortened, split

AnyAdapter: TypeAlias = JsonLinesAdapter | FilesAdapter

_FORMS: Final = {"jsonl": "PATH", "files": "DIRECTORY"}
_EVERY_FILE: Final = "**/*"


@attrs.frozen(kw_only=True)
class Reading:
    """How the sources are read."""

    id_field: str = "id"
    content_field: str = "text"
    encoding: str | None = None
    max_record_bytes: int = 16 * 1024 * 1024


def source_ends(
    _context: click.Context, _parameter: click.Parameter, texts: Sequence[str]
) -> tuple[Endpoint, ...]:
    """What the SOURCEs mean; refused when one is spelled wrong or cannot be read."""
    ends = tuple(split(text, _FORMS) for text in texts)
    for end in ends:
        if end.kind == "files":
            continue  # the adapter looks at the directory
        if not end.is_standard_stream:
            _check_readable(end.path)
        elif sys.stdin is None:
            raise click.BadParameter("standard input is closed; give a file, or a pipe.")
    real = [(end.kind, end.real_path) for end in ends]
    for end, place in zip(ends, real, strict=True):
        if real.count(place) > 1:
            raise click.BadParameter(f"{shortened(end.path)} is given twice; give it once.")
    return ends


def adapters_for(ends: Sequence[Endpoint], reading: Reading) -> list[AnyAdapter]:
    """The adapters that read ``ends``."""
    if reading.encoding is not None and all(end.kind != "files" for end in ends):
        raise click.UsageError(
            "--encoding is for files: sources, and there is none; JSON Lines is UTF-8. Leave "
            "it out."
        )
    try:
        return [_adapter_for(end, reading) for end in ends]
    except SetupError as error:
        raise click.UsageError(str(error)) from error


def job_of(ends: Sequence[Endpoint]) -> str:
    """What a job is called that nobody has named: as its sources, however they are spelled."""
    name = " ".join(sorted(f"{end.kind}:{end.real_path}" for end in ends))
    return name if name.isprintable() else ascii(name)


def directory_and_pattern(path: str) -> tuple[str, str]:
    """Where a glob pattern begins: at the first part of the path that is one."""
    parts = path.split("/")
    place = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), None)
    if place is None or os.path.isdir(path):  # noqa: PTH112 -- Path changes what is raised
        return path, _EVERY_FILE
    before = "/".join(parts[:place])
    return before or ("/" if place else "."), "/".join(parts[place:])


def _adapter_for(end: Endpoint, reading: Reading) -> AnyAdapter:
    if end.kind == "files":
        directory, pattern = directory_and_pattern(end.path)
        return FilesAdapter(
            directory,
            pattern=pattern,
            encoding=reading.encoding or "utf-8",
            max_record_bytes=reading.max_record_bytes,
            # With the pattern: two of them in one directory are two sources.
            source=end.path.encode(errors="backslashreplace").decode(),
        )
    return JsonLinesAdapter(
        end.path,
        id_field=reading.id_field,
        content_field=reading.content_field,
        max_record_bytes=reading.max_record_bytes,
    )


def _check_readable(path: str) -> None:
    # Not opened to see: a named pipe would lose its writer when we close it.
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - Path changes what is raised, by version
    except FileNotFoundError as error:
        hint = ""
        if set(path) & set("*?["):
            hint = " jsonl: takes one file; give each as a SOURCE of its own."
        raise click.BadParameter(
            f"the file {shortened(path)} does not exist.{hint}"
        ) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise click.BadParameter(
            f"the file {shortened(path)} cannot be reached: {why}."
        ) from error
    if stat.S_ISDIR(mode):
        raise click.BadParameter(
            f"{shortened(path)} is a directory; give a file, or files:DIRECTORY for the files "
            f"in it."
        )
    if not os.access(path, os.R_OK):
        raise click.BadParameter(f"the file {shortened(path)} may not be read by you.")
