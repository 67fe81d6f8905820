"""``trio-ingest adapters`` and ``trio-ingest sinks``: the kinds that are installed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import click

from trio_ingest.cli.endpoints.user_code import USER_ADAPTER, USER_SINK
from trio_ingest.connectors import (
    AdapterConnector,
    Connector,
    Connectors,
    Option,
    SinkConnector,
    adapter_connectors,
    options_of,
    sink_connectors,
)

_WIDTH = 95


@click.command("adapters", short_help="List the kinds of SOURCE.")
def adapters_command() -> None:
    """List the kinds of SOURCE that are installed, with their options.

    Any package can add one: it names a class in its entry points, in the group
    trio_ingest.adapters.
    """
    _list_kinds(adapter_connectors(), USER_ADAPTER)


@click.command("sinks", short_help="List the kinds of SINK.")
def sinks_command() -> None:
    """List the kinds of SINK that are installed, with their options.

    Any package can add one: it names a class in its entry points, in the group
    trio_ingest.sinks.
    """
    _list_kinds(sink_connectors(), USER_SINK)


def facts_of(kind: Connector) -> Iterator[tuple[str, str]]:
    """Give what a kind says of itself beside its summary, each with a word for it."""
    if isinstance(kind, AdapterConnector):
        yield "resumes", kind.resumes
        yield "order", kind.order
        yield "memory", kind.memory
    if isinstance(kind, SinkConnector):
        yield "guarantee", kind.guarantee
        yield "--restart", "empties it" if kind.restart_empties else "keeps the documents"


def option_text(one: Option) -> tuple[str, str]:
    """Return the spelling of an option, and what it does."""
    spelling = one.flag if one.type is bool else f"{one.flag} {one.metavar}"
    unit = f" In {one.unit}." if one.unit else ""
    default = "" if one.type is bool or one.default is None else f" Default: {one.default}."
    return spelling, f"{one.help}{unit}{default}"


def _list_kinds(kinds: Connectors[Connector], user_kind: Connector) -> None:
    for kind in [*kinds.values(), user_kind]:
        click.echo(kind.spelling)
        _wrapped(kind.summary)
        for word, text in facts_of(kind):
            _wrapped(f"{word}: {text}")
        for one in options_of(kind.options):
            spelling, text = option_text(one)
            _wrapped(f"{spelling}: {text}")
        click.echo()
    for name, why in kinds.broken.items():
        click.echo(f"{name}: cannot be used.")
        _wrapped(why)
        click.echo()


def _wrapped(text: str) -> None:
    indent = " " * 4
    click.echo(
        textwrap.fill(text, _WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
    )
