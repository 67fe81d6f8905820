"""Cancel a function at each of its cancellation points, one run for each."""

from __future__ import annotations

import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import attrs
import trio
import trio.testing

from trio_ingest import SetupError, _channel

# Virtual seconds after which a cancelled run is taken to hang. The clock jumps over idle
# time, so this costs nothing; it only has to be longer than any grace.
_HANG_SECONDS = 1e6


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
        self._cancel_at = cancel_at

    def before_task_step(self, task: trio.lowlevel.Task) -> None:  # noqa: ARG002
        if self.steps == self._cancel_at:
            self.scope.cancel()
        self.steps += 1


def cancel_everywhere(
    fn: Callable[[], Awaitable[object]], *, limit: int = 10_000
) -> CancellationReport:
    """Run ``fn`` once to count its cancellation points, then once for each, cancelled there.

    ``fn`` takes no arguments, makes what it needs itself, and makes its assertions itself:
    after a block that was cancelled, in a ``finally``. Time is virtual. Each task step is
    taken as a point, so that a cancellation also falls on tasks that are waiting.

    A function that can never be cancelled, because something in it shields itself without
    a limit or swallows ``Cancelled`` for ever, makes this hang as well; one that shields
    itself too long is reported.

    Args:
        fn: an async function; run many times.
        limit: the most points that are tried; more are an error, never left out.

    Raises:
        SetupError: inside a running loop, or when there are more points than ``limit``.
        AssertionError: when a cancelled run raised anything, warned or hung; the message
            says at which point, and the cause is what it raised.
    """
    if trio.lowlevel.in_trio_run():
        raise SetupError(
            "cancel_everywhere starts runs of its own, so it cannot be called from inside "
            "one. Call it from a plain test function."
        )
    counts = []
    runs = 0
    for fast in (True, False):
        with _fast_path(fast):
            tried, made = _cancel_at_each(fn, limit, f"fast path {'on' if fast else 'off'}")
        counts.append(tried)
        runs += made
    return CancellationReport(counts[0], counts[1], runs)


def _cancel_at_each(
    fn: Callable[[], Awaitable[object]], limit: int, where: str
) -> tuple[int, int]:
    """How many points were tried, in how many runs."""
    points = _run(fn, None, where).steps
    tried, point = 0, 0
    while True:
        if point >= limit:
            raise SetupError(
                f"The function has more than {limit} cancellation points, which is limit. "
                f"Make it do less, or raise limit."
            )
        conductor = _run(fn, point, f"cancelled at point {point} of {points}, {where}")
        if conductor.scope.cancel_called:
            tried += 1
        elif point >= points:  # the schedule varies, so a run may have a few points more
            return tried, point + 2
        point += 1


def _run(fn: Callable[[], Awaitable[object]], point: int | None, where: str) -> _Conductor:
    conductor = _Conductor(point)

    async def main() -> None:
        with conductor.scope:
            await fn()

    async def watched() -> None:
        with trio.move_on_after(_HANG_SECONDS) as deadline:
            await main()
        if deadline.cancel_called:
            raise TimeoutError("the run hangs")

    clock = trio.testing.MockClock(autojump_threshold=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            trio.run(watched, clock=clock, instruments=[conductor])
        except Exception as error:
            raise AssertionError(f"{where}: {type(error).__name__}: {error}") from error
    return conductor


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
