"""Runs that are the same each time, and the search for a schedule that breaks something."""

from __future__ import annotations

import itertools
import random
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Final, TypeVar

import attrs
import trio
import trio.testing

from trio_ingest import SetupError
from trio_ingest._core import options as _options

from ._trio_internals import seeded_schedule
from ._virtual_time import run_in_virtual_time

T = TypeVar("T")

# 2025-01-01 in UTC: a time that no reader takes for now.
BEGINNING_SECONDS: Final = 1_735_689_600.0


@attrs.frozen
class ExplorationReport:
    """The extent of a search by ``explore``.

    Args:
        seeds: how many seeds were tried.
        schedules: how many different orders of steps they gave.
    """

    __module__ = "trio_ingest.testing"

    seeds: int
    schedules: int


def run_deterministic(fn: Callable[..., Awaitable[T]], *args: Any, seed: int = 0) -> T:
    """Run an async function so that it does the same each time it is given the same seed.

    Time is virtual and jumps to the next deadline when all tasks wait. The order in which
    tasks take turns is drawn from the seed, ``random`` is seeded. Pipelines that ``fn`` makes
    without a ``clock`` or ``new_pipeline_id`` of their own get timestamps from the virtual
    clock, which begins with the year 2025, and the ids ``run-0``, ``run-1``… Threads, files,
    sockets and other processes stay as they are.

    Interrupted by Ctrl-C, it leaves nothing of this behind. Memory: as ``fn``.

    Args:
        fn: an async function, which makes what it needs itself.
        args: its positional arguments.
        seed: any whole number; another one gives another order of steps.

    Returns:
        the return value of ``fn``.

    Raises:
        SetupError: inside a running loop, or Trio's scheduler cannot be seeded.
        TimeoutError: ``fn`` waits for something that never comes.
        Exception: anything that ``fn`` raises, with a note that names the seed.
    """
    return _run(fn, args, seed)[0]


def explore(
    fn: Callable[..., Awaitable[object]], *args: Any, seeds: int | Iterable[int] = 100
) -> ExplorationReport:
    """Run an async function under many schedules, to find one that breaks it.

    Interrupted by Ctrl-C, it leaves nothing behind. Memory: one number for each schedule.

    Args:
        fn: an async function that asserts what must hold; run once for each seed.
        args: its positional arguments.
        seeds: which ones, or how many, from 0 on.

    Returns:
        the number of seeds and of different schedules.

    Raises:
        SetupError: as ``run_deterministic``; or there are no seeds.
        AssertionError: ``fn`` raised anything; the message names the seed and the call that
            repeats the run, and the cause is the exception.
    """
    tried, schedules = 0, set()
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        try:
            _, schedule = _run(fn, args, seed)
        except SetupError:
            raise
        except Exception as error:
            name = getattr(fn, "__qualname__", "fn")
            words = ", ".join([name, *(f"{argument!r:.80}" for argument in args)])
            raise AssertionError(
                f"seed {seed}: {type(error).__name__}: {error}\n"
                f"To run it again: run_deterministic({words}, seed={seed})"
            ) from error
        tried += 1
        schedules.add(schedule)
    if not tried:
        raise SetupError("There are no seeds, so nothing would be tried; give at least one.")
    return ExplorationReport(tried, len(schedules))


class _ScheduleDigest(trio.abc.Instrument):
    """A number that differs for different orders of steps."""

    def __init__(self) -> None:
        self._tasks: dict[trio.lowlevel.Task, int] = {}
        self.digest = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        number = self._tasks.setdefault(task, len(self._tasks))
        self.digest = zlib.crc32(number.to_bytes(4, "big"), self.digest)


def _run(fn: Callable[..., Awaitable[T]], args: Any, seed: int) -> tuple[T, int]:
    if trio.lowlevel.in_trio_run():
        raise SetupError(
            "run_deterministic and explore start runs of their own, so they cannot be called "
            "from inside one. Call them from a plain function."
        )
    if type(seed) is not int:
        raise SetupError(f"seed must be a whole number; got {seed!r:.80}.")
    clock, steps = trio.testing.MockClock(autojump_threshold=0), _ScheduleDigest()
    with seeded_schedule(seed), virtual_defaults(clock), _seeded_random(seed):
        try:
            return run_in_virtual_time(partial(fn, *args), clock, steps), steps.digest
        except Exception as error:
            with suppress(Exception):  # an exception that cannot be changed
                error.add_note(f"With seed={seed}.")
            raise


@contextmanager
def virtual_defaults(clock: trio.testing.MockClock) -> Iterator[None]:
    """Give pipelines made in the block a virtual wall clock, and ids that count."""
    defaults, numbers = _options.DEFAULTS, itertools.count()
    before = attrs.astuple(defaults)
    defaults.clock = lambda: BEGINNING_SECONDS + clock.current_time()
    defaults.new_pipeline_id = lambda: f"run-{next(numbers)}"
    try:
        yield
    finally:
        defaults.clock, defaults.new_pipeline_id = before


@contextmanager
def _seeded_random(seed: int) -> Iterator[None]:
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)
