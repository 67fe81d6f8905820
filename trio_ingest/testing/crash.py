"""Kill a program at each step that its sink takes, resume it, and compare."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import attrs

from trio_ingest import SetupError
from trio_ingest.delivery import Guarantee

from ._child import _points

# The interpreter of the child looks here before it runs its program.
_CHILD: Final = str(Path(_points.__file__).parent)

_SHOWN: Final = 3


@attrs.frozen
class CrashReport:
    """What ``crash_everywhere`` did.

    Args:
        points: how many steps an undisturbed run has.
        crashes: at how many of them a run was killed.
        runs: how many processes were started in all.
        fsyncs: how often an undisturbed run made sure that something is on the disk.
    """

    points: int
    crashes: int
    runs: int
    fsyncs: int


def crash_everywhere(
    command: Sequence[str | os.PathLike[str]],
    contents: Callable[[Path], Iterable[Hashable]],
    *,
    resume: Sequence[str | os.PathLike[str]] | None = None,
    guarantee: Guarantee = "exactly-once",
    least_fsyncs: int = 1,
    most: int | None = None,
    timeout_seconds: float = 60.0,
    processes: int | None = None,
) -> CrashReport:
    """Run a program once to count its steps, then once for each, killed there and resumed.

    The steps are: before and after each statement and commit of SQLite, each opening, write,
    fsync, truncation, rename and removal of a file, every tenth row of an ``executemany``,
    and whatever a sink declares with ``trio_ingest.delivery.crash_point``. At each of them a
    real process is killed by SIGKILL, and a new one goes on with what it left.

    A killed process leaves to the system what it has written, so no kill can show that a
    sink forgets to sync: the syncs of an undisturbed run are counted. Those are the calls
    of ``os.fsync`` and ``os.fdatasync``, and the commits of SQLite that wait for the disk.

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
    first = [os.fspath(word) for word in command]
    again = first if resume is None else [os.fspath(word) for word in resume]
    with tempfile.TemporaryDirectory(prefix="crash-everywhere-") as folder:
        runner = _Runner(Path(folder), first, again, contents, guarantee, timeout_seconds)
        quiet = runner.quiet()
        if quiet.fsyncs < least_fsyncs:
            raise AssertionError(
                f"An undisturbed run synced {quiet.fsyncs} times, and least_fsyncs is "
                f"{least_fsyncs}: what it has written can be lost when the machine stops. "
                f"Call os.fsync before a checkpoint is kept (PRAGMA synchronous = FULL in "
                f"SQLite), or give least_fsyncs=0."
            )
        chosen = _spread(len(quiet.points), most)
        crashes = _try_each(runner, chosen, processes or os.cpu_count() or 1)
    return CrashReport(len(quiet.points), crashes, runner.runs, quiet.fsyncs)


def _try_each(runner: _Runner, chosen: Sequence[int], processes: int) -> int:
    """How many runs were killed.

    Raises:
        AssertionError: some were not mended by the run after them.
    """
    crashes, wrong = 0, []
    with ThreadPoolExecutor(processes) as pool:
        attempts = [pool.submit(runner.crash, point) for point in chosen]
        try:
            for attempt in attempts:
                crash = attempt.result()
                crashes += crash.killed is not None
                # Here and not in the pool: whoever wrote ``contents`` thinks of one thread.
                trouble = runner.trouble_of(crash)
                if trouble is not None:
                    wrong.append(trouble)
                    if len(wrong) == _SHOWN:
                        break
        finally:
            pool.shutdown(cancel_futures=True)
    if wrong:
        raise AssertionError("\n".join(wrong))
    return crashes


@attrs.frozen
class _Quiet:
    """What an undisturbed run did."""

    points: list[str]
    fsyncs: int


@attrs.frozen
class _Crash:
    """A run that was killed, and the one after it; ``killed`` says where, or is None."""

    point: int
    place: Path
    killed: str | None
    resumed: _Ended


