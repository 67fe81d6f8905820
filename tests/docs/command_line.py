"""The tables of docs/command-line.md, made from the program itself.

``python -m tests.docs.command_line`` writes them into the page, between the marks
``<!-- generated: NAME -->`` and ``<!-- end of NAME -->``; a test holds that they are there.
"""

from __future__ import annotations

import re
from pathlib import Path

import click

from tests.docs.blocks import ROOT
from trio_ingest.cli._command import command
from trio_ingest.cli._job import ExitStatus

PAGE = ROOT / "docs" / "command-line.md"

_MARKED = re.compile(
    r"(?P<begin><!-- generated: (?P<name>[\w ]+) -->\n).*?(?P<end><!-- end of (?P=name) -->)",
    re.DOTALL,
)


def generated(page: str) -> str:
    """The page with everything in it that the program says."""
    return _MARKED.sub(
        lambda found: f"{found['begin']}\n{_part(found['name'])}\n{found['end']}", page
    )


def names_in(page: str) -> list[str]:
    """Which parts the page has."""
    return [found["name"] for found in _MARKED.finditer(page)]


def parts() -> list[str]:
    """Which parts there are."""
    return [*command.commands, "exit status"]


def _part(name: str) -> str:
    return _statuses() if name == "exit status" else _described(command.commands[name])


def _described(one: click.Command) -> str:
    context = click.Context(one, info_name=f"trio-ingest {one.name}")
    usage = " ".join([context.command_path, *one.collect_usage_pieces(context)])
    # Of the help of a command, since click wraps what has no blank line around it.
    paragraphs = [
        " ".join(text.split()) for text in (one.help or "").split("\n\n") if "\b" not in text
    ]
    rows = [
        f"| {_cell(' '.join(_names(option)))} | {_cell(option.help or '')}{_default(option)} |"
        for option in one.params
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


def main(page: Path = PAGE) -> None:
    """Write the parts into the page."""
    page.write_text(generated(page.read_text("utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
