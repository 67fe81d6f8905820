"""A run of a function for each of its cancellation points, cancelled there."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import attrs
import trio
from trio.testing import MockClock

from trio_ingest import SetupError
from trio_ingest._engine import channel as _channel
from trio_ingest.testing._deadline import (
    discarding_interrupted_run,
    find_deadline,
    real_deadline,
)
from trio_ingest.testing._locations import raise_location, task_location, task_locations
from trio_ingest.testing._trio_internals import seeded_schedule
from trio_ingest.testing._virtual_time import run_in_virtual_time

from ._faults import FaultDetector


@attrs.frozen
class CancellationReport:
    """The extent of a check by ``cancel_everywhere``.

    Args:
        points: how many cancellation points the function has, with the channel's fast
            path on.
        points_slow: the same with the fast path off, where every event is one.
        runs: how many runs were made in all.
    """

    __module__ = "trio_ingest.testing"

    points: int
    points_slow: int
    runs: int


def cancel_everywhere(
    fn: Callable[[], Awaitable[object]],
    *,
    seed: int = 0,
    limit: int = 10_000,
    deadline_seconds: float = 30.0,
) -> CancellationReport:
    """Run ``fn`` once to count its cancellation points, then once for each, cancelled there.

    Time is virtual. Each task step counts as a point, so that a cancellation also falls on
    tasks that are waiting. The schedule is drawn from ``seed``: a point is the same each time,
    unless threads, files or sockets have a part in it.

    Besides the assertions of ``fn``, it finds code under test that swallows ``Cancelled``,
    that awaits without a shield while it cleans up after a cancellation, that yields inside
    a cancel scope or a nursery, and that hangs.

    Interrupted by Ctrl-C, it leaves nothing behind. Memory: one run.

    Args:
        fn: an async function without arguments, which makes what it needs itself, and asserts
            in a ``finally``, after the block that is cancelled; run many times.
        seed: any whole number; another one gives another order of steps.
        limit: the most points that are tried; more are an error, never left out.
        deadline_seconds: how long one run may take by a real clock, before it counts as
            hanging. It works by SIGALRM, so only in the main thread, and not on Windows.

    Returns:
        the number of points and runs.

    Raises:
        SetupError: inside a running loop, or when there are more points than ``limit``.
        AssertionError: a cancelled run raised anything, warned, hung or did one of the
            above; the message says at which line of the code under test it was cancelled,
            and the cause is the exception.
    """
    if trio.lowlevel.in_trio_run():
        raise SetupError(
            "cancel_everywhere starts runs of its own, so it cannot be called from inside "
            "one. Call it from a plain test function."
        )
    gc.collect()  # or the garbage of an earlier test would be a fault of this one
    counts = []
    runs = 0
    for fast in (True, False):
        mode = f"fast path {'on' if fast else 'off'}"
        runner = _CancellationRunner(fn, seed, deadline_seconds, mode)
        with _fast_path(fast):
            tried, made = _cancel_at_each(runner, limit)
        counts.append(tried)
        runs += made
    detector = FaultDetector()
    with detector.collecting_warnings():
        gc.collect()
    if detector.found:
        raise AssertionError(f"One of the runs has left something behind: {detector.found[0]}")
    return CancellationReport(counts[0], counts[1], runs)


def _cancel_at_each(runner: _CancellationRunner, limit: int) -> tuple[int, int]:
    """Return the number of points that were tried, and of runs."""
    points = runner.run(None, 0).steps
    tried, point = 0, 0
    while True:
        if point >= limit:
            raise SetupError(
                f"The function has more than {limit} cancellation points, which is limit. "
                f"Make it do less, or raise limit."
            )
        canceller = runner.run(point, points)
        if canceller.scope.cancel_called:
            tried += 1
        elif point >= points:  # threads and sockets vary, so there may be a few more
            return tried, point + 2
        point += 1


class _StepCanceller(trio.abc.Instrument):
    """A counter of the steps of all tasks, which cancels a scope before a given one."""

    def __init__(self, cancel_at: int | None) -> None:
        self.scope = trio.CancelScope()
        self.steps = 0
        self.location: str | None = None
        self.tasks: set[trio.lowlevel.Task] = set()
        self._cancel_at = cancel_at

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.tasks.discard(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.steps == self._cancel_at:
            self.location = task_location(task)
            self.scope.cancel()
        self.steps += 1


@attrs.frozen
class _CancellationRunner:
    """A runner of the function that reports the faults of a run."""

    fn: Callable[[], Awaitable[object]]
    seed: int
    deadline_seconds: float
    mode: str

    def run(self, point: int | None, points: int) -> _StepCanceller:
        """Run it once, cancelled at ``point``.

        Raises:
            AssertionError: the run raised or was at fault.
        """
        canceller, detector = _StepCanceller(point), FaultDetector()
        failure: BaseException | None = None
        with detector.collecting_warnings(), detector.tracing():
            try:
                with real_deadline(self.deadline_seconds), seeded_schedule(self.seed):
                    self._run(canceller)
            except BaseException as error:  # noqa: ASYNC103 -- reported below
                if _ends_everything(error):
                    raise
                failure = error
        if failure is None and not detector.found:
            return canceller
        faults = [*detector.found, *self._described(failure, canceller)]
        message = f"{self._point(canceller, point, points)}: {' '.join(faults)}"
        if find_deadline(failure) is None:
            raise AssertionError(message) from failure
        with discarding_interrupted_run():
            failure = None
            canceller.tasks.clear()
            canceller.scope = trio.CancelScope()
        raise AssertionError(message)

    def _run(self, canceller: _StepCanceller) -> None:
        async def main() -> None:
            with canceller.scope:
                await self.fn()

        run_in_virtual_time(main, MockClock(autojump_threshold=0), canceller)

    def _point(self, canceller: _StepCanceller, point: int | None, points: int) -> str:
        if point is None or not canceller.scope.cancel_called:
            return f"not cancelled, {self.mode}"
        location = "" if canceller.location is None else f"{canceller.location}, "
        seed = f", seed={self.seed}" if self.seed else ""
        return f"cancelled at {location}point {point} of {points}, {self.mode}{seed}"

    def _described(
        self, failure: BaseException | None, canceller: _StepCanceller
    ) -> Iterator[str]:
        if failure is None:
            return
        reached = find_deadline(failure)
        location = raise_location(failure if reached is None else reached)
        if reached is not None:
            location = location or task_locations(canceller.tasks)
            seconds = f"{self.deadline_seconds:g} real seconds"
            yield f"the run hangs: after {seconds} it was at {location}."
        else:
            raised = "" if location is None else f" (raised at {location})"
            yield f"{type(failure).__name__}: {failure}{raised}"


def _ends_everything(error: BaseException) -> bool:
    """Return True for Ctrl-C or an exit, alone or in the group that a nursery makes of it."""
    ends = (KeyboardInterrupt, SystemExit)
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(ends) is not None
    return isinstance(error, ends)


@contextmanager
def _fast_path(on: bool) -> Iterator[None]:  # noqa: FBT001
    """Turn the fast path off, to make every event in the channel a cancellation point."""
    before = _channel.BURST
    if not on:
        _channel.BURST = 1
    try:
        yield
    finally:
        _channel.BURST = before
