"""``trio-ingest schema``: what a line of ``--events`` looks like, for other programs."""

from __future__ import annotations

import json

import click

from trio_ingest.cli.jobs.event_file import connector_events


@click.command(short_help="Print the JSON Schema of the events.")
def schema() -> None:
    """Print the JSON Schema of the lines that --events writes, draft 2020-12.

    It describes every event of the engine and of the adapters of this command,
    checkpoints and cursors. A validator tells with it whether a line is one of ours.
    """
    # Not for every command: cattrs takes a while to load.
    from trio_ingest.serialization import event_schema  # noqa: PLC0415

    click.echo(json.dumps(event_schema(connector_events()), indent=2))
