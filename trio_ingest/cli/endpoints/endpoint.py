"""How the ends of a run are spelled: a kind, a colon and a path."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, NamedTuple

import click

# Standard input as a source, standard output for what is written beside the sinks.
STANDARD_STREAM: Final = "-"


class Endpoint(NamedTuple):
    """A source or a sink: which kind, and where it is."""

    kind: str
    path: str

    @property
    def is_standard_stream(self) -> bool:
        """Whether it is standard input or output, and no file."""
        return self.path == STANDARD_STREAM

    @property
    def real_path(self) -> str:
        """One spelling of all that mean the same file."""
        return self.path if self.is_standard_stream else os.path.realpath(self.path)


def split(text: str, forms: Mapping[str, str]) -> Endpoint:
    """The end that ``text`` means.

    Args:
        text: as it was given.
        forms: what comes behind the colon, by kind.
    """
    kind, colon, path = text.partition(":")
    if colon and kind in forms and path:
        return Endpoint(kind, _expanded(path))
    known = " or ".join(f"{kind}:{form}" for kind, form in forms.items())
    raise click.BadParameter(f"{shortened(text)} is not of the form {known}.")


def output_path(
    _context: click.Context, parameter: click.Parameter, path: str | None
) -> str | None:
    """Where an option writes to; refused when it is nowhere."""
    if path == "":
        raise click.BadParameter(
            f"{parameter.opts[0]} is empty; give a file, or leave it out."
        )
    return None if path is None else _expanded(path)


def _expanded(path: str) -> str:
    """With a home directory in place of the ``~`` that a shell leaves behind a colon."""
    if path.startswith("~") and not os.path.lexists(path):
        return os.path.expanduser(path)  # noqa: PTH111 -- a Path would change other paths
    return path


def shortened(text: str) -> str:
    """A path in a sentence."""
    shown = repr(text)
    return shown if len(shown) <= 80 else shown[:77] + "..."
