"""``trio-ingest demo``: a real run, killed half way and resumed, and the proof of it."""

from __future__ import annotations

import io
import os
import platform
import shlex
import shutil
import sqlite3
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from trio_ingest.cli.jobs.job import ExitStatus
from trio_ingest.cli.signals import SIGNALS
from trio_ingest.cli.terminal.lines import Outlet
from trio_ingest.cli.terminal.text import encodable

from .library import BROKEN, DemoError, copy_library, readable
from .proof import Proof, look_at, stored
from .runs import Ended, Interruption, ended

_DATABASE: Final = "documents.db"
_WORDS: Final = ("run", "files:library/**/*.py", "--to", f"sqlite:{_DATABASE}", "--full-text")

# What ends a record, as the line of an event begins.
_COMPLETED: Final = b'{"type":"DocumentCompleted"'
_FAILED: Final = b'{"type":"DocumentFailed"'

_MEBIBYTE: Final = 1024 * 1024


def run_demo(*, keep: str | None) -> int:
    """Show the demo.

    Args:
        keep: a directory to leave everything in; a temporary one when None.

    Returns:
        the exit status: 0 when everything adds up.
    """
    interruption = Interruption()
    SIGNALS.listen(interruption.ask)
    try:
        with ExitStack() as stack:
            folder = stack.enter_context(_place(keep))
            # While the directory is removed, a signal would only leave some of it behind.
            stack.callback(SIGNALS.ignore)
            return _shown(folder, interruption, is_kept=keep is not None)
    except KeyboardInterrupt:
        # Below what is left of a live display, whose last line is not ended.
        is_live = sys.stderr is not None and sys.stderr.isatty()
        _complain("\nInterrupted." if is_live else "Interrupted.")
        return SIGNALS.exit_status
    except BrokenPipeError:
        # What could not be written waits in the stream, and would fail once more at the end.
        sys.stdout = io.StringIO()
        return ExitStatus.OUTPUT_CLOSED
    except DemoError as error:
        _complain(f"Error: {error}")
    except (OSError, sqlite3.Error) as error:
        _complain(f"Error: the demo cannot go on: {error}")
    finally:
        SIGNALS.listen_no_more()
    return ExitStatus.RUN_FAILED


@contextmanager
def _place(keep: str | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(
            prefix="trio-ingest-demo-", ignore_cleanup_errors=True
        ) as temporary:
            yield Path(temporary)
        return
    folder = Path(keep)
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise DemoError(
            f"The directory {keep!r:.80} has something in it already; give one that is empty, "
            f"or that does not exist."
        )
    yield folder


def _shown(folder: Path, interruption: Interruption, *, is_kept: bool) -> int:
    began = time.monotonic()
    total = copy_library(folder / "library", check=interruption.check)
    _say(
        f"The source files of the standard library of Python {platform.python_version()}: "
        f"{total:,} of them, and one is broken on purpose.\n"
    )
    database = folder / _DATABASE
    killed, seen = _killed_half_way(folder, interruption, total)
    before = stored(database)
    _say(
        f"\nKilled (SIGKILL) when it had read {seen:,} of {total:,} files. "
        f"{before:,} documents are in the database.\n"
    )
    resumed = _resumed(folder, interruption)
    good, bad = readable(folder / "library")
    proof = look_at(database, good)
    interruption.check()
    _say_proof(proof, good, bad)
    speed = (proof.rows - before) / resumed.seconds
    _say_figure("speed", f"{speed:,.0f} documents/s in the second run, its start included")
    _say_figure("memory", _memory(killed, resumed))
    _say_figure("time", f"{time.monotonic() - began:.1f} seconds for all of this")
    if is_kept:
        _say(f"\nEverything is in {str(folder)!r:.80}.")
    faults = proof.faults(good, bad)
    if resumed.status != ExitStatus.DOCUMENTS_FAILED:
        faults.append(f"The second run ended with the exit status {resumed.status}, not 3.")
    for fault in faults:
        _complain(f"This does not add up: {fault}")
    return ExitStatus.RUN_FAILED if faults else ExitStatus.DONE


def _killed_half_way(
    folder: Path, interruption: Interruption, total: int
) -> tuple[Ended, int]:
    """Begin the run, and kill it when half of the files are done and not all are stored."""
    seen = completed = 0
    words = _said((*_WORDS, "--events", "-"))
    # Read from a pipe, which holds so little that the run cannot get ahead of us.
    with interruption.started(folder, words, is_read=True) as process:
        for line in process.stdout or ():
            completed += line.startswith(_COMPLETED)
            seen += line.startswith((_COMPLETED, _FAILED))
            if seen >= total // 2 and 0 < stored(folder / _DATABASE) < completed:
                process.kill()
                return ended(process), seen
        interruption.check()
        raise DemoError(
            f"The first run {ended(process).how} before the demo could kill it. What it says "
            f"above tells why."
        )


def _resumed(folder: Path, interruption: Interruption) -> Ended:
    words = _said((*_WORDS, "--resume"))
    with interruption.started(folder, words, is_read=False) as process:
        resumed = ended(process)
    interruption.check()
    if resumed.status not in {ExitStatus.DONE, ExitStatus.DOCUMENTS_FAILED}:
        raise DemoError(
            f"The second run {resumed.how} before it was done. What it says above tells why."
        )
    return resumed


def _said(words: tuple[str, ...]) -> tuple[str, ...]:
    """The words of a run, shown as a user would type them."""
    _say(f"$ trio-ingest {shlex.join(words)}", bold=True)
    return words


def _say_proof(proof: Proof, good: set[str], bad: set[str]) -> None:
    _say("\nThe proof", bold=True)
    _say_figure("files", f"{len(good) + len(bad):,}, of which {len(good):,} are UTF-8")
    each = "each exactly once" if not proof.faults(good, bad) else "and that is wrong"
    _say_figure(
        "documents", f"{proof.rows:,} in the database, with {proof.distinct:,} ids: {each}"
    )
    failed = dict(proof.failed)
    _say_figure("failed", f"{len(proof.failed):,}, each kept with its error, such as")
    _say_figure("", failed.get(BROKEN, f"{BROKEN} is not among them"))
    for doc_id, text in proof.hits[:1]:
        _say_figure("search", f"{proof.query} is best found in {doc_id}:")
        _say_figure("", text)


def _memory(*runs: Ended) -> str:
    peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
    return f"{max(peaks) / _MEBIBYTE:,.0f} MiB at most" if peaks else "not told by this system"


def _say_figure(name: str, text: str) -> None:
    first = f"  {name:<11}"
    if sys.stdout is not None and sys.stdout.isatty():
        # Where the terminal broke the line, the next one would not stand below its figure.
        columns = max(shutil.get_terminal_size().columns - 1, 2 * len(first))
        _say(textwrap.fill(text, columns, initial_indent=first, subsequent_indent=" " * 13))
    else:
        _say(first + text)


def _say(text: str, *, bold: bool = False) -> None:
    if sys.stdout is None:
        return  # it was closed before we began, so it has no reader
    shown = encodable(text, sys.stdout.encoding or "utf-8")
    is_bold = bold and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\033[1m{shown}\033[0m" if is_bold else shown, flush=True)  # noqa: T201 -- the answer


def _complain(text: str) -> None:
    # Read or not, the exit status tells.
    outlet = Outlet(sys.stderr)
    outlet.write(f"{text}\n")
    outlet.flush()
