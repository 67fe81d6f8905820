"""``trio-ingest run``: the documents of sources into sinks."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import click

from trio_ingest import Document
from trio_ingest.cli.endpoints.endpoint import output_path
from trio_ingest.cli.endpoints.options import ConnectorCommand, check_given, given_options
from trio_ingest.cli.endpoints.overlaps import check_overlaps
from trio_ingest.cli.endpoints.sinks import SinkEndpoint, destinations_for, sink_endpoints
from trio_ingest.cli.endpoints.sources import (
    Source,
    SourceEndpoint,
    cannot_go_on,
    job_of,
    params_of,
    source_endpoints,
    sources_for,
)
from trio_ingest.cli.jobs.ingest import run_job
from trio_ingest.cli.jobs.job import Beginning, ExitStatus, Job
from trio_ingest.cli.signals import SIGNALS
from trio_ingest.cli.terminal.display import display_for
from trio_ingest.cli.terminal.report import Report, Volume

_EXIT_STATUSES = "\b\nExit status:\n" + "\n".join(
    textwrap.fill(
        status.meaning,
        width=78,
        initial_indent=f"{status.value:>5}  ",
        subsequent_indent=" " * 7,
    )
    for status in ExitStatus
)


@click.command(
    "run",
    cls=ConnectorCommand,
    adapters=True,
    short_help="Put the documents of sources into sinks.",
    epilog=_EXIT_STATUSES,
)
@click.argument(
    "sources", metavar="SOURCE...", nargs=-1, required=True, callback=source_endpoints
)
@click.option(
    "--to",
    "sinks",
    metavar="SINK",
    multiple=True,
    callback=sink_endpoints,
    help="Where the documents go: {sinks}; can be given several times.",
)
@click.option(
    "--param",
    "params",
    metavar="KEY=VALUE",
    multiple=True,
    callback=params_of,
    help="An argument for the fetch of each SOURCE, as in --param since=2026-01-01; JSON "
    "as JSON has it, else a text. Can be given several times.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where the last run of this job stopped.",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Drop the checkpoint of the last run, and begin again. A {emptied} SINK is emptied, "
    "when the first documents are there; others keep their documents.",
)
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    help="Stop after N documents, failed ones counted; --resume goes on behind them.",
)
@click.option(
    "--dry-run",
    is_flag=True,
    help="Read and parse everything, and write to no SINK; --to can be left out.",
)
@click.option(
    "--max-failed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="So many documents of the whole job may fail without the exit status 3.",
)
@click.option(
    "--errors",
    metavar="PATH",
    callback=output_path,
    help="Write each failed document, with its record and error, as a line of JSON; the file "
    "is written anew unless the job is resumed.",
)
@click.option(
    "--events",
    metavar="PATH",
    callback=output_path,
    help="Write every event as a line of JSON, compressed when PATH ends in .gz; - is "
    "standard output, and a file is written anew unless the job is resumed.",
)
@click.option(
    "--job",
    metavar="NAME",
    help="Tells apart the checkpoints of several jobs in one database; the SOURCEs when left "
    "out.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Documents of each SOURCE that are parsed at the same time.",
)
@click.option(
    "--ordered/--unordered",
    default=True,
    show_default=True,
    help="With several workers, keep the order of the SOURCE, or take what is done first.",
)
@click.option(
    "--retries",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="How often a document is tried again after an error that can pass.",
)
@click.option(
    "--buffer-size",
    metavar="N",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Events that may wait for the sinks.",
)
@click.option(
    "--progress/--no-progress",
    default=True,
    show_default=True,
    help="Show how the run stands: live on a terminal, every ten seconds elsewhere.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing, unless something went wrong.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say each failed document, skipped file and retry when it comes.",
)
def run_command(  # noqa: PLR0913 -- an argument for each option
    *,
    sources: tuple[SourceEndpoint, ...],
    sinks: tuple[SinkEndpoint, ...],
    params: dict[str, Any],
    resume: bool,
    restart: bool,
    limit: int | None,
    dry_run: bool,
    max_failed: int,
    errors: str | None,
    events: str | None,
    job: str | None,
    workers: int,
    ordered: bool,
    retries: int,
    buffer_size: int,
    progress: bool,
    quiet: bool,
    verbose: bool,
    **_connector_options: Any,
) -> int:
    """Put the documents of each SOURCE into each SINK.

    {forms}

    A line or file that is no document is reported at the end with its place, and does
    not stop the run.

    Our own SINKs keep a checkpoint with the documents. A run that was stopped, by
    whatever, goes on with --resume, and gives each document exactly once.

    Ctrl-C or SIGTERM stops the run when what is in flight is stored; a second one
    stops it at once.
    """
    _check_together(
        sinks, resume=resume, restart=restart, dry_run=dry_run, quiet=quiet, verbose=verbose
    )
    given = given_options(click.get_current_context())
    check_given(given, [*sources, *sinks])
    read = sources_for(sources, given)
    check_overlaps(
        [one.endpoint for one in read], sinks, {"--events": events, "--errors": errors}
    )
    destinations = destinations_for(sinks, given, job=job_of(sources) if job is None else job)
    beginning: Beginning | None = "resume" if resume else "restart" if restart else None
    volume: Volume = "quiet" if quiet else "verbose" if verbose else "normal"
    # Without a sink the option is the only place; with one, it has this run's alone.
    failures_in = [one.failures_place for one in destinations if one.failures_place]
    if dry_run:
        failures_in = [] if errors is None else [errors]
    return run_job(
        Job(
            sources=read,
            destinations=[] if dry_run else destinations,
            params=params,
            beginning=beginning,
            workers=workers,
            ordered=ordered,
            retries=retries,
            buffer_size=buffer_size,
            limit=limit,
            max_failed=max_failed,
            events=events,
            errors=errors,
        ),
        Report(
            [] if dry_run else [end.place for end in sinks],
            letters_in=failures_in,
            volume=volume,
            max_failed=max_failed,
            empty_content_hint=_empty_content_hint(read),
            can_resume=any(one.keeps_checkpoint for one in destinations),
            cannot_go_on=cannot_go_on(read),
            display=display_for(progress=progress and not quiet),
        ),
        SIGNALS,
    )


def _empty_content_hint(sources: Sequence[Source]) -> Callable[[Document], str | None] | None:
    """Return what gives the hint about documents without content, for sources of one kind."""
    first = sources[0]
    connector = first.endpoint.connector
    if any(one.endpoint.connector is not connector for one in sources):
        return None
    return lambda document: connector.empty_content_hint(document, first.options)


def _check_together(
    sinks: Sequence[SinkEndpoint],
    *,
    resume: bool,
    restart: bool,
    dry_run: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    if not sinks and not dry_run:
        raise click.UsageError(
            "Missing option '--to': say where the documents go, as in --to "
            "sqlite:documents.db, or give --dry-run."
        )
    if resume and restart:
        raise click.UsageError(
            "--resume goes on and --restart begins again; give one of them."
        )
    if dry_run and (resume or restart):
        raise click.UsageError(
            "--dry-run looks at no checkpoint, so there is nothing to resume or to restart; "
            "leave out one of the two."
        )
    if quiet and verbose:
        raise click.UsageError("-q says less and -v says more; give one of them.")
