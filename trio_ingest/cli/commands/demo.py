"""``trio-ingest demo``: all of it at once, on files that are here already."""

from __future__ import annotations

import click

from trio_ingest.cli.demo.demo import run_demo


@click.command(short_help="Show what this does, on files that are here already.")
@click.option(
    "--keep",
    metavar="DIRECTORY",
    help="Leave everything in this directory, which is made; removed when left out.",
)
def demo(*, keep: str | None) -> int:
    """Ingest the source files of Python's own standard library into SQLite.

    With a full-text index, with one broken file among them. The run is killed half
    way and resumed, and then the database is looked at: each document is there exactly
    once. It takes some seconds, needs no network, and leaves nothing behind.
    """
    return run_demo(keep=keep)
