"""The command line: its commands, and the exit status of what they could not do."""

from __future__ import annotations

import errno
import io
import sys
from collections.abc import Sequence
from typing import IO, Any

import click

from trio_ingest import __version__
from trio_ingest.cli.jobs.job import ExitStatus

from .check import check
from .connectors import adapters_command, sinks_command
from .demo import demo
from .replay import replay_command
from .run import run_command
from .schema import schema
from .verify import verify_command


def invoke(arguments: Sequence[str] | None) -> int:
    """Run the command line and return its exit status; nothing is raised for bad input."""
    try:
        status = command.main(arguments, prog_name="trio-ingest", standalone_mode=False)
    except click.ClickException as error:
        _show_error(error)
        return error.exit_code
    except OSError as error:
        # Help or the version, where nothing more can be written.
        _leave_alone("stdout")
        if error.errno == errno.EPIPE:
            return ExitStatus.OUTPUT_CLOSED
        _show_error(click.ClickException(f"the answer cannot be written: {error.strerror}."))
        return ExitStatus.RUN_FAILED
    except (click.Abort, KeyboardInterrupt):
        _show_error(_Interrupted("Interrupted."))
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


def _show_error(error: click.ClickException) -> None:
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


for _one in (
    run_command,
    replay_command,
    verify_command,
    adapters_command,
    sinks_command,
    check,
    schema,
    demo,
):
    command.add_command(_one)
