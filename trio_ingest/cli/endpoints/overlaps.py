"""Nothing is written to a file that is read, or that something else is written to."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import click

from trio_ingest import SetupError
from trio_ingest.connectors import Touches

from .endpoint import STANDARD_STREAM, Endpoint, shortened
from .sinks import SinkEndpoint

_Identity: TypeAlias = str | tuple[int, int]


def check_overlaps(
    read: Sequence[Endpoint[Any] | Touches],
    sinks: Sequence[SinkEndpoint],
    outputs: Mapping[str, str | None],
) -> None:
    """Refuse to write to what is read, or to one file or database twice.

    Args:
        read: the SOURCEs, or what they read.
        sinks: the SINKs.
        outputs: the paths of options that name a file to write, by option.
    """
    touched = [_touches(one) if isinstance(one, Endpoint) else one for one in read]
    written: dict[_Identity, str] = {}
    for name, touches in _written(sinks, outputs):
        mine: set[_Identity] = set()
        places = [(place, _identities(place)) for place in touches.files]
        for place, identities in [*places, *_databases(touches)]:
            for source in touched:
                _check_unread(identities, str(place), name, source)
            for identity in identities & set(written):
                raise click.UsageError(_twice(name, written[identity], str(place)))
            mine |= identities
        written |= dict.fromkeys(mine, name)


def _touches(endpoint: Endpoint[Any]) -> Touches:
    try:
        touches = endpoint.ask("touches")
    except SetupError as error:
        raise click.UsageError(str(error)) from error
    if not isinstance(touches, Touches):
        raise click.UsageError(
            f"The kind {endpoint.connector.name!r:.80} does not say what it touches: it gave "
            f"{touches!r:.80}. Tell the author of its package."
        )
    return touches


def _identities(path: str | int) -> set[_Identity]:
    """The identities of a file: its real path, and its number, which links share."""
    found: set[_Identity] = set() if isinstance(path, int) else {os.path.realpath(path)}
    with suppress(OSError, ValueError):
        status = os.stat(path)  # noqa: PTH116 -- a descriptor as well
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return found


def _databases(touches: Touches) -> list[tuple[str, set[_Identity]]]:
    return [(name, {name}) for name in touches.databases]


def _written(
    sinks: Sequence[SinkEndpoint], outputs: Mapping[str, str | None]
) -> Iterator[tuple[str, Touches]]:
    named = [(name, path) for name, path in outputs.items() if path is not None]
    on_standard_output = [name for name, path in named if path == STANDARD_STREAM]
    if len(on_standard_output) > 1:
        raise click.UsageError(
            f"{' and '.join(on_standard_output)} would both write to standard output; give "
            f"one of them a file."
        )
    for sink in sinks:
        yield "SINK", _touches(sink)
    for name, path in named:
        if path != STANDARD_STREAM:
            yield name, Touches(files=[path])


def _check_unread(identities: set[_Identity], path: str, name: str, source: Touches) -> None:
    read: set[_Identity] = set(source.databases)
    for file in source.files:
        read |= _identities(file)
    if read & identities:
        raise click.UsageError(
            f"SOURCE and {name} are the same file, {shortened(path)}, or one that the "
            f"{name} keeps beside it; give two."
        )
    if source.folder is None:
        return
    resolved, folder = os.path.realpath(path), os.path.realpath(source.folder)
    try:
        is_inside = os.path.commonpath([folder, resolved]) == folder
    except ValueError:
        return  # on another drive
    if is_inside and source.reads(os.path.relpath(resolved, folder).replace(os.sep, "/")):
        raise click.UsageError(
            f"{shortened(path)}, which {name} would write, lies among the files that SOURCE "
            f"reads. {source.remedy}"
        )


def _twice(name: str, other: str, path: str) -> str:
    if name == other == "SINK":
        return (
            f"Two SINKs are the same file, {shortened(path)}, or keep it beside theirs; give "
            f"each its own."
        )
    return f"{other} and {name} are the same file, {shortened(path)}; give each its own."
