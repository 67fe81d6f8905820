"""Nothing is written to a file that is read, or that something else is written to."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import click

from trio_ingest.adapters import FilesAdapter

from .endpoint import STANDARD_STREAM, Endpoint, shortened
from .sinks import files_of
from .sources import AnyAdapter, directory_and_pattern

_Identity: TypeAlias = str | tuple[int, int]

_STANDARD_INPUT: Final = 0


def check_overlaps(
    sources: Sequence[Endpoint],
    adapters: Sequence[AnyAdapter],
    sinks: Sequence[Endpoint],
    outputs: Mapping[str, str | None],
) -> None:
    """Refuse to write to what is read, or to one file twice.

    Args:
        sources: the SOURCEs.
        adapters: what reads each of them.
        sinks: the SINKs.
        outputs: the paths of options that name a file to write, by option.
    """
    written: dict[_Identity, str] = {}
    for name, paths in _written(sinks, outputs):
        mine: set[_Identity] = set()
        for path in paths:
            identities = _identities(path)
            for source, adapter in zip(sources, adapters, strict=True):
                _check_unread(identities, path, name, source, adapter)
            for identity in identities & set(written):
                raise click.UsageError(_twice(name, written[identity], path))
            mine |= identities
        written |= dict.fromkeys(mine, name)


def _identities(path: str | int) -> set[_Identity]:
    """What tells a file from others: its real path, and its number, which links share."""
    found: set[_Identity] = set() if isinstance(path, int) else {os.path.realpath(path)}
    with suppress(OSError, ValueError):
        status = os.stat(path)  # noqa: PTH116 -- a descriptor as well
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return found


def _written(
    sinks: Sequence[Endpoint], outputs: Mapping[str, str | None]
) -> list[tuple[str, list[str]]]:
    named = [(name, path) for name, path in outputs.items() if path is not None]
    on_standard_output = [name for name, path in named if path == STANDARD_STREAM]
    if len(on_standard_output) > 1:
        raise click.UsageError(
            f"{' and '.join(on_standard_output)} would both write to standard output; give "
            f"one of them a file."
        )
    files = [(name, [path]) for name, path in named if path != STANDARD_STREAM]
    return [*(("SINK", files_of(sink)) for sink in sinks), *files]


def _check_unread(
    identities: set[_Identity], path: str, name: str, source: Endpoint, adapter: AnyAdapter
) -> None:
    if not isinstance(adapter, FilesAdapter):
        read = _identities(_STANDARD_INPUT if source.is_standard_stream else source.path)
        if read & identities:
            raise click.UsageError(
                f"SOURCE and {name} are the same file, {shortened(path)}, or one that the "
                f"{name} keeps beside it; give two."
            )
        return
    resolved = os.path.realpath(path)
    given, _ = directory_and_pattern(source.path)
    directory = os.path.realpath(given)
    try:
        is_inside = os.path.commonpath([directory, resolved]) == directory
    except ValueError:
        return  # on another drive
    if is_inside and adapter.would_read(
        os.path.relpath(resolved, directory).replace(os.sep, "/")
    ):
        raise click.UsageError(
            f"{shortened(path)}, which {name} would write, lies among the files that SOURCE "
            f"reads. Write to another directory, or choose files with a pattern, as in "
            f"'files:{given.rstrip('/')}/**/*.txt'."
        )


def _twice(name: str, other: str, path: str) -> str:
    if name == other == "SINK":
        return (
            f"Two SINKs are the same file, {shortened(path)}, or keep it beside theirs; give "
            f"each its own."
        )
    return f"{other} and {name} are the same file, {shortened(path)}; give each its own."
