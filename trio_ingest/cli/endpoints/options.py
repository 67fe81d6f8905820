"""The options of the command line that the installed kinds declare."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource

from trio_ingest import SetupError
from trio_ingest.cli.terminal.error_messages import exception_text
from trio_ingest.connectors import (
    Connector,
    Option,
    adapter_connectors,
    options_of,
    sink_connectors,
)

from .endpoint import Endpoint, is_ours
from .user_code import USER_ADAPTER, USER_SINK


class ConnectorCommand(click.Command):
    """A command that has the options of the kinds of sinks, and with ``adapters`` of sources.

    The kinds are looked for when the command is used, and not when the program starts.
    """

    def __init__(self, *args: Any, adapters: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._adapters = adapters

    def connectors(self) -> list[Connector]:
        """Return the kinds whose options it has."""
        return [*(adapter_connectors().values() if self._adapters else ()), *_sinks()]

    @property
    def help(self) -> str | None:
        """The text of its help, with the forms of SOURCE and SINK."""
        return None if self._help is None else self._help.replace("{forms}", _forms())

    @help.setter  # noqa: A003 -- click names it
    def help(self, text: str | None) -> None:
        self._help = None if text is None else inspect.cleandoc(text)

    def own_names(self, ctx: click.Context) -> set[str]:
        """Return the names of its own parameters, whatever the kinds call theirs."""
        own = super().get_params(ctx)
        spelled = {flag for param in own for flag in (*param.opts, *param.secondary_opts)}
        names = {param.name or "" for param in own}
        return names | {flag.lstrip("-").replace("-", "_") for flag in spelled}

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return its own options, then those of the kinds, then the help."""
        own = super().get_params(ctx)
        for param in own:
            if isinstance(param, click.Option) and param.help is not None:
                param.help = _worded(param.help)
        # What the command has itself no kind can take away.
        taken = {flag for param in own for flag in (*param.opts, *param.secondary_opts)}
        options = _click_options(self.connectors())
        theirs = [one for one in options if taken.isdisjoint(one.opts)]
        return [*own[:-1], *theirs, own[-1]]


def _forms() -> str:
    sources = [*adapter_connectors().values(), USER_ADAPTER]
    sinks = [*sink_connectors().values(), USER_SINK]
    paragraphs = [f"SOURCE {kind.spelling}: {kind.summary}" for kind in sources]
    return "\n\n".join([*paragraphs, *(f"SINK {k.spelling}: {k.summary}" for k in sinks)])


def _worded(text: str) -> str:
    sinks = sink_connectors().values()
    emptied = [kind.name for kind in sinks if kind.restart_empties]
    spellings = [*(kind.spelling for kind in sinks), USER_SINK.spelling]
    return text.replace("{sinks}", " or ".join(spellings)).replace(
        "{emptied}", " or ".join(emptied) or "no kind"
    )


def _sinks() -> Iterable[Connector]:
    return sink_connectors().values()


def given_options(context: click.Context) -> dict[str, Any]:
    """Return the options of kinds that were given, by name; no defaults."""
    assert isinstance(context.command, ConnectorCommand)
    names = {o.name for kind in context.command.connectors() for o in options_of(kind.options)}
    names -= context.command.own_names(context)
    default = {ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP, None}
    return {
        name: context.params[name]
        for name in sorted(names & set(context.params))
        if context.get_parameter_source(name) not in default
    }


def options_for(endpoint: Endpoint[Any], given: Mapping[str, Any]) -> Any:
    """Return the options of one source or sink: those given that are for its kind."""
    cls = endpoint.connector.options
    kinds = [*adapter_connectors().values(), *sink_connectors().values()]
    shared = {found[0][1].name: found[0][1] for found in _declared(kinds)}
    mine = {one.name for one in options_of(cls) if _is_same(one, shared.get(one.name, one))}
    try:
        return cls(**{name: value for name, value in given.items() if name in mine})
    except Exception as error:
        raise SetupError(
            f"The options of {endpoint.connector.name}: cannot be {dict(given)!r:.80}: "
            f"{exception_text(error)}."
        ) from error


def check_given(given: Mapping[str, Any], endpoints: Iterable[Endpoint[Any]]) -> None:
    """Refuse an option that no source and no sink of the job has.

    Raises:
        click.UsageError: naming the kinds that the option is for.
    """
    used = {o.name for end in endpoints for o in options_of(end.connector.options)}
    for name in given:
        if name not in used:
            kinds = [*adapter_connectors().values(), *sink_connectors().values()]
            found = [
                kind for kind in kinds if name in {o.name for o in options_of(kind.options)}
            ]
            flag = f"--{name.replace('_', '-')}"
            raise click.UsageError(
                f"{flag} is for {_listed(found)}, and there is none; leave it out."
            )


def _click_options(kinds: Iterable[Connector]) -> list[click.Option]:
    """One option for all kinds that declare it."""
    return [_click_option(found) for found in _declared(kinds)]


def _declared(kinds: Iterable[Connector]) -> list[list[tuple[Connector, Option]]]:
    """Each option with the kinds that have it. Ours come first, and others must agree."""
    by_name: dict[str, list[tuple[Connector, Option]]] = {}
    for kind in sorted(kinds, key=lambda kind: not is_ours(kind)):
        for one in options_of(kind.options):
            found = by_name.setdefault(one.name, [])
            if not found or _is_same(one, found[0][1]):
                found.append((kind, one))
    return list(by_name.values())


def _is_same(one: Option, other: Option) -> bool:
    return (one.type, one.choices) == (other.type, other.choices)


def _click_option(found: list[tuple[Connector, Option]]) -> click.Option:
    first = found[0][1]
    texts: dict[str, list[str]] = {}
    for kind, one in found:
        texts.setdefault(one.help, []).append(kind.name)
    help_text = " ".join(
        f"{', '.join(dict.fromkeys(names))}: {text}" for text, names in texts.items()
    )
    if first.type is bool:
        return click.Option([first.flag], is_flag=True, help=help_text)
    return click.Option(
        [first.flag],
        metavar=first.metavar,
        type=_click_type(first),
        default=first.default,
        show_default=first.default is not None,
        help=help_text,
    )


def _click_type(one: Option) -> Any:
    if one.choices:
        return click.Choice(one.choices)
    if one.type is int and one.minimum is not None:
        return click.IntRange(min=int(one.minimum))
    if one.type is float and one.minimum is not None:
        return click.FloatRange(min=one.minimum)
    return one.type


def _listed(kinds: Iterable[Connector]) -> str:
    return " and ".join(f"{name}:" for name in dict.fromkeys(kind.name for kind in kinds))
