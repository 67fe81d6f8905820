"""Cancel a function at each of its cancellation points, one run for each."""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import attrs
import trio

from trio_ingest import SetupError
from trio_ingest._engine import channel as _channel
from trio_ingest.testing._deadline import deadline_in, discarding, real_deadline
from trio_ingest.testing._locations import places, raised_at, task_place
from trio_ingest.testing._trio_internals import seeded_schedule
from trio_ingest.testing._virtual_time import jumping_clock, run_virtually

from ._faults import Faults


@attrs.frozen
class CancellationReport:
    """What ``cancel_everywhere`` did.

    Args:
        points: how many cancellation points the function has, with the channel's fast
            path on.
        points_slow: the same with the fast path off, where every event is one.
        runs: how many runs were made in all.
    """

    points: int
    points_slow: int
    runs: int


class _Conductor(trio.abc.Instrument):
    """Counts the steps of all tasks, and cancels a scope before a given one."""

    def __init__(self, cancel_at: int | None) -> None:
        self.scope = trio.CancelScope()
        self.steps = 0
        self.place: str | None = None
        # Those that have not ended; their number is small.
        self.tasks: set[trio.lowlevel.Task] = set()
        self._cancel_at = cancel_at

    def task_spawned(self, task: trio.lowlevel.Task) -> None:
        self.tasks.add(task)

    def task_exited(self, task: trio.lowlevel.Task) -> None:
        self.tasks.discard(task)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self.steps == self._cancel_at:
            self.place = task_place(task)
            self.scope.cancel()
        self.steps += 1


def cancel_everywhere(
    fn: Callable[[], Awaitable[object]],
    *,
    seed: int = 0,
    limit: int = 10_000,
    deadline_seconds: float = 30.0,
) -> CancellationReport:
    """Run ``fn`` once to count its cancellation points, then once for each, cancelled there.

    ``fn`` takes no arguments, makes what it needs itself, and makes its assertions itself:
    after a block that was cancelled, in a ``finally``. Time is virtual. Each task step is
    taken as a point, so that a cancellation also falls on tasks that are waiting.

    Besides what ``fn`` asserts, it finds code under test that swallows ``Cancelled``, that
    awaits without a shield while it cleans up after a cancellation, that yields inside a
    cancel scope or a nursery, and that hangs.

    The schedule is drawn from ``seed``, so the same point is the same each time, unless
    threads, files or sockets have a part in it.

    Args:
        fn: an async function; run many times.
        seed: any whole number; another one gives another order of steps.
        limit: the most points that are tried; more are an error, never left out.
        deadline_seconds: how long one run may take by a real clock, before it is taken to
            hang. It works by SIGALRM, so only in the main thread, and not on Windows.

    Raises:
        SetupError: inside a running loop, or when there are more points than ``limit``.
        AssertionError: when a cancelled run raised anything, warned, hung or did one of the
            above; the message says at which line of the code under test it was cancelled,
            and the cause is what it raised.
    """
    if trio.lowlevel.in_trio_run():
        raise SetupError(
            "cancel_everywhere starts runs of its own, so it cannot be called from inside "
            "one. Call it from a plain test function."
        )
    counts = []
    runs = 0
    gc.collect()  # what an earlier test has left is none of this one's business
    for fast in (True, False):
        runner = _Runner(fn, seed, deadline_seconds, f"fast path {'on' if fast else 'off'}")
        with _fast_path(fast):
            tried, made = _cancel_at_each(runner, limit)
        counts.append(tried)
        runs += made
    _collect_what_is_left()
    return CancellationReport(counts[0], counts[1], runs)


def _collect_what_is_left() -> None:
    """Hold that the runs have left nothing open that only the garbage collector finds.

    Raises:
        AssertionError: they have.
    """
    faults = Faults()
    with faults.collecting_warnings():
        gc.collect()
    if faults.found:
        raise AssertionError(f"One of the runs has left something behind: {faults.found[0]}")


def _cancel_at_each(runner: _Runner, limit: int) -> tuple[int, int]:
    """How many points were tried, in how many runs."""
    points = runner.run(None, 0).steps
    tried, point = 0, 0
    while True:
        if point >= limit:
            raise SetupError(
                f"The function has more than {limit} cancellation points, which is limit. "
                f"Make it do less, or raise limit."
            )
        conductor = runner.run(point, points)
        if conductor.scope.cancel_called:
            tried += 1
        elif point >= points:  # what comes from outside varies, so there may be a few more
            return tried, point + 2
        point += 1


@attrs.frozen
class _Runner:
    """Runs the function, and says what was wrong with a run."""

    fn: Callable[[], Awaitable[object]]
    seed: int
    deadline_seconds: float
    way: str

    def run(self, point: int | None, points: int) -> _Conductor:
        """Run it once, cancelled at ``point``.

        Raises:
            AssertionError: it did what it must not do.
        """
        conductor, faults = _Conductor(point), Faults()
        failure: BaseException | None = None
        with faults.collecting_warnings(), faults.watching():
            try:
                with real_deadline(self.deadline_seconds), seeded_schedule(self.seed):
                    self._run(conductor)
            except BaseException as error:  # noqa: ASYNC103 -- it is told, below
                if _ends_everything(error):
                    raise
                failure = error
        if failure is None and not faults.found:
            return conductor
        where = self._where(conductor, point, points)
        message = f"{where}: {self._what(conductor, failure, faults)}"
        if deadline_in(failure) is None:
            raise AssertionError(message) from failure
        with discarding():
            failure = None
            conductor.tasks.clear()
            conductor.scope = trio.CancelScope()
        raise AssertionError(message)

    def _run(self, conductor: _Conductor) -> None:
        async def cancelled() -> None:
            with conductor.scope:
                await self.fn()

        run_virtually(cancelled, jumping_clock(), conductor)

    def _where(self, conductor: _Conductor, point: int | None, points: int) -> str:
        if point is None or not conductor.scope.cancel_called:
            return f"not cancelled, {self.way}"
        place = "" if conductor.place is None else f"{conductor.place}, "
        seed = f", seed={self.seed}" if self.seed else ""
        return f"cancelled at {place}point {point} of {points}, {self.way}{seed}"

    def _what(
        self, conductor: _Conductor, failure: BaseException | None, faults: Faults
    ) -> str:
        if failure is None:
            return " ".join(faults.found)
        return " ".join([*faults.found, self._failed(conductor, failure)])

    def _failed(self, conductor: _Conductor, failure: BaseException) -> str:
        reached = deadline_in(failure)
        if reached is not None:
            stuck = raised_at(reached) or places(conductor.tasks)
            return (
                f"the run hangs: after {self.deadline_seconds:g} real seconds it was at "
                f"{stuck}."
            )
        place = raised_at(failure)
        raised = "" if place is None else f" (raised at {place})"
        return f"{type(failure).__name__}: {failure}{raised}"


def _ends_everything(error: BaseException) -> bool:
    """Whether it is Ctrl-C or an exit, alone or in the group that a nursery makes of it."""
    ends = (KeyboardInterrupt, SystemExit)
    if isinstance(error, BaseExceptionGroup):
        return error.subgroup(ends) is not None
    return isinstance(error, ends)


@contextmanager
def _fast_path(on: bool) -> Iterator[None]:  # noqa: FBT001
    """With the fast path off, every event that passes the channel is a cancellation point."""
    before = _channel.BURST
    if not on:
        _channel.BURST = 1
    try:
        yield
    finally:
        _channel.BURST = before
