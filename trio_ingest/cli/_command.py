"""Which words the command line knows."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import IO, Any

import click

from trio_ingest import __version__

from ._ends import End, adapter_for, check_apart, sink_end, source_end
from ._ingest import ExitStatus, Job, run_job
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
    "sink",
    metavar="SINK",
    required=True,
    callback=sink_end,
    help="Where the documents go: sqlite:PATH.",
)
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
def run(
    *,
    source: End,
    sink: End,
    id_field: str,
    content_field: str,
    workers: int,
    buffer_size: int,
) -> int:
    """Put the documents of SOURCE into SINK.

    SOURCE is jsonl:PATH: a file with one JSON object a line, plain or gzip; - is
    standard input. The other fields of an object are kept as metadata.

    A line that is no document is reported with file and line at the end, and
    does not stop the run.

    Exit status: 0 all done; 1 the run failed; 2 usage, configuration or a missing
    file; 3 finished, but documents failed; 130 interrupted.
    """
    check_apart(source, sink)
    adapter = adapter_for(source, id_field, content_field)
    report = Report(sink.path)
    job = Job(adapter, sink.path, workers, buffer_size)
    return run_job(job, report)
