"""A run of Trio whose time is virtual, and which ends also when nothing else would end it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import trio
import trio.testing

T = TypeVar("T")

# Virtual seconds after which a run is taken to hang. The clock jumps over idle time, so this
# costs nothing; it only has to be longer than any grace.
_HANG_SECONDS: Final = 1e6


def run_virtually(
    fn: Callable[[], Awaitable[T]],
    clock: trio.testing.MockClock,
    instrument: trio.abc.Instrument,
) -> T:
    """Run an async function, and return what it returns.

    Args:
        fn: an async function.
        clock: one that jumps; whose time others may want to read.
        instrument: hears of each step.

    Raises:
        TimeoutError: it waits for something that never comes.
    """

    async def watched() -> T:
        with trio.move_on_after(_HANG_SECONDS) as deadline:
            result = await fn()
            if not deadline.cancel_called:
                return result
        raise TimeoutError("the run hangs: it waits for something that never comes")

    return trio.run(watched, clock=clock, instruments=[instrument])


def jumping_clock() -> trio.testing.MockClock:
    """A clock that jumps over whatever is waited for."""
    return trio.testing.MockClock(autojump_threshold=0)
