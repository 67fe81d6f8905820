"""A run of a program for each step of its sink, killed there, resumed, and compared."""

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

from ._runs import CrashRunner, UndisturbedRun


@attrs.frozen
class CrashReport:
    """The extent of a check by ``crash_everywhere``.

    Args:
        points: how many steps an undisturbed run has.
        crashes: at how many of them a run was killed.
        runs: how many processes were started in all.
        fsyncs: how often an undisturbed run synced.
        crashes_again: how many of the runs after a crash were killed too.
    """

    __module__ = "trio_ingest.testing"

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
    and each call of ``trio_ingest.delivery.crash_point``. At each of them a real process is
    killed by SIGKILL. The process that resumes is killed too, at one of its own steps, and a
    third one comes to the end.

    A killed process leaves its writes to the system, so no kill can show that a sink forgets
    to sync: the syncs of an undisturbed run are counted. Those are the calls of ``os.fsync``
    and ``os.fdatasync``, and the commits of SQLite that wait for the disk. A file that was
    written and not synced at the end is an error.

    Not seen are processes that the program starts or forks, memory maps, other databases, and
    C code that writes by itself; declare the steps of those. The number of steps should not
    depend on time.

    Interrupted by Ctrl-C, it waits for the processes under way, and removes its directories.
    Memory: a line for each step, and twice what ``contents`` gives.

    Args:
        command: a Python program and its arguments, in whose environment trio_ingest is
            installed; run in an empty directory of its own for each step. It must end with
            the exit status 0.
        contents: reads such a directory afterwards: texts, numbers or tuples, one for each
            document that the sink has, in any order.
        resume: the program that resumes; ``command`` when None.
        guarantee: ``"exactly-once"`` when no document may be there twice.
        least_fsyncs: how often an undisturbed run must sync at least; 0 for a sink that
            leaves that to another program.
        may_be_unsynced: patterns of file names, as for ``Path.match``, that may be lost, such
            as logs or lock files.
        most: the most steps to try, spread over the run; all when None.
        timeout_seconds: how long one process may take.
        processes: how many run side by side; as many as there are processors when None.

    Returns:
        the extent of the check; compare ``crashes`` with ``points`` when ``most`` is given.

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
        runner = CrashRunner(Path(folder), first, later, contents, guarantee, timeout_seconds)
        undisturbed = runner.run_undisturbed()
        if least_fsyncs:
            _check_syncs(undisturbed, least_fsyncs, may_be_unsynced)
        points = len(undisturbed.points)
        chosen = _spread(points, most)
        crashes, again = _try_each(runner, chosen, processes or os.cpu_count() or 1)
    return CrashReport(points, crashes, runner.runs, undisturbed.fsyncs, again)


def _check_syncs(
    undisturbed: UndisturbedRun, least: int, may_be_unsynced: Sequence[str]
) -> None:
    """Check that the files of an undisturbed run are on the disk.

    Raises:
        AssertionError: they are not.
    """
    if undisturbed.fsyncs < least:
        raise AssertionError(
            f"An undisturbed run synced {undisturbed.fsyncs} times, and least_fsyncs is "
            f"{least}: what it has written can be lost when the machine stops. Call os.fsync "
            f"before a checkpoint is kept (PRAGMA synchronous = FULL in SQLite), or give "
            f"least_fsyncs=0."
        )
    unsynced = [
        name
        for name in undisturbed.unsynced
        if not any(PurePath(name).match(pattern) for pattern in may_be_unsynced)
    ]
    if unsynced:
        raise AssertionError(
            f"An undisturbed run left {len(unsynced)} files written and not synced, the first "
            f"{unsynced[0]!r:.200}: they can be lost when the machine stops. Call os.fsync "
            f"when they are written, or name them in may_be_unsynced."
        )


def _try_each(runner: CrashRunner, chosen: Sequence[int], processes: int) -> tuple[int, int]:
    """Return the number of runs that were killed, and of those after them.

    Raises:
        AssertionError: a crash was not mended by the run after it.
    """
    crashes = again = 0
    with ThreadPoolExecutor(processes) as pool:
        attempts = [pool.submit(runner.crash, point) for point in chosen]
        try:
            for attempt in attempts:
                crash = attempt.result()
                crashes += crash.killed is not None
                again += crash.killed_again is not None
                # Not in the pool: ``contents`` is called in one thread only.
                problem = runner.problem_after(crash)
                if problem is not None:
                    raise AssertionError(problem)
        finally:
            pool.shutdown(cancel_futures=True)
    return crashes, again


def _spread(count: int, most: int | None) -> list[int]:
    """Choose the points to try, of so many."""
    if most is None or most >= count:
        return list(range(count))
    if most < 1:
        raise SetupError(f"most must be at least 1, or None for all; got {most!r:.80}.")
    return sorted({number * count // most for number in range(most)})


def _absolute(command: Sequence[str | os.PathLike[str]]) -> list[str]:
    """Return the command, to be run in another directory than this one."""
    words = [os.fspath(word) for word in command]
    # The interpreter or the script; later words are for the program to understand.
    return [
        str(Path(word).absolute()) if index < 2 and Path(word).is_file() else word
        for index, word in enumerate(words)
    ]