@attrs.define
class _Runner:
    """Starts the processes, and compares what they leave."""

    folder: Path
    command: list[str]
    resume: list[str]
    contents: Callable[[Path], Iterable[Hashable]]
    guarantee: Guarantee
    timeout_seconds: float
    expected: Counter[Hashable] = attrs.field(factory=Counter)
    points: list[str] = attrs.field(factory=list)
    runs: int = 0

    def quiet(self) -> _Quiet:
        """Run it undisturbed, and once more when there is nothing left to do.

        Raises:
            SetupError: it cannot be judged by this run.
            AssertionError: the second run changed what the first one left.
        """
        place = self._place("quiet")
        ended, told = self._run(self.command, place, None)
        if ended.trouble is not None:
            raise ended.noted(
                SetupError(
                    f"The command {ended.trouble} although nothing disturbed it, so there is "
                    f"nothing to compare with. Mend that first."
                )
            )
        self.points = [f"{one['point']} at {one['place']}" for one in told if "point" in one]
        if not self.points:
            raise ended.noted(
                SetupError(
                    "The command took no step that can be seen: it must be a Python program, "
                    "in whose environment trio_ingest is installed, and write to SQLite or to "
                    "files, or call crash_point."
                )
            )
        self.expected = self._found(place)
        if not self.expected:
            raise SetupError(
                "contents found nothing after an undisturbed run, so nothing could be lost. "
                "Let the command write some documents, and contents read them."
            )
        ended, _ = self._run(self.resume, place, None)
        trouble = self._trouble(ended, place)
        if trouble is not None:
            raise AssertionError(
                f"not killed, and run again when there was nothing left to do: {trouble}"
            )
        return _Quiet(self.points, sum("synced" in one for one in told))

    def crash(self, point: int) -> _Crash:
        """Kill it at one point, and resume it."""
        place = self._place(f"point{point}")
        ended, told = self._run(self.command, place, point)
        killed = [f"{one['killed']} at {one['place']}" for one in told if "killed" in one]
        # The schedule varies, so it may have come to its end a few points earlier.
        if killed or ended.trouble is None:
            resumed, _ = self._run(self.resume, place, None)
        else:
            resumed = ended
        return _Crash(point, place, killed[0] if killed else None, resumed)

    def trouble_of(self, crash: _Crash) -> str | None:
        """What is wrong after it; and what it has left is removed."""
        trouble = self._trouble(crash.resumed, crash.place)
        shutil.rmtree(crash.place)
        if trouble is None:
            return None
        where = self.points[crash.point] if crash.killed is None else crash.killed
        return f"killed {where} (point {crash.point} of {len(self.points)}): {trouble}"

    def _trouble(self, ended: _Ended, place: Path) -> str | None:
        if ended.trouble is not None:
            return f"the run after it {ended.trouble}.{ended.said}"
        found = self._found(place)
        lost, more = self.expected - found, found - self.expected
        strange = Counter(
            {item: count for item, count in more.items() if item not in self.expected}
        )
        twice = more - strange
        said = [
            f"{sum(items.values())} {what}, the first {next(iter(items))!r:.200}"
            for items, what in ((lost, "lost"), (strange, "never written undisturbed"))
            if items
        ]
        if twice and self.guarantee == "exactly-once":
            said.append(
                f"{sum(twice.values())} there twice, the first {next(iter(twice))!r:.200}"
            )
        return "; ".join(said) + "." if said else None

    def _found(self, place: Path) -> Counter[Hashable]:
        try:
            return Counter(self.contents(place))
        except TypeError as error:
            raise SetupError(
                f"contents must give what can be compared and hashed, like texts, numbers and "
                f"tuples: {error}."
            ) from error

    def _place(self, name: str) -> Path:
        place = self.folder / name
        place.mkdir()
        return place

    def _run(
        self, command: list[str], place: Path, fatal: int | None
    ) -> tuple[_Ended, list[dict[str, Any]]]:
        self.runs += 1
        report = self.folder / f"{place.name}.report"
        report.unlink(missing_ok=True)
        orders = _points.Orders(str(report), fatal).to_text()
        paths = [_CHILD, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            _points.ORDERS: orders,
        }
        try:
            done = subprocess.run(  # noqa: S603 - it is the user's own program
                command,
                cwd=place,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=self.timeout_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            limit = f"{self.timeout_seconds:g} seconds"
            ended = _Ended(f"had not ended after {limit}", error.output)
        except OSError as error:
            raise SetupError(f"The command cannot be started: {error}.") from error
        else:
            status = done.returncode
            ended = _Ended(f"ended with {status}" if status else None, done.stdout)
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
        return ended, [json.loads(line) for line in lines]


@attrs.frozen
class _Ended:
    """How a process ended; ``trouble`` is None when all was well."""

    trouble: str | None
    output: bytes | None

    def noted(self, error: SetupError) -> SetupError:
        """The error, with what the process said."""
        if self.output:
            error.add_note(self.said.strip())
        return error

    @property
    def said(self) -> str:
        """The last of its output, for the end of a message."""
        lines = (self.output or b"").decode("utf-8", "replace").splitlines()[-20:]
        return " It said:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""


def _spread(count: int, most: int | None) -> list[int]:
    """Which of so many points are tried."""
    if most is None or most >= count:
        return list(range(count))
    if most < 1:
        raise SetupError(f"most must be at least 1, or None for all; got {most!r:.80}.")
    return sorted({number * count // most for number in range(most)})
