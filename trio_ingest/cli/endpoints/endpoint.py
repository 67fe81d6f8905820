"""The spelling of sources and sinks: a kind, a colon and a place; or MODULE:NAME."""

from __future__ import annotations

import os
from typing import Any, Final, Generic, TypeVar

import attrs
import click

from trio_ingest import SetupError
from trio_ingest.cli.terminal.error_messages import exception_text
from trio_ingest.connectors import Connector, Connectors

from . import user_code

# Standard input as a source, standard output for what is written beside the sinks.
STANDARD_STREAM: Final = "-"

Kind = TypeVar("Kind", bound=Connector)


@attrs.frozen
class Endpoint(Generic[Kind]):
    """A source or a sink as it was given: which kind, and where it is."""

    connector: Kind
    place: str

    @property
    def identity(self) -> str:
        """One spelling of all that mean the same place."""
        name, place = self.connector.name, self.ask("identity")
        return f"{name}:{place}" if name else str(place)

    def ask(self, method: str, *arguments: Any) -> Any:
        """Return what the kind answers for this place.

        Raises:
            SetupError: its own, or about a kind of another package that failed.
        """
        try:
            return getattr(self.connector, method)(self.place, *arguments)
        except SetupError:
            raise
        except Exception as error:
            if is_ours(self.connector):
                raise
            raise SetupError(
                f"The kind {self.connector.name!r:.80} failed in {method}: "
                f"{exception_text(error)}. Tell the author of its package."
            ) from error


def endpoint_of(text: str, kinds: Connectors[Kind], user_kind: Kind) -> Endpoint[Kind]:
    """Return the source or sink that ``text`` spells.

    Args:
        text: as it was given.
        kinds: those that are installed.
        user_kind: the kind that stands for MODULE:NAME.

    Raises:
        click.BadParameter: it is spelled wrong, or the place cannot be meant.
    """
    name, colon, place = text.partition(":")
    known = " or ".join(kind.spelling for kind in kinds.values())
    if name in kinds.broken:
        raise click.BadParameter(f"the kind {name} cannot be used: {kinds.broken[name]}")
    if colon and place and name in kinds:
        connector, place = kinds[name], _expanded(place)
    elif user_code.SPELLING.fullmatch(text):
        connector, place = user_kind, text
    else:
        raise click.BadParameter(
            f"{shortened(text)} is not of the form {known} or {user_kind.spelling}."
        )
    endpoint = Endpoint(connector, place)
    try:
        endpoint.ask("check")
    except SetupError as error:
        if connector is not user_kind:
            raise click.BadParameter(str(error)) from error
        raise click.BadParameter(
            f"there is no kind {name} here, so {shortened(text)} is not of the form {known}. "
            f"As {user_kind.spelling}: {error}"
        ) from error
    return endpoint


def is_ours(connector: Connector) -> bool:
    """Return whether a kind comes with this package, and is no code of a user."""
    return bool(connector.name) and type(connector).__module__.startswith("trio_ingest.")


def output_path(
    _context: click.Context, parameter: click.Parameter, path: str | None
) -> str | None:
    """Return where an option writes to; refused when it is nowhere."""
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
