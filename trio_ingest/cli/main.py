"""Which words the command line knows."""

from __future__ import annotations

import errno
import io
import sys
import textwrap
from collections.abc import Sequence
from typing import IO, Any

import click

from trio_ingest import __version__
from trio_ingest.cli.commands.check import check
from trio_ingest.cli.commands.replay import replay_command
from trio_ingest.cli.commands.schema import schema
from trio_ingest.cli.commands.verify import verify_command
from trio_ingest.cli.demo.demo import run_demo
from trio_ingest.cli.endpoints.endpoint import Endpoint, output_path
from trio_ingest.cli.endpoints.overlaps import check_overlaps
from trio_ingest.cli.endpoints.sinks import Duplicates, destinations_for, sink_ends
from trio_ingest.cli.endpoints.sources import Reading, adapters_for, job_of, source_ends
from trio_ingest.cli.jobs.ingest import run_job
from trio_ingest.cli.jobs.job import Beginning, ExitStatus, Job
from trio_ingest.cli.terminal.display import display_for
from trio_ingest.cli.terminal.report import Report, Volume

from .signals import SIGNALS


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the command line and return its exit status; nothing is raised for bad input."""
    try:
        status = command.main(arguments, prog_name="trio-ingest", standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except OSError as error:
        # Help or the version, where nothing more can be written.
        _leave_alone("stdout")
        if error.errno == errno.EPIPE:
            return ExitStatus.OUTPUT_CLOSED
        _show(click.ClickException(f"the answer cannot be written: {error.strerror}."))
        return ExitStatus.RUN_FAILED
    except (click.Abort, KeyboardInterrupt):
        _show(_Interrupted("Interrupted."))
        return ExitStatus.INTERRUPTED
    return int(status or ExitStatus.DONE)


class _Interrupted(click.ClickException):
    """An end that is no mistake: shown without the word Error."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Write it to standard error."""
        click.echo(self.message, file=file, err=True)


def _leave_alone(name: str) -> None:
    # What could not be written waits in the stream, and would fail once more when
    # the interpreter ends: with a message of its own, and another exit status.
    setattr(sys, name, io.StringIO())


def _show(error: click.ClickException) -> None:
    try:
        error.show()
    except OSError:
        _leave_alone("stderr")


def _print_version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:  # noqa: FBT001 - click calls it so
    if wanted:
        click.echo(f"trio-ingest {__version__}")
        context.exit()


# Without a word, click 8.1 shows the help as a success and 8.2 as a mistake.
@click.group(no_args_is_help=False, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def command() -> None:
    """Read documents from sources and put them where you want them."""


_EXIT_STATUSES = "\b\nExit status:\n" + "\n".join(
    textwrap.fill(
        status.meaning,
        width=78,
        initial_indent=f"{status.value:>5}  ",
        subsequent_indent=" " * 7,
    )
    for status in ExitStatus
)


@command.command(short_help="Put the documents of sources into sinks.", epilog=_EXIT_STATUSES)
@click.argument("sources", metavar="SOURCE...", nargs=-1, required=True, callback=source_ends)
@click.option(
    "--to",
    "sinks",
    metavar="SINK",
    multiple=True,
    callback=sink_ends,
    help="Where the documents go: sqlite:PATH or jsonl:PATH; can be given several times.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on where the last run of this job stopped.",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Drop the checkpoint of the last run, and begin again. A jsonl SINK is emptied, when "
    "the first documents are there; a database keeps its documents.",
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
    help="Tells apart the checkpoints of several jobs in one SQLite database; the SOURCEs "
    "when left out.",
)
@click.option(
    "--duplicates",
    type=click.Choice(["replace", "keep", "fail"]),
    help="What becomes of a document whose id is in the database already; replace when left "
    "out.",
)
@click.option("--full-text", is_flag=True, help="Keep a full-text index in the database.")
@click.option(
    "--id-field",
    metavar="NAME",
    default="id",
    show_default=True,
    help="jsonl: the field that identifies a document.",
)
@click.option(
    "--content-field",
    metavar="NAME",
    default="text",
    show_default=True,
    help="jsonl: the field that holds its text.",
)
@click.option(
    "--encoding",
    metavar="NAME",
    help="files: how bytes become text; utf-8 when left out.",
)
@click.option(
    "--max-record-bytes",
    metavar="N",
    type=click.IntRange(min=1),
    default=16 * 1024 * 1024,
    show_default=True,
    help="A longer line or file is a failed document, and is not held in memory.",
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
def run(  # noqa: PLR0913 -- an argument for each option
    *,
    sources: tuple[Endpoint, ...],
    sinks: tuple[Endpoint, ...],
    resume: bool,
    restart: bool,
    limit: int | None,
    dry_run: bool,
    max_failed: int,
    errors: str | None,
    events: str | None,
    job: str | None,
    duplicates: Duplicates | None,
    full_text: bool,
    id_field: str,
    content_field: str,
    encoding: str | None,
    max_record_bytes: int,
    workers: int,
    ordered: bool,
    retries: int,
    buffer_size: int,
    progress: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Put the documents of each SOURCE into each SINK.

    SOURCE is jsonl:PATH: a file with one JSON object a line, plain or gzip; - is
    standard input. The other fields of an object are kept as metadata.

    Or it is files:DIRECTORY: each file below the directory is a document. A glob pattern
    chooses among them, as in 'files:docs/**/*.md'.

    A line or file that is no document is reported at the end with its place, and does
    not stop the run. Pipes, sockets, devices and what may not be read are skipped.

    Each SINK keeps a checkpoint with its documents. A run that was stopped, by
    whatever, goes on with --resume, and gives each document exactly once.

    Ctrl-C or SIGTERM stops the run when what is in flight is stored; a second one
    stops it at once.
    """
    _check_together(
        sinks, resume=resume, restart=restart, dry_run=dry_run, quiet=quiet, verbose=verbose
    )
    reading = Reading(
        id_field=id_field,
        content_field=content_field,
        encoding=encoding,
        max_record_bytes=max_record_bytes,
    )
    adapters = adapters_for(sources, reading)
    check_overlaps(sources, adapters, sinks, {"--events": events, "--errors": errors})
    destinations = destinations_for(
        sinks,
        job=job_of(sources) if job is None else job,
        duplicates=duplicates,
        full_text=full_text,
    )
    beginning: Beginning | None = "resume" if resume else "restart" if restart else None
    volume: Volume = "quiet" if quiet else "verbose" if verbose else "normal"
    # Without a sink the option is the only place; with one, it has this run's alone.
    letters_in = [place.dead_letters for place in destinations]
    if dry_run:
        letters_in = [] if errors is None else [errors]
    return run_job(
        Job(
            adapters=adapters,
            destinations=[] if dry_run else destinations,
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
            [] if dry_run else [end.path for end in sinks],
            letters_in=letters_in,
            volume=volume,
            max_failed=max_failed,
            content_field=None if any(e.kind != "jsonl" for e in sources) else content_field,
            display=display_for(progress=progress and not quiet),
        ),
        SIGNALS,
    )


def _check_together(
    sinks: Sequence[Endpoint],
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


@command.command(short_help="Show what this does, on files that are here already.")
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


command.add_command(check)
command.add_command(schema)
command.add_command(replay_command)
command.add_command(verify_command)
