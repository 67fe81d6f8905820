"""The processes that ``crash_everywhere`` starts, and what they leave."""

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
from typing import IO, Any, Final

import attrs

from trio_ingest import SetupError
from trio_ingest.delivery import Guarantee
from trio_ingest.testing._crash_child import _steps

# The interpreter of the child looks here before it runs its program.
_CHILD: Final = str(Path(_steps.__file__).parent)

# Steps of the run after a crash at which it is killed too: spread, and any but all alike.
_STRIDE: Final = 37


@attrs.frozen
class Quiet:
    """What an undisturbed run did."""

    points: list[str]
    fsyncs: int
    unsynced: list[str]


@attrs.frozen
class Crash:
    """A run that was killed, and those after it; ``killed`` says where, or is None."""

    point: int
    place: Path
    killed: str | None
    killed_again: str | None
    resumed: _Ended


@attrs.define
class Runner:
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

    def quiet(self) -> Quiet:
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
        unsynced = _unsynced(told, place)
        self.expected = self._expected(place)
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
        return Quiet(self.points, sum("synced" in one for one in told), unsynced)

    def crash(self, point: int, *, twice: bool = True) -> Crash:
        """Kill it at one point, and resume it; ``twice``: kill that run, too."""
        place = self._place(f"point{point}")
        ended, told = self._run(self.command, place, point)
        killed, again = _killed(told), None
        # The schedule varies, so it may have come to its end a few points earlier.
        if killed is not None or ended.trouble is None:
            later = (point * _STRIDE) % len(self.points) if twice else None
            ended, told = self._run(self.resume, place, later)
            again = _killed(told)
        if again is not None or ended.trouble is None:
            ended, _ = self._run(self.resume, place, None)
        return Crash(point, place, killed, again, ended)

    def trouble_of(self, crash: Crash) -> str | None:
        """What is wrong after it; and what it has left is removed."""
        trouble = self._trouble(crash.resumed, crash.place)
        shutil.rmtree(crash.place)
        if trouble is None:
            return None
        if crash.killed_again is not None:
            # One crash is easier to understand, if it is enough.
            simpler = self.trouble_of(self.crash(crash.point, twice=False))
            if simpler is not None:
                return simpler
        where = self.points[crash.point] if crash.killed is None else crash.killed
        then = "" if crash.killed_again is None else f", and then {crash.killed_again}"
        total = len(self.points)
        return f"killed {where} (point {crash.point} of {total}){then}: {trouble}"

    def _trouble(self, ended: _Ended, place: Path) -> str | None:
        if ended.trouble is not None:
            return f"the run after it {ended.trouble}.{ended.said}"
        try:
            found = Counter(self.contents(place))
        except Exception as error:  # noqa: BLE001 -- what it is given may be damaged
            return f"contents raised {type(error).__name__}: {error}."
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

    def _expected(self, place: Path) -> Counter[Hashable]:
        found = list(self.contents(place))
        try:
            return Counter(found)
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
        orders = _steps.Orders(str(report), fatal).to_text()
        # The last one, for a command that is run as ``-m`` in the current directory.
        paths = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), os.curdir]
        paths = [_CHILD, *(str(Path(path).absolute()) for path in paths if path)]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            _steps.ORDERS: orders,
        }
        with tempfile.TemporaryFile() as output:
            ended = self._ended(command, place, environment, output)
        lines = report.read_text("utf-8").splitlines() if report.exists() else []
        return ended, [json.loads(line) for line in lines]

    def _ended(
        self, command: list[str], place: Path, environment: dict[str, str], output: IO[bytes]
    ) -> _Ended:
        try:
            # Not into a pipe, which what it has started could hold open after its end.
            process = subprocess.Popen(  # noqa: S603 - it is the user's own program
                command,
                cwd=place,
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
            trouble = f"ended with {status}" if status else None
        except subprocess.TimeoutExpired:
            trouble = f"had not ended after {self.timeout_seconds:g} seconds"
        finally:
            # All of its session: workers that have lost their parent would wait for ever.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        output.seek(0)
        return _Ended(trouble, output.read())


def _killed(told: list[dict[str, Any]]) -> str | None:
    """Where a process was killed."""
    return next((f"{o['killed']} at {o['place']}" for o in told if "killed" in o), None)


def _unsynced(told: list[dict[str, Any]], place: Path) -> list[str]:
    """The files that were written and not synced by the end, of those that are there."""
    dirty: set[tuple[int, int]] = set()
    for one in told:
        if one.get("wrote"):
            dirty.add(tuple(one["wrote"]))
        elif one.get("synced"):
            dirty.discard(tuple(one["synced"]))
    names = []
    for path in sorted(place.rglob("*")):
        if path.is_file():
            found = path.stat()
            if (found.st_dev, found.st_ino) in dirty:
                names.append(path.relative_to(place).as_posix())
    return names


@attrs.frozen
class _Ended:
    """How a process ended; ``trouble`` is None when all was well."""

    trouble: str | None
    output: bytes

    def noted(self, error: SetupError) -> SetupError:
        """The error, with what the process said."""
        if self.output:
            error.add_note(self.said.strip())
        return error

    @property
    def said(self) -> str:
        """The last of its output, for the end of a message."""
        lines = self.output.decode("utf-8", "replace").splitlines()[-20:]
        return " It said:\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
