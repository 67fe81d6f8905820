"""One worker: the task that fetches a record also brings it to its end.

This loop is the hot path. A document whose ``parse`` is a plain function costs two
readings of the clock, and no ``await`` unless the buffer is full or a burst is over.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from trio_ingest._core.documents import Document
from trio_ingest._core.events import PipelineEvent

from .adapter_task import Lane, Meter
from .records import Tries


class Solo(Lane):
    """An adapter run moved by one task."""

    async def move(self, items: AsyncIterator[Any]) -> None:
        desk, work, adapter_run = self.desk, self.work, self.adapter_run
        run, channel, clock, wall = desk.run, desk.channel, desk.clock, desk.wall
        queue, put = channel.queue, channel.put
        admit, attempt = work.admit, work.attempt
        started, completed = run.started, run.completed
        unchecked = True
        meter = self.meter
        self.begin_fetching()
        async for record in items:
            now = clock()
            run.fetch_seconds += now - meter.mark
            meter.mark, meter.phase = now, "parse_seconds"
            if unchecked:
                await self.check_scopes(items)
                unchecked = False
            if desk.draining:
                return  # never started, so a resumed run fetches it again
            doc_id = admit(record)
            if isinstance(doc_id, str):
                number = work.number
                if len(queue) >= channel.limit:
                    await self.room(meter)
                put(started(adapter_run, number, doc_id, wall()))
                if now >= desk.slice_end:
                    await self.give_way(meter)
                now = clock() if meter.mark > now else now
                outcome = attempt(record)
                end = clock()
                run.parse_seconds += end - meter.mark
                meter.mark = end
                if outcome.__class__ is Document:
                    if len(queue) >= channel.limit:
                        await self.room(meter)
                    put(completed(adapter_run, number, outcome, end - now, 0, wall()))
                else:
                    tries = Tries(number, doc_id, record, outcome, end - now)
                    await self.finish_tries(tries, meter)
                    await self.room(meter)
                    put(work.end(tries))
            elif doc_id is not None:
                await self._pass_on(doc_id, meter)
            if run.quiet <= 0:
                await self.upkeep(meter)
            if (desk.paused or desk.draining) and await self.obey():
                return
            meter.phase = "fetch_seconds"

    async def _pass_on(self, item: Tries | PipelineEvent, meter: Meter) -> None:
        """Emit what needs no parsing: an adapter's own event, a record without a name."""
        desk, work = self.desk, self.work
        await self.room(meter)
        if isinstance(item, Tries):
            desk.channel.put(work.start(item))
            await self.room(meter)
            desk.channel.put(work.end(item))
        else:
            desk.channel.put(desk.run.own_event(item, desk.wall()))
