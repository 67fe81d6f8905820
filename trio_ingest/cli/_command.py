"""Which words the command line knows."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import IO, Any

import click

from trio_ingest import __version__

from ._ends import (
    Duplicates,
    End,
    adapter_for,
    check_apart,
    job_of,
    sink_ends,
    sinks_for,
    source_end,
)
from ._ingest import Beginning, ExitStatus, Job, run_job
from ._report import Report


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
    """Read documents from a source and put them where you want them."""


@command.command()
@click.argument("source", metavar="SOURCE", callback=source_end)
@click.option(
    "--to",
    "sinks",
    metavar="SINK",
    required=True,
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
    "--job",
    metavar="NAME",
    help="Tells apart the checkpoints of several jobs in one SQLite database; SOURCE when "
    "left out.",
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
    help="The field that identifies a document.",
)
@click.option(
    "--content-field",
    metavar="NAME",
    default="text",
    show_default=True,
    help="The field that holds its text.",
)
@click.option(
    "--max-record-bytes",
    type=click.IntRange(min=1),
    default=16 * 1024 * 1024,
    show_default=True,
    help="A longer line is a failed document, and is not held in memory.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Documents parsed at the same time.",
)
@click.option(
    "--buffer-size",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Events that may wait for the sink.",
)
def run(  # noqa: PLR0913 -- an argument for each option
    *,
    source: End,
    sinks: tuple[End, ...],
    resume: bool,
    restart: bool,
    job: str | None,
    duplicates: Duplicates | None,
    full_text: bool,
    id_field: str,
    content_field: str,
    max_record_bytes: int,
    workers: int,
    buffer_size: int,
) -> int:
    """Put the documents of SOURCE into each SINK.

    SOURCE is jsonl:PATH: a file with one JSON object a line, plain or gzip; - is
    standard input. The other fields of an object are kept as metadata.

    A line that is no document is reported with file and line at the end, and
    does not stop the run.

    Each SINK keeps a checkpoint with its documents. A run that was stopped, by
    whatever, goes on with --resume, and gives each document exactly once.

    Exit status: 0 all done; 1 the run failed; 2 usage, configuration or a missing
    file; 3 finished, but documents failed, in this run or an earlier one of the
    same job; 130 interrupted.
    """
    check_apart(source, sinks)
    if resume and restart:
        raise click.UsageError(
            "--resume goes on and --restart begins again; give one of them."
        )
    beginning: Beginning | None = "resume" if resume else "restart" if restart else None
    return run_job(
        Job(
            adapter=adapter_for(source, id_field, content_field, max_record_bytes),
            sinks=sinks_for(
                sinks,
                job=job_of(source) if job is None else job,
                duplicates=duplicates,
                full_text=full_text,
            ),
            places=[end.path for end in sinks],
            beginning=beginning,
            workers=workers,
            buffer_size=buffer_size,
        ),
        Report([end.path for end in sinks]),
    )
