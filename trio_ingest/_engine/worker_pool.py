"""Several workers: one task fetches, ``workers`` tasks parse, a window keeps the order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.documents import Document
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.reorder_window import Window

from .adapter_task import SLICE_SECONDS, Desk, Lane, Meter
from .records import Tries, Work
from .runtime import Nursery, Parking

Result: TypeAlias = Tries | PipelineEvent


class Crew(Lane):
    """An adapter run moved by one task that fetches and several that parse.

    Memory: at most ``workers`` records in work, and as many that wait for a worker or,
    with ``ordered``, as results for their turn.
    """

    def __init__(
        self,
        desk: Desk,
        plan: AdapterPlan,
        work: Work,
        meter: Meter,
        *,
        workers: int,
        ordered: bool,
    ) -> None:
        super().__init__(desk, plan, work, meter)
        self._workers = workers
        self._jobs: deque[tuple[int, Tries]] = deque()
        self._idle: deque[Parking] = deque()
        self._fetcher = desk.runtime.parking()
        self._window: Window[Result] = Window(workers, ordered=ordered)
        self._emitting = False
        self._no_more = False

    def start_workers(self, nursery: Nursery, guard: Any) -> None:
        """Start the tasks that parse; they end when ``move`` does."""
        for _ in range(self._workers):
            nursery.start_soon(guard, self._worker)

    async def move(self, items: AsyncIterator[Any]) -> None:
        desk, work, window = self.desk, self.work, self._window
        run, clock = desk.run, desk.clock
        unchecked = True
        meter = self.meter
        self.begin_fetching()
        async for record in items:
            meter.turn(run, clock(), "idle")
            if unchecked:
                await self.check_scopes(items)
                unchecked = False
            if desk.draining:
                return
            doc_id = work.admit(record)
            if isinstance(doc_id, str):
                self._hand_out(Tries(work.number, doc_id, record))
            elif isinstance(doc_id, Tries):
                self._hand_out(doc_id)
            elif doc_id is not None:
                self.adapter_run.own_events_fetched += 1
                window.finish(window.take(), doc_id)
                await self._emit_ready(meter)
            if run.quiet <= 0:
                await self.upkeep(meter)
            while window.is_full:
                await self._fetcher.wait()
            if (desk.paused or desk.draining) and await self.obey():
                return
            meter.turn(run, clock(), "fetch_seconds")

    async def finish(self) -> None:
        """Wait until everything fetched has been emitted, then dismiss the workers."""
        while not self._window.is_empty:
            # Usually the workers emit; but not if the one that did has failed.
            await self._emit_ready(self.meter)
            if not self._window.is_empty:
                await self._fetcher.wait()
        self.dismiss()

    def dismiss(self) -> None:
        """Let every worker end when it is idle."""
        self._no_more = True
        while self._idle:
            self._idle.popleft().wake()

    def _hand_out(self, tries: Tries) -> None:
        self._jobs.append((self._window.take(), tries))
        if len(self._jobs) == 1:
            self._wake_one()

    def _wake_one(self) -> None:
        # One at a time, and each wakes the next if there is more to do: when parse does
        # not wait, a single worker does it all, and the others are left in peace.
        if self._idle:
            self._idle.popleft().wake()

    async def _worker(self) -> None:
        with self.desk.metered() as meter:
            await self._parse_jobs(meter)

    async def _parse_jobs(self, meter: Meter) -> None:
        desk, work, jobs, channel = self.desk, self.work, self._jobs, self.desk.channel
        run, clock = desk.run, desk.clock
        parking = desk.runtime.parking()
        while jobs or not self._no_more:
            if not jobs:
                await self._wait_for_job(parking)
                continue
            if len(channel.queue) >= channel.limit:
                await self.room(meter)
                if not jobs:  # another worker took it while this one waited
                    channel.forgo()
                    continue
            place, tries = jobs.popleft()
            if jobs:
                self._wake_one()
            meter.turn(run, clock(), "parse_seconds")
            channel.put(work.start(tries))
            if clock() >= desk.slice_end:
                await self.give_way(meter)
            if tries.outcome is None:
                began = clock()
                tries.outcome = work.attempt(tries.record)
                tries.seconds = clock() - began
                if tries.outcome.__class__ is not Document:
                    await self.finish_tries(tries, meter)
                    desk.slice_end = clock() + SLICE_SECONDS  # others ran while it waited
            meter.turn(run, clock(), "idle")
            self._window.finish(place, tries)
            del tries  # or the record would live on while this worker waits for another
            await self._emit_ready(meter)
            if run.quiet <= 0:
                await self.upkeep(meter)

    async def _wait_for_job(self, parking: Parking) -> None:
        self._idle.append(parking)
        try:
            await parking.wait()
        finally:
            if parking in self._idle:
                self._idle.remove(parking)

    async def _emit_ready(self, meter: Meter) -> None:
        """Emit every result whose turn it is; one task does so at a time."""
        if self._emitting:
            return
        self._emitting = True
        desk, channel, window = self.desk, self.desk.channel, self._window
        try:
            while window.has_ready():
                if len(channel.queue) >= channel.limit:
                    await self.room(meter)
                result = window.pop()
                if isinstance(result, Tries):
                    channel.put(self.work.end(result))
                else:
                    channel.put(desk.run.own_event(result, desk.wall()))
                    self.adapter_run.own_event_emitted(desk.run.sequence - 1)
                self._fetcher.wake()
        finally:
            self._emitting = False
