"""The tables of the pages that are made from the program itself.

``python -m tests.docs.generated`` writes them into the pages, between the marks
``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; a test holds that they are there.
It also writes the JSON Schema of the events, which is in the package.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

import click

from tests.docs.blocks import ROOT
from trio_ingest._core.run import NEXT_STATES
from trio_ingest.cli.commands.connectors import facts_of, option_text
from trio_ingest.cli.commands.group import command
from trio_ingest.cli.endpoints.user_code import USER_ADAPTER, USER_SINK
from trio_ingest.cli.jobs.job import ExitStatus
from trio_ingest.connectors import (
    Connector,
    adapter_connectors,
    options_of,
    sink_connectors,
)
from trio_ingest.serialization import event_schema
from trio_ingest.testing import Check, check_adapter, check_sink

PAGES = [
    ROOT / "docs" / "command-line.md",
    ROOT / "docs" / "events.md",
    ROOT / "docs" / "how-to" / "testing.md",
]
SCHEMA = ROOT / "trio_ingest" / "serialization" / "events.schema.json"

_MARKED = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w ]+) -->\n).*?(?P<end><!-- end of (?P=name) -->)",
    re.DOTALL,
)


def generated(page: str) -> str:
    """The page with everything in it that the program says."""
    return _MARKED.sub(
        lambda found: f"{found['begin']}\n{part(found['name'])}\n{found['end']}", page
    )


def names_in(page: str) -> list[str]:
    """Which parts the page has."""
    return [found["name"] for found in _MARKED.finditer(page)]


def parts() -> list[str]:
    """Which parts there are."""
    return [
        *command.commands,
        "exit status",
        "adapter checks",
        "sink checks",
        "adapter states",
    ]


def part(name: str) -> str:
    """One part, by its name."""
    match name:
        case "exit status":
            return _statuses()
        case "adapter checks":
            return _checks(check_adapter(object), "an adapter")
        case "sink checks":
            return _checks(check_sink(lambda _: None), "a sink")
        case "adapters":
            return _kinds([*adapter_connectors().values(), USER_ADAPTER], "SOURCE")
        case "sinks":
            return _kinds([*sink_connectors().values(), USER_SINK], "SINK")
        case "adapter states":
            return _states()
    return _described(command.commands[name])


def _checks(checks: Iterable[Check], kind: str) -> str:
    rows = [f"| `{check.name}` | {_cell(check.sentence)} |" for check in checks]
    return "\n".join([f"| check of {kind} | what must hold |", "|---|---|", *rows]) + "\n"


def _kinds(kinds: Iterable[Connector], word: str) -> str:
    rows = []
    for kind in kinds:
        facts = ". ".join(f"{name}: {text}" for name, text in facts_of(kind))
        told = (option_text(one) for one in options_of(kind.options))
        options = "<br>".join(f"`{spelling}` {_cell(text)}" for spelling, text in told)
        summary = f"{_cell(kind.summary)}<br>{_cell(facts)}."
        rows.append(f"| `{kind.spelling}` | {summary} | {options} |")
    return "\n".join([f"| {word} | what it is | options |", "|---|---|---|", *rows]) + "\n"


def _states() -> str:
    rows = [
        f"| `{state}` | {', '.join(f'`{after}`' for after in following) or 'none'} |"
        for state, following in NEXT_STATES.items()
    ]
    return "\n".join(["| state | next |", "|---|---|", *rows]) + "\n"


def _described(one: click.Command) -> str:
    context = click.Context(one, info_name=f"trio-ingest {one.name}")
    usage = " ".join([context.command_path, *one.collect_usage_pieces(context)])
    # Of the help of a command, since click wraps what has no blank line around it.
    paragraphs = [
        " ".join(text.split()) for text in (one.help or "").split("\n\n") if "\b" not in text
    ]
    rows = [
        f"| {_cell(' '.join(_names(option)))} | {_cell(option.help or '')}{_default(option)} |"
        for option in one.get_params(context)[:-1]
        if isinstance(option, click.Option)
    ]
    table = [
        "| option | what it does |",
        "|---|---|",
        *rows,
        "| `-h` `--help` | Show the help. |",
    ]
    return "\n\n".join([f"```text\n{usage}\n```", *paragraphs, "\n".join(table)]) + "\n"


def _names(option: click.Option) -> list[str]:
    metavar = ""
    if not option.is_flag:
        kind = option.type
        choices = "|".join(kind.choices) if isinstance(kind, click.Choice) else None
        metavar = f" {choices or option.metavar}"
    return [f"`{name}{metavar}`" for name in [*option.opts, *option.secondary_opts]]


def _default(option: click.Option) -> str:
    if not option.show_default:
        return ""
    value = option.default
    if option.secondary_opts:
        value = (option.opts if value else option.secondary_opts)[0]
    return f" Default: `{value}`."


def _statuses() -> str:
    rows = [f"| {status.value} | {_cell(status.meaning)} |" for status in ExitStatus]
    return "\n".join(["| exit status | when |", "|---|---|", *rows]) + "\n"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main() -> None:
    """Write the parts into the pages, and the schema into the package."""
    for page in PAGES:
        page.write_text(generated(page.read_text("utf-8")), encoding="utf-8")
    SCHEMA.write_text(json.dumps(event_schema(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
