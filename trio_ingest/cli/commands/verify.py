"""``trio-ingest verify``: a log of events, held against what the engine promises."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Final

import click

from trio_ingest import Checkpoint, IngestError
from trio_ingest.cli.jobs.event_file import event_codec
from trio_ingest.cli.jobs.job import ExitStatus
from trio_ingest.cli.terminal.text import encodable, printable
from trio_ingest.eventlog import EventLogError, RunReport, VerifyReport, verify

_STANDARD_INPUT: Final = "/dev/stdin"

# As many as a person reads; the number of all is in the last line.
_SHOWN: Final = 50


@click.command("verify", short_help="Check a log of events.")
@click.argument("path", metavar="FILE")
@click.option(
    "--ordered",
    is_flag=True,
    help="Documents must end in the order of their source, as they do unless the run was "
    "--unordered.",
)
@click.option(
    "--resumed-from",
    "resumed_from",
    metavar="PATH",
    help="The checkpoint, as JSON, that the first run in FILE was resumed from.",
)
@click.option("-q", "--quiet", is_flag=True, help="Say what is wrong, and nothing else.")
def verify_command(*, path: str, ordered: bool, resumed_from: str | None, quiet: bool) -> int:
    """Check FILE, which --events or a Recorder has written, line by line; - is standard input.

    Each document must begin once and end once, in order; counts must add up; a checkpoint
    must claim what has ended before it and nothing else. Whatever is wrong is a line of
    output that begins with FILE and the number of its line.

    The exit status is 0 when nothing is wrong, and 1 when something is. A log that was cut
    short, because the run was stopped or killed, is not wrong for that.
    """
    try:
        point = None if resumed_from is None else _checkpoint_in(resumed_from)
        place = _STANDARD_INPUT if path == "-" else path
        report = verify(place, codec=event_codec(), resumed_from=point, ordered=ordered)
    except EventLogError as error:
        raise click.UsageError(str(error)) from error
    try:
        _show_report(path, report, quiet=quiet)
    except BrokenPipeError:
        # What could not be written waits in the stream, and would fail once more at the end.
        sys.stdout = io.StringIO()
        return ExitStatus.OUTPUT_CLOSED
    return ExitStatus.DONE if report.is_good else ExitStatus.RUN_FAILED


def _checkpoint_in(path: str) -> Checkpoint:
    """A checkpoint from a file.

    Raises:
        click.UsageError: it is none.
    """
    try:
        return Checkpoint.from_dict(json.loads(Path(path).read_bytes()))
    except OSError as error:
        why = error.strerror or str(error)
    except (ValueError, RecursionError, IngestError) as error:
        why = str(error)
    raise click.UsageError(
        f"--resumed-from {path!r:.80} has no checkpoint that can be read: {why}"
    )


def _show_report(path: str, report: VerifyReport, *, quiet: bool) -> None:
    for finding in report.findings[:_SHOWN]:
        _echo(f"{path}:{finding.line}: {finding.kind}: {finding.message}")
    if report.found > _SHOWN:
        _echo(f"... and {report.found - _SHOWN:,} more.")
    if quiet:
        return
    for run in report.runs:
        if not run.is_finished:
            _echo(f"{path}:{run.first_line}: note: {_cut(run)}")
    if report.is_torn:
        _echo(f"{path}: note: the last line is torn: its writer was killed.")
    events = sum(run.events for run in report.runs)
    runs = f"{len(report.runs):,} {'run' if len(report.runs) == 1 else 'runs'}"
    wrong = "nothing is wrong" if report.is_good else f"{report.found:,} wrong"
    _echo(f"{path}: {runs}, {events:,} events: {wrong}.")


def _cut(run: RunReport) -> str:
    what = f"The run {run.pipeline_id} did not come to its end"
    if run.missing:
        return f"{what}, as far as the log shows: {run.missing:,} of its events are missing."
    if not run.in_flight:
        return f"{what}; nothing was in flight when the log stops."
    noun = "document was" if run.in_flight == 1 else "documents were"
    return f"{what}; {run.in_flight:,} {noun} in flight when the log stops."


def _echo(text: str) -> None:
    if sys.stdout is not None:  # it may have been closed before we began
        shown = encodable(printable(text), sys.stdout.encoding or "utf-8")
        print(shown, flush=True)  # noqa: T201 -- it is the answer
