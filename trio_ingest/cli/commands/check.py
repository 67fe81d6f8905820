"""``trio-ingest check``: the conformance suites, on an adapter or a sink of the user's own."""

from __future__ import annotations

import io
import sys
import textwrap
from typing import TYPE_CHECKING, Final
from unittest import SkipTest

import click

from trio_ingest import SetupError
from trio_ingest.cli.endpoints.user_code import named
from trio_ingest.cli.jobs.job import ExitStatus
from trio_ingest.cli.terminal.text import encodable

if TYPE_CHECKING:
    from trio_ingest.testing import Check

_WIDTH: Final = 95


@click.command(short_help="Check an adapter or a sink of your own.")
@click.argument("kind", metavar="adapter|sink", type=click.Choice(["adapter", "sink"]))
@click.argument("factory", metavar="MODULE:NAME")
@click.option(
    "--contents",
    metavar="MODULE:NAME",
    help="sink: a function of a folder that gives the ids of the documents in its sink, each "
    "as often as it is there; without it, only what the sink says of itself is checked.",
)
def check(*, kind: str, factory: str, contents: str | None) -> int:
    """Hold what every adapter, or every sink, must do.

    MODULE:NAME is a class, or a function, that makes one: an adapter of a small source,
    without arguments; a sink in a folder, a pathlib.Path, which is empty or has what an
    earlier sink left there.

    Each check is a line: what must hold, and why it does not. The exit status is 0 when
    all hold, and 1 when one does not. The same checks are in trio_ingest.testing, for
    pytest.
    """
    # Not for every command: it brings a good part of Trio that no run needs.
    from trio_ingest.testing import check_adapter, check_sink  # noqa: PLC0415

    if kind == "adapter" and contents is not None:
        raise click.UsageError("--contents is about a sink; leave it out for an adapter.")
    try:
        make, listed = named(factory), None if contents is None else named(contents)
    except SetupError as error:
        raise click.UsageError(str(error)) from error
    checks = check_adapter(make) if kind == "adapter" else check_sink(make, listed)
    try:
        return _run_each(checks)
    except BrokenPipeError:
        # What could not be written waits in the stream, and would fail once more at the end.
        sys.stdout = io.StringIO()
        return ExitStatus.OUTPUT_CLOSED


def _run_each(checks: list[Check]) -> int:
    passed, failed, skipped = 0, 0, 0
    for one in checks:
        try:
            one()
        except AssertionError as error:
            failed += 1
            _say("FAILED", one, str(error))
        except SystemExit as error:
            failed += 1
            _say("FAILED", one, f"It ended the program: {error!r:.80}.")
        except SkipTest as nothing:
            skipped += 1
            _say("-", one, f"Not checked: {nothing}")
        else:
            passed += 1
            _say("ok", one)
    _print(
        f"\n{len(checks)} checks: {passed} passed, {failed} failed, {skipped} with nothing to "
        f"check."
    )
    return ExitStatus.RUN_FAILED if failed else ExitStatus.DONE


def _say(verdict: str, one: Check, why: str | None = None) -> None:
    _print(f"{verdict:<7} {one.name}: {one.sentence}")
    for line in (why or "").splitlines():
        _print(textwrap.fill(line, _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 8))


def _print(text: str) -> None:
    if sys.stdout is not None:  # it may have been closed before we began
        shown = encodable(text, sys.stdout.encoding or "utf-8")
        print(shown, flush=True)  # noqa: T201 -- it is the answer
