"""The runs of the demo: processes of their own, of which none is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs

from trio_ingest.cli.signals import SHOW_CURSOR
from trio_ingest.cli.terminal.lines import Outlet


class Interruption:
    """The wish that the demo ends, kept until it can be followed.

    An exception out of a signal's handler could come between a process and the code that is to
    end it, or while the directory is removed. So the handler kills the run that is going
    on and notes the wish, and the demo looks at it wherever it can stop.
    """

    def __init__(self) -> None:
        self._is_wanted = False
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, _times: int) -> None:
        """End the demo; called by the handler of the signal, between any two steps."""
        self._is_wanted = True
        if self._process is not None:
            self._process.kill()

    def check(self) -> None:
        """Stop here when that is wanted.

        Raises:
            KeyboardInterrupt: it is.
        """
        if self._is_wanted:
            raise KeyboardInterrupt

    @contextmanager
    def started(
        self, folder: Path, words: Sequence[str], *, is_read: bool
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A run of ``trio-ingest`` with these words; it is gone when the block is left.

        Args:
            folder: where it works.
            words: after the program's name.
            is_read: whether what it writes to standard output is for the block.
        """
        process = subprocess.Popen(  # noqa: S603 -- ourselves
            [sys.executable, "-m", "trio_ingest", *words],
            cwd=folder,
            env={**os.environ, **_import_path()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_read else None,
        )
        try:
            self._process = process
            self.check()
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                process.wait()
            self._process = None
            if process.stdout is not None:
                process.stdout.close()
            _show_cursor()


@attrs.frozen
class Ended:
    """A run that has ended.

    Args:
        status: its exit status; negative for the signal that killed it.
        seconds: how long we have waited for it.
        peak_bytes: the most memory it had, or None where the system does not tell.
    """

    status: int
    seconds: float
    peak_bytes: int | None

    @property
    def how(self) -> str:
        """The end in words."""
        if self.status < 0:
            return f"was killed by signal {-self.status}"
        return f"ended with the exit status {self.status}"


def ended(process: subprocess.Popen[bytes]) -> Ended:
    """Wait for the end of a run."""
    began = time.monotonic()
    peak = None
    # An interruption kills the run, and may be told of its end before we are.
    with suppress(ChildProcessError):
        peak = _wait(process)
    return Ended(process.wait(), time.monotonic() - began, peak)


def _wait(process: subprocess.Popen[bytes]) -> int | None:
    if not hasattr(os, "wait4"):
        return None
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _import_path() -> dict[str, str]:
    """The environment in which the run finds this very package, from a folder of its own."""
    here = Path(__file__).resolve().parents[3]
    given = [
        Path(entry) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry
    ]
    # Where packages are installed it is found anyway, and first in the path everything
    # else in there would hide modules of Python's own.
    ours = [] if here == Path(sysconfig.get_path("purelib")).resolve() else [here]
    paths = [str(path.absolute()) for path in (*ours, *given)]
    return {"PYTHONPATH": os.pathsep.join(paths)} if paths else {}


def _show_cursor() -> None:
    # Hidden by the live display; a run that is killed has no time to bring it back.
    if sys.stderr is not None and sys.stderr.isatty():
        outlet = Outlet(sys.stderr)
        outlet.write(SHOW_CURSOR)
        outlet.flush()
