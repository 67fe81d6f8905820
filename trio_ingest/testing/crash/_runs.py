"""The processes that ``crash_everywhere`` starts, and the comparison of their results."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import attrs

from trio_ingest import SetupError
from trio_ingest.delivery import Guarantee
from trio_ingest.testing._crash_child import _steps

# The interpreter of the child looks for sitecustomize here before it runs its program.
_CHILD: Final = str(Path(_steps.__file__).parent)

# Chooses the step at which a run after a crash is killed too: spread, so not all alike.
_STRIDE: Final = 37

# The lines that a process reported.
_Lines: TypeAlias = list[dict[str, Any]]


@attrs.frozen
class UndisturbedRun:
    """The steps and syncs of a run that was not killed."""

    points: list[str]
    fsyncs: int
    unsynced: list[str]


@attrs.frozen
class _ProcessResult:
    """The end of a process; ``problem`` is None when its exit status was 0."""

    problem: str | None
    output: bytes

    def noted(self, error: SetupError) -> SetupError:
        """Return the error, with the output as a note."""
        if self.output:
            error.add_note(self.tail.strip())
        return error

    @property
    def tail(self) -> str:
        """The last lines of the output, for the end of a message."""
        lines = self.output.decode("utf-8", "replace").splitlines()[-20:]
        return " It said:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""


@attrs.frozen
class CrashAttempt:
    """A run to be killed, and those after it; ``killed`` is the location, or None."""

    point: int
    folder: Path
    killed: str | None
    killed_again: str | None
    resumed: _ProcessResult


@attrs.define
class CrashRunner:
    """A starter of processes that compares their results."""

    folder: Path
    command: list[str]
    resume: list[str]
    contents: Callable[[Path], Iterable[Hashable]]
    guarantee: Guarantee
    timeout_seconds: float
    expected: Counter[Hashable] = attrs.field(factory=Counter)
    points: list[str] = attrs.field(factory=list)
    runs: int = 0

    def run_undisturbed(self) -> UndisturbedRun:
        """Run it undisturbed, and once more when there is nothing left to do.

        Raises:
            SetupError: later runs cannot be compared with it.
            AssertionError: the second run changed the result of the first one.
        """
        folder = self._new_folder("undisturbed")
        result, lines = self._run(self.command, folder, None)
        if result.problem is not None:
            raise result.noted(
                SetupError(
                    f"The command {result.problem} although nothing disturbed it, so there is "
                    f"nothing to compare with. Mend that first."
                )
            )
        self.points = _steps_in(lines, "point")
        if not self.points:
            raise result.noted(
                SetupError(
                    "The command took no step that can be seen: it must be a Python program, "
                    "in whose environment trio_ingest is installed, and write to SQLite or to "
                    "files, or call crash_point."
                )
            )
        unsynced = _unsynced(lines, folder)
        self.expected = self._read_expected(folder)
        result, _ = self._run(self.resume, folder, None)
        problem = self._problem(result, folder)
        if problem is not None:
            raise AssertionError(
                f"not killed, and run again when there was nothing left to do: {problem}"
            )
        return UndisturbedRun(self.points, sum("synced" in one for one in lines), unsynced)

    def crash(self, point: int, *, twice: bool = True) -> CrashAttempt:
        """Kill it at one point, and resume it; ``twice``: kill that run, too."""
        folder = self._new_folder(f"point{point}")
        result, lines = self._run(self.command, folder, point)
        killed, again = _killed(lines), None
        # The schedule varies, so it may have come to its end a few points earlier.
        if killed is not None or result.problem is None:
            later = (point * _STRIDE) % len(self.points) if twice else None
            result, lines = self._run(self.resume, folder, later)
            again = _killed(lines)
        if again is not None or result.problem is None:
            result, _ = self._run(self.resume, folder, None)
        return CrashAttempt(point, folder, killed, again, result)

    def problem_after(self, crash: CrashAttempt) -> str | None:
        """Return the problem that a crash has left, if any; remove its folder."""
        problem = self._problem(crash.resumed, crash.folder)
        shutil.rmtree(crash.folder)
        if problem is None:
            return None
        if crash.killed_again is not None:
            # One crash is easier to understand, if it is enough.
            simpler = self.problem_after(self.crash(crash.point, twice=False))
            if simpler is not None:
                return simpler
        location = self.points[crash.point] if crash.killed is None else crash.killed
        then = "" if crash.killed_again is None else f", and then {crash.killed_again}"
        total = len(self.points)
        return f"killed {location} (point {crash.point} of {total}){then}: {problem}"

    def _problem(self, result: _ProcessResult, folder: Path) -> str | None:
        if result.problem is not None:
            return f"the run after it {result.problem}.{result.tail}"
        try:
            found = Counter(self.contents(folder))
        except Exception as error:  # noqa: BLE001 -- the files may be damaged
            return f"contents raised {type(error).__name__}: {error}."
        lost, more = self.expected - found, found - self.expected
        strange = Counter({item: more[item] for item in more if item not in self.expected})
        kinds = [(lost, "lost"), (strange, "never written undisturbed")]
        if self.guarantee == "exactly-once":
            kinds.append((more - strange, "there twice"))
        parts = [
            f"{sum(items.values())} {kind}, the first {next(iter(items))!r:.200}"
            for items, kind in kinds
            if items
        ]
        return "; ".join(parts) + "." if parts else None

    def _read_expected(self, folder: Path) -> Counter[Hashable]:
        found = list(self.contents(folder))
        if not found:
            raise SetupError(
                "contents found nothing after an undisturbed run, so nothing could be lost. "
                "Let the command write some documents, and contents read them."
            )
        try:
            return Counter(found)
        except TypeError as error:
            raise SetupError(
                f"contents must give what can be compared and hashed, like texts, numbers and "
                f"tuples: {error}."
            ) from error

    def _new_folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir()
        return folder

    def _run(
        self, command: list[str], folder: Path, fatal: int | None
    ) -> tuple[_ProcessResult, _Lines]:
        self.runs += 1
        report = self.folder / f"{folder.name}.report"
        report.unlink(missing_ok=True)
        # The last one, for a command that is run as ``-m`` in the current directory.
        paths = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), os.curdir]
        paths = [_CHILD, *(str(Path(path).absolute()) for path in paths if path)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            _steps.VARIABLE: json.dumps({"report": str(report), "fatal": fatal}),
        }
        with tempfile.TemporaryFile() as output:
            result = self._wait(command, folder, environment, output)
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
        return result, [json.loads(line) for line in lines]

    def _wait(
        self, command: list[str], folder: Path, environment: dict[str, str], output: IO[bytes]
    ) -> _ProcessResult:
        try:
            # Not into a pipe, which the program's own children could hold open after its end.
            process = subprocess.Popen(  # noqa: S603 - it is the user's own program
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise SetupError(f"The command cannot be started: {error}.") from error
        try:
            status = process.wait(self.timeout_seconds)
            problem = f"ended with {status}" if status else None
        except subprocess.TimeoutExpired:
            problem = f"had not ended after {self.timeout_seconds:g} seconds"
        finally:
            # All of its session: workers that have lost their parent would wait for ever.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return _ProcessResult(problem, output.read())


def _killed(lines: _Lines) -> str | None:
    """Return the step and location at which a process was killed."""
    return next(iter(_steps_in(lines, "killed")), None)


def _steps_in(lines: _Lines, fact: str) -> list[str]:
    """List the steps that were reported as passed ("point") or as fatal ("killed")."""
    return [f"{line[fact]} at {line['location']}" for line in lines if fact in line]


def _unsynced(lines: _Lines, folder: Path) -> list[str]:
    """List the files of a folder that were written and not synced by the end."""
    dirty: set[tuple[int, int]] = set()
    for one in lines:
        if one.get("wrote"):
            dirty.add(tuple(one["wrote"]))
        elif one.get("synced"):
            dirty.discard(tuple(one["synced"]))
    names = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            found = path.stat()
            if (found.st_dev, found.st_ino) in dirty:
                names.append(path.relative_to(folder).as_posix())
    return names
