"""Kill a program at each step that its sink takes, resume it, and compare."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

import attrs

from trio_ingest import SetupError
from trio_ingest.delivery import Guarantee

from ._runs import Quiet, Runner


@attrs.frozen
class CrashReport:
    """What ``crash_everywhere`` did.

    Args:
        points: how many steps an undisturbed run has.
        crashes: at how many of them a run was killed.
        runs: how many processes were started in all.
        fsyncs: how often an undisturbed run made sure that something is on the disk.
        crashes_again: how many of the runs after a crash were killed too, before another
            one went on.
    """

    points: int
    crashes: int
    runs: int
    fsyncs: int
    crashes_again: int


def crash_everywhere(  # noqa: PLR0913 -- all but two have a default
    command: Sequence[str | os.PathLike[str]],
    contents: Callable[[Path], Iterable[Hashable]],
    *,
    resume: Sequence[str | os.PathLike[str]] | None = None,
    guarantee: Guarantee = "exactly-once",
    least_fsyncs: int = 1,
    may_be_unsynced: Sequence[str] = (),
    most: int | None = None,
    timeout_seconds: float = 60.0,
    processes: int | None = None,
) -> CrashReport:
    """Run a program once to count its steps, then once for each, killed there and resumed.

    The steps are: before and after each statement and commit of SQLite, each opening, write,
    fsync, truncation, rename and removal of a file, every tenth row of an ``executemany``,
    and whatever a sink declares with ``trio_ingest.delivery.crash_point``. At each of them a
    real process is killed by SIGKILL, and a new one goes on with what it left. That one is
    killed too, at one of its own steps, so that what it does to go on is tried as well; the
    next one comes to the end.

    A killed process leaves to the system what it has written, so no kill can show that a
    sink forgets to sync: the syncs of an undisturbed run are counted. Those are the calls
    of ``os.fsync`` and ``os.fdatasync``, and the commits of SQLite that wait for the disk. A
    file that was written and not synced at the end is an error.

    What is not seen: processes that the program starts or forks, memory maps, other
    databases, and C code that writes by itself; declare the steps of those. Of time, a
    run that is killed knows nothing, so the number of steps should not depend on it.

    Args:
        command: a Python program and its arguments, in whose environment trio_ingest is
            installed; run in an empty directory of its own for each step. It must end with
            the exit status 0.
        contents: what is in such a directory afterwards: texts, numbers or tuples, one for
            each document that the sink has, in any order.
        resume: the program that goes on; the same one when left out.
        guarantee: ``"exactly-once"`` when no document may be there twice.
        least_fsyncs: how often an undisturbed run must sync at least; 0 for a sink that
            leaves that to somebody else.
        may_be_unsynced: patterns of file names, as for ``Path.match``, that may be left
            unsynced, because they may be lost: logs, or lock files.
        most: try only so many steps, spread over the run; all when None.
        timeout_seconds: how long one process may take.
        processes: how many run side by side; as many as there are processors when None.

    Returns:
        what was tried; compare ``crashes`` with ``points`` when ``most`` is given.

    Raises:
        SetupError: the undisturbed run fails, has no steps, or leaves nothing.
        AssertionError: something was lost, was there twice, or was never written by an
            undisturbed run; a resumed run failed; or there were too few syncs. The message
            says at which line of the program it was killed.
    """
    if not hasattr(signal, "SIGKILL"):
        raise SetupError("crash_everywhere needs SIGKILL, which this system does not have.")
    first = _absolute(command)
    later = first if resume is None else _absolute(resume)
    with tempfile.TemporaryDirectory(prefix="crash-everywhere-") as folder:
        runner = Runner(Path(folder), first, later, contents, guarantee, timeout_seconds)
        quiet = runner.quiet()
        if least_fsyncs:
            _check_syncs(quiet, least_fsyncs, may_be_unsynced)
        chosen = _spread(len(quiet.points), most)
        crashes, again = _try_each(runner, chosen, processes or os.cpu_count() or 1)
    return CrashReport(len(quiet.points), crashes, runner.runs, quiet.fsyncs, again)


def _check_syncs(quiet: Quiet, least: int, may_be_unsynced: Sequence[str]) -> None:
    """Hold that what an undisturbed run has written is on the disk.

    Raises:
        AssertionError: it is not.
    """
    if quiet.fsyncs < least:
        raise AssertionError(
            f"An undisturbed run synced {quiet.fsyncs} times, and least_fsyncs is {least}: "
            f"what it has written can be lost when the machine stops. Call os.fsync before a "
            f"checkpoint is kept (PRAGMA synchronous = FULL in SQLite), or give "
            f"least_fsyncs=0."
        )
    unsynced = [
        name
        for name in quiet.unsynced
        if not any(PurePath(name).match(pattern) for pattern in may_be_unsynced)
    ]
    if unsynced:
        raise AssertionError(
            f"An undisturbed run left {len(unsynced)} files written and not synced, the first "
            f"{unsynced[0]!r:.200}: they can be lost when the machine stops. Call os.fsync "
            f"when they are written, or name them in may_be_unsynced."
        )


def _try_each(runner: Runner, chosen: Sequence[int], processes: int) -> tuple[int, int]:
    """How many runs were killed, and how many of those after them.

    Raises:
        AssertionError: one was not mended by the run after it.
    """
    crashes = again = 0
    with ThreadPoolExecutor(processes) as pool:
        attempts = [pool.submit(runner.crash, point) for point in chosen]
        try:
            for attempt in attempts:
                crash = attempt.result()
                crashes += crash.killed is not None
                again += crash.killed_again is not None
                # Here and not in the pool: whoever wrote ``contents`` thinks of one thread.
                trouble = runner.trouble_of(crash)
                if trouble is not None:
                    raise AssertionError(trouble)
        finally:
            pool.shutdown(cancel_futures=True)
    return crashes, again


def _spread(count: int, most: int | None) -> list[int]:
    """Which of so many points are tried."""
    if most is None or most >= count:
        return list(range(count))
    if most < 1:
        raise SetupError(f"most must be at least 1, or None for all; got {most!r:.80}.")
    return sorted({number * count // most for number in range(most)})


def _absolute(command: Sequence[str | os.PathLike[str]]) -> list[str]:
    """The command, to be run in another directory than this one."""
    words = [os.fspath(word) for word in command]
    # The interpreter or the script; whatever comes later is for the program to understand.
    return [
        str(Path(word).absolute()) if place < 2 and Path(word).is_file() else word
        for place, word in enumerate(words)
    ]
