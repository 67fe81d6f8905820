"""An adapter that has to be closed, and what must be true when it was."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import anyio
import trio
import trio.testing

from tests import worlds
from tests.worlds import living_tasks
from trio_ingest import EventStream, PipelineEvent
from trio_ingest.testing import ScriptedAdapter


class ClosingAdapter(ScriptedAdapter):
    """Needs a second to close, and counts how often it did."""

    closings = 0

    async def aclose(self) -> None:
        await anyio.sleep(1)
        self.closings += 1


@contextmanager
def nothing_left(adapters: Sequence[ClosingAdapter]) -> Iterator[None]:
    """Around a block: no task may live after it, and every adapter must be closed."""
    tasks = living_tasks()
    try:
        yield
    finally:
        assert living_tasks() == tasks
        assert [a.opened - a.closed for a in adapters] == [0] * len(adapters)
        assert [a.closings for a in adapters] == [1] * len(adapters)


async def consume(stream: EventStream[Any], *delays: float) -> list[PipelineEvent]:
    received = []
    async with stream as events:
        async for event in events:
            received.append(event)
            if delays:
                await anyio.sleep(delays[len(received) % len(delays)])
    return received


class CancelAt(trio.abc.Instrument):
    """Cancels its scope before the task step with this number, if there are so many."""

    def __init__(self, step: int) -> None:
        self.scope = trio.CancelScope()
        self._left = step

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if self._left == 0:
            self.scope.cancel()
        self._left -= 1


def run_cancelled_at(step: int, fn: Callable[[], Awaitable[object]]) -> bool:
    """Run an async function in virtual time, and cancel it at one step of its loop.

    Returns whether it came so far; in Trio always true.
    """
    if worlds.current.name != "trio":
        return worlds.run_cancelled_at(step, fn)
    instrument = CancelAt(step)

    async def main() -> None:
        with trio.fail_after(1e6), instrument.scope:
            await fn()

    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(main, clock=clock, instruments=[instrument])
    return True
