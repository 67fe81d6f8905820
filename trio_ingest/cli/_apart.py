"""Nothing is written to a file that is read, or that something else is written to."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import click

from trio_ingest.adapters import FilesAdapter

from ._sinks import files_of
from ._sources import AnyAdapter, directory_and_pattern
from ._spelling import STANDARD_STREAM, End, shortened


def check_apart(
    sources: Sequence[End],
    adapters: Sequence[AnyAdapter],
    sinks: Sequence[End],
    outputs: Mapping[str, str | None],
) -> None:
    """Refuse to write to what is read, or to one file twice.

    Args:
        sources: the SOURCEs.
        adapters: what reads each of them.
        sinks: the SINKs.
        outputs: the paths of options that name a file to write, by option.
    """
    written: dict[str, str] = {}
    for name, paths in _written(sinks, outputs):
        real = {os.path.realpath(path): path for path in paths}
        for resolved, path in real.items():
            for source, adapter in zip(sources, adapters, strict=True):
                _check_unread(resolved, path, name, source, adapter)
            if resolved in written:
                raise click.UsageError(_twice(name, written[resolved], path))
        written |= dict.fromkeys(real, name)


def _written(
    sinks: Sequence[End], outputs: Mapping[str, str | None]
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
    resolved: str, path: str, name: str, source: End, adapter: AnyAdapter
) -> None:
    if source.is_standard_stream:
        return
    if not isinstance(adapter, FilesAdapter):
        if resolved == source.real_path:
            raise click.UsageError(
                f"SOURCE and {name} are the same file, {shortened(path)}, or one that the "
                f"{name} keeps beside it; give two."
            )
        return
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
