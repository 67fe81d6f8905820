"""State that all tasks of one stream share, and the accounting of their time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal, TypeAlias

import attrs

from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.run import Run

from .channel import Channel
from .runtime import AsyncValue, Runtime

Phase: TypeAlias = Literal[
    "fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds", "idle"
]

# After so much time without a pause, a task lets others run, between a document's start and
# its parse: so that the consumer receives the start before a slow parse holds the thread.
# Longer, and a display stutters and a cancellation waits; ten times shorter, and the pauses
# begin to show in the cost of ordinary documents.
SLICE_SECONDS = 0.01


class TaskTimer:
    """The account of one task's time: the time since ``mark`` belongs to ``phase``."""

    __slots__ = ("mark", "phase")

    def __init__(self, now: float) -> None:
        self.mark = now
        self.phase: Phase = "idle"

    def switch(self, run: Run, now: float, phase: Phase) -> Phase:
        """Account for the time since the mark, and return the phase that this one follows."""
        before, elapsed = self.phase, now - self.mark
        if before == "fetch_seconds":
            run.fetch_seconds += elapsed
        elif before == "parse_seconds":
            run.parse_seconds += elapsed
        elif before == "consumer_seconds":
            run.consumer_seconds += elapsed
        elif before == "throttle_seconds":
            run.throttle_seconds += elapsed
        self.mark, self.phase = now, phase
        return before


@attrs.define(eq=False)
class StreamContext:
    """The state that all tasks of one stream share."""

    run: Run
    channel: Channel
    runtime: Runtime
    clock: Callable[[], float]
    wall: Callable[[], float]
    grace_seconds: float
    mode: AsyncValue  # "running", "paused" or "draining"
    timers: list[TaskTimer] = attrs.field(factory=list)
    paused: bool = False
    draining: bool = False
    slice_end: float = 0.0

    def progress(self, *, checkpoint: bool = False) -> PipelineEvent:
        """Return a progress event that is true up to now."""
        now = self.account_time()
        depth = self.channel.depth
        return self.run.progress(now, self.wall(), depth, checkpoint=checkpoint)

    @contextmanager
    def timed(self) -> Iterator[TaskTimer]:
        """Give a task a timer, which every progress event reads while the task lives."""
        timer = TaskTimer(self.clock())
        self.timers.append(timer)
        try:
            yield timer
        finally:
            timer.switch(self.run, self.clock(), "idle")
            self.timers.remove(timer)

    async def wait_for_slot(self, timer: TaskTimer) -> None:
        """Wait for a slot in the channel, in the consumer's time."""
        before = timer.switch(self.run, self.clock(), "consumer_seconds")
        try:
            await self.channel.wait_for_slot()
        finally:
            timer.switch(self.run, self.clock(), before)

    def account_time(self) -> float:
        """Account for every task's time up to now, and return now."""
        now = self.clock()
        for timer in self.timers:
            timer.switch(self.run, now, timer.phase)
        return now
