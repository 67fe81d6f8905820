"""``trio-ingest replay``: a log of events once more, shown, and into sinks if wanted."""

from __future__ import annotations

import os
from typing import Any

import click

from trio_ingest.cli.endpoints.options import ConnectorCommand, check_given, given_options
from trio_ingest.cli.endpoints.overlaps import check_overlaps
from trio_ingest.cli.endpoints.sinks import SinkEndpoint, destinations_for, sink_endpoints
from trio_ingest.cli.endpoints.sources import job_of, recorded_endpoint
from trio_ingest.cli.jobs.event_file import event_codec
from trio_ingest.cli.jobs.job import Job
from trio_ingest.cli.jobs.replay_runs import RecordedClock, Replays, replay_job
from trio_ingest.cli.signals import SIGNALS
from trio_ingest.cli.terminal.display import display_for
from trio_ingest.cli.terminal.report import Report, Volume
from trio_ingest.connectors import Touches
from trio_ingest.eventlog import EventLogError, recorded_runs


@click.command(
    "replay",
    cls=ConnectorCommand,
    short_help="Show a recorded run again, or put it into sinks.",
)
@click.argument("path", metavar="FILE")
@click.option(
    "--to",
    "sinks",
    metavar="SINK",
    multiple=True,
    callback=sink_endpoints,
    help="Where the documents go, as in run; can be given several times.",
)
@click.option(
    "--run",
    "run",
    metavar="ID",
    default="all",
    show_default=True,
    help="Which run in FILE: a pipeline_id, last, or all.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where a replay into these SINKs stopped, or behind what they have of the job.",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Drop the checkpoint that a SINK has of this job, and begin again, as in run.",
)
@click.option(
    "--max-failed",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="So many documents may fail without the exit status 3.",
)
@click.option(
    "--job",
    metavar="NAME",
    help="The name of the job in a database, as in run; the recorded SOURCEs when left out.",
)
@click.option(
    "--progress/--no-progress",
    default=True,
    show_default=True,
    help="Show how the run stood: live on a terminal, every ten seconds elsewhere.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing, unless something went wrong.")
@click.option(
    "-v",
    "--verbose",
    is_flag=True,
    help="Say each failed document, skipped file and retry when it comes.",
)
def replay_command(  # noqa: PLR0913 -- an argument for each option
    *,
    path: str,
    sinks: tuple[SinkEndpoint, ...],
    run: str,
    resume: bool,
    restart: bool,
    max_failed: int,
    job: str | None,
    progress: bool,
    quiet: bool,
    verbose: bool,
    **_connector_options: Any,
) -> int:
    """Go through FILE, which --events or a Recorder has written, as through the run itself.

    What is shown is the recorded run: its documents, failures, and seconds. With --to its
    documents go into each SINK, with the checkpoints of the recorded run, so that
    `trio-ingest run SOURCE --to SINK --resume` goes on behind them.

    A job that was stopped and resumed is several runs in FILE; they are put together.

    Ctrl-C or SIGTERM stops when what has come is stored; a second one stops at once.
    """
    if quiet and verbose:
        raise click.UsageError("-q says less and -v says more; give one of them.")
    if resume and restart:
        raise click.UsageError(
            "--resume goes on and --restart begins again; give one of them."
        )
    given = given_options(click.get_current_context())
    if not sinks and (resume or restart):
        raise click.UsageError(
            "--resume and --restart are about a SINK, and there is none; leave them out, or "
            "give --to."
        )
    check_given(given, sinks)
    if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112, PTH113 -- as typed
        raise click.UsageError(
            f"{path!r:.80} can be read once only, and a replay goes through it several times. "
            f"Write it to a file, and give that."
        )
    check_overlaps([Touches(files=[path])], sinks, {})
    replays = _replays(path, run)
    if job is None:
        job = job_of([recorded_endpoint(source) for source in replays.sources])
    destinations = destinations_for(sinks, given, job=job)
    volume: Volume = "quiet" if quiet else "verbose" if verbose else "normal"
    clock = RecordedClock()
    return replay_job(
        replays,
        Job(
            sources=[],
            destinations=destinations,
            beginning="resume" if resume else "restart" if restart else None,
            max_failed=max_failed,
        ),
        Report(
            [end.place for end in sinks],
            letters_in=[one.failures_place for one in destinations if one.failures_place],
            volume=volume,
            max_failed=max_failed,
            display=display_for(progress=progress and not quiet),
            clock=clock,
            verb="Replayed",
        ),
        SIGNALS,
        clock,
    )


def _replays(path: str, run: str) -> Replays:
    """The runs that are to be replayed.

    Raises:
        click.UsageError: the log cannot be read, or has no such run.
    """
    try:
        known = list(dict.fromkeys(one.pipeline_id for one in recorded_runs(path)))
        if not known:
            raise EventLogError(f"{path!r:.80} has no events. Give a file that has some.")
        wanted = known if run == "all" else known[-1:] if run == "last" else [run]
        return Replays(path, wanted, event_codec())
    except EventLogError as error:
        raise click.UsageError(str(error)) from error
