"""Several workers: one task fetches, ``workers`` tasks parse, a window keeps the order.

The fetching task queues jobs. A worker that has a result hands it to the window, and emits
every result whose turn it is. The window is full at twice ``workers``; then the fetch waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.documents import Document
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.reorder_window import ReorderWindow

from .adapter_task import AdapterTask, Guard
from .context import SLICE_SECONDS, StreamContext, TaskTimer
from .records import RecordAttempts, RecordProcessor
from .runtime import Nursery, Waiter

Result: TypeAlias = RecordAttempts | PipelineEvent


class WorkerPool(AdapterTask):
    """An adapter run moved by one task that fetches and several that parse.

    Memory: at most ``workers`` records that are parsed, and as many that wait for a worker
    or, with ``ordered``, as results for their turn.
    """

    def __init__(
        self,
        context: StreamContext,
        plan: AdapterPlan,
        processor: RecordProcessor,
        timer: TaskTimer,
        *,
        workers: int,
        ordered: bool,
    ) -> None:
        super().__init__(context, plan, processor, timer)
        self._workers = workers
        self._jobs: deque[tuple[int, RecordAttempts]] = deque()
        self._idle_workers: deque[Waiter] = deque()
        self._fetch_waiter = context.runtime.waiter()
        self._window: ReorderWindow[Result] = ReorderWindow(workers, ordered=ordered)
        self._emitting = False
        self._no_more_jobs = False

    def start(self, nursery: Nursery, guard: Guard) -> None:
        for _ in range(self._workers):
            nursery.start_soon(guard, self._worker)

    async def move(self, items: AsyncIterator[Any]) -> None:
        context, processor, window = self.context, self.processor, self._window
        run, clock = context.run, context.clock
        unchecked = True
        timer = self.timer
        self.begin_fetching()
        async for record in items:
            timer.switch(run, clock(), "idle")
            if unchecked:
                await self.check_scopes(items)
                unchecked = False
            if context.draining:
                return
            number, doc_id, ready = processor.admit(record)
            if doc_id is not None:
                self._enqueue(RecordAttempts(number, doc_id, record))
            elif isinstance(ready, RecordAttempts):
                self._enqueue(ready)
            elif ready is not None:
                self.adapter_run.custom_events_fetched += 1
                window.finish(window.take(), ready)
                await self._emit_ready(timer)
            if run.ends_until_upkeep <= 0:
                await self.upkeep(timer)
            while window.is_full:
                await self._fetch_waiter.wait()
            if (context.paused or context.draining) and await self.wait_while_paused():
                return
            timer.switch(run, clock(), "fetch_seconds")

    async def finish(self) -> None:
        while not self._window.is_empty:
            # Usually the workers emit; but not if the one that did has failed.
            await self._emit_ready(self.timer)
            if not self._window.is_empty:
                await self._fetch_waiter.wait()
        self.dismiss()

    def dismiss(self) -> None:
        self._no_more_jobs = True
        while self._idle_workers:
            self._idle_workers.popleft().wake()

    def _enqueue(self, attempts: RecordAttempts) -> None:
        self._jobs.append((self._window.take(), attempts))
        if len(self._jobs) == 1:
            self._wake_one()

    def _wake_one(self) -> None:
        # One at a time, and each wakes the next if more jobs wait: when parse does not wait,
        # a single worker does them all, and no switch between tasks is paid for the others.
        if self._idle_workers:
            self._idle_workers.popleft().wake()

    async def _worker(self) -> None:
        with self.context.timed() as timer:
            await self._parse_jobs(timer)

    async def _parse_jobs(self, timer: TaskTimer) -> None:
        context, processor, jobs, channel = (
            self.context,
            self.processor,
            self._jobs,
            self.context.channel,
        )
        run, clock = context.run, context.clock
        waiter = context.runtime.waiter()
        while jobs or not self._no_more_jobs:
            if not jobs:
                await self._wait_for_job(waiter)
                continue
            if len(channel.queue) >= channel.limit:
                await context.wait_for_slot(timer)
                if not jobs:  # another worker took it while this one waited
                    channel.release_slot()
                    continue
            place, attempts = jobs.popleft()
            if jobs:
                self._wake_one()
            timer.switch(run, clock(), "parse_seconds")
            channel.put(processor.start(attempts))
            if clock() >= context.slice_end:
                await self.yield_to_consumer(timer)
            if attempts.outcome is None:
                began = clock()
                attempts.outcome = processor.attempt(attempts.record)
                attempts.seconds = clock() - began
                if attempts.outcome.__class__ is not Document:
                    await self.finish_attempts(attempts, timer)
                    context.slice_end = clock() + SLICE_SECONDS  # others ran while it waited
            timer.switch(run, clock(), "idle")
            self._window.finish(place, attempts)
            del attempts  # or the record would live on while this worker waits for a job
            await self._emit_ready(timer)
            if run.ends_until_upkeep <= 0:
                await self.upkeep(timer)

    async def _wait_for_job(self, waiter: Waiter) -> None:
        self._idle_workers.append(waiter)
        try:
            await waiter.wait()
        finally:
            if waiter in self._idle_workers:
                self._idle_workers.remove(waiter)

    async def _emit_ready(self, timer: TaskTimer) -> None:
        """Emit every result whose turn it is; one task at a time, to keep the order."""
        if self._emitting:
            return
        self._emitting = True
        context, channel, window = self.context, self.context.channel, self._window
        try:
            while window.has_ready():
                if len(channel.queue) >= channel.limit:
                    await context.wait_for_slot(timer)
                result = window.pop()
                if isinstance(result, RecordAttempts):
                    channel.put(self.processor.end(result))
                else:
                    channel.put(context.run.custom_event(result, context.wall()))
                    self.adapter_run.custom_event_emitted(context.run.sequence - 1)
                self._fetch_waiter.wake()
        finally:
            self._emitting = False
