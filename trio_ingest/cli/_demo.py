"""``trio-ingest demo``: a real run, killed half way and resumed, and the proof of it."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NoReturn

import attrs

from ._demo_library import BROKEN, DemoError, copy_library, readable
from ._demo_proof import Proof, look_at, stored
from ._job import ExitStatus
from ._signals import SIGNALS

_DATABASE: Final = "documents.db"
_WORDS: Final = ("run", "files:library/**/*.py", "--to", f"sqlite:{_DATABASE}", "--full-text")

# What ends a record, as the line of an event begins.
_ENDS: Final = (b'{"type": "DocumentCompleted"', b'{"type": "DocumentFailed"')

_MEBIBYTE: Final = 1024 * 1024


def run_demo(*, keep: str | None) -> int:
    """Show the demo.

    Args:
        keep: a directory to leave everything in; a temporary one when None.

    Returns:
        the exit status: 0 when everything adds up.
    """
    SIGNALS.listen(_interrupt)
    try:
        with _place(keep) as folder:
            return _shown(folder, is_kept=keep is not None)
    except KeyboardInterrupt:
        _complain("Interrupted.")
        return SIGNALS.exit_status
    except BrokenPipeError:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115 -- to the end
        return ExitStatus.OUTPUT_CLOSED
    except DemoError as error:
        _complain(f"Error: {error}")
    except (OSError, sqlite3.Error, shutil.Error) as error:
        _complain(f"Error: the demo cannot go on: {error}")
    finally:
        SIGNALS.listen_no_more()
    return ExitStatus.RUN_FAILED


def _interrupt(_times: int) -> NoReturn:
    raise KeyboardInterrupt


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


@attrs.frozen
class _Child:
    """A run that has ended.

    Args:
        status: its exit status; negative for the signal that killed it.
        seconds: how long it took.
        peak_bytes: the most memory it had, or None where the system does not tell.
    """

    status: int
    seconds: float
    peak_bytes: int | None


def _shown(folder: Path, *, is_kept: bool) -> int:
    began = time.monotonic()
    total = copy_library(folder / "library")
    _say(
        f"The source files of the standard library of Python {platform.python_version()}: "
        f"{total:,} of them, and one is broken on purpose.\n"
    )
    database = folder / _DATABASE
    killed, seen = _killed_half_way(folder, database, total)
    before = stored(database)
    _say(
        f"\nKilled (SIGKILL) when it had read {seen:,} of {total:,} files. "
        f"{before:,} documents are in the database.\n"
    )
    resumed = _resumed(folder)
    good, bad = readable(folder / "library")
    proof = look_at(database, good)
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


def _killed_half_way(folder: Path, database: Path, total: int) -> tuple[_Child, int]:
    """Begin the run, and kill it when half of the files are done and some are stored."""
    # Read from a pipe, which holds so little that the run cannot get ahead of us.
    with _started(folder, "--events", "-") as process:
        seen = 0
        for line in process.stdout or ():
            seen += line.startswith(_ENDS)
            if seen >= total // 2 and stored(database):
                break
        process.kill()
        child = _ended(process)
    _show_cursor()
    if child.status >= 0:
        raise DemoError(
            f"The first run ended by itself, with the exit status {child.status}, before it "
            f"could be killed. What it says above tells why."
        )
    return child, seen


def _show_cursor() -> None:
    # Hidden by the live display, which had no time to bring it back.
    if sys.stderr is not None and sys.stderr.isatty():
        sys.stderr.write("\033[?25h")
        sys.stderr.flush()


def _resumed(folder: Path) -> _Child:
    with _started(folder, "--resume") as process:
        return _ended(process)


@contextmanager
def _started(folder: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A run as a user would start it; it is gone when the block is left."""
    shown = " ".join(f"'{word}'" if "*" in word else word for word in (*_WORDS, *more))
    _say(f"$ trio-ingest {shown}", bold=True)
    process = subprocess.Popen(  # noqa: S603 -- ourselves
        [sys.executable, "-m", "trio_ingest", *_WORDS, *more],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": _import_path()},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if "--events" in more else None,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _import_path() -> str:
    """Where the child finds this very package: it has a folder of its own."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def _ended(process: subprocess.Popen[bytes]) -> _Child:
    began = time.monotonic()
    if not hasattr(os, "wait4"):
        return _Child(process.wait(), time.monotonic() - began, None)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if sys.platform == "darwin" else 1024
    return _Child(process.returncode, time.monotonic() - began, usage.ru_maxrss * unit)


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


def _memory(*children: _Child) -> str:
    peaks = [child.peak_bytes for child in children if child.peak_bytes is not None]
    return f"{max(peaks) / _MEBIBYTE:,.0f} MiB at most" if peaks else "not told by this system"


def _say_figure(name: str, text: str) -> None:
    _say(f"  {name:<11}{text}")


def _say(text: str, *, bold: bool = False) -> None:
    is_bold = bold and sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(f"\033[1m{text}\033[0m" if is_bold else text, flush=True)  # noqa: T201 -- the answer


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 -- what went wrong
