"""One worker: the task that fetches a record also parses it and ends it.

This loop is the hot path, so it is written out where a call would cost as much as the work
in it. A document whose ``parse`` is a plain function costs two readings of each clock, and
no ``await`` but the fetch, unless the buffer is full, a burst is over or a time slice is used
up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from trio_ingest._core.documents import Document
from trio_ingest._core.events import PipelineEvent

from .adapter_task import AdapterTask
from .context import TaskTimer
from .records import RecordAttempts


class SequentialTask(AdapterTask):
    """An adapter run moved by one task.

    Memory: one record.
    """

    async def move(self, items: AsyncIterator[Any]) -> None:
        context, processor, adapter_run = self.context, self.processor, self.adapter_run
        # Locals, since each lookup of an attribute would be paid for with every record.
        run, channel, clock, wall = context.run, context.channel, context.clock, context.wall
        queue, put = channel.queue, channel.put
        admit, attempt = processor.admit, processor.attempt
        started, completed = run.started, run.completed
        unchecked = True
        timer = self.timer
        self.begin_fetching()
        async for record in items:
            # ``timer.switch``, without the call: every second of this task is in one phase.
            now = clock()
            run.fetch_seconds += now - timer.mark
            timer.mark, timer.phase = now, "parse_seconds"
            if unchecked:  # at the first item only: it costs too much for every record
                await self.check_scopes(items)
                unchecked = False
            if context.draining:
                return  # this record was never started, so a resumed run fetches it again
            number, doc_id, ready = admit(record)
            if doc_id is not None:
                # ``limit`` is 0 while another producer waits: this one must not overtake it.
                if len(queue) >= channel.limit:
                    await context.wait_for_slot(timer)
                # Started and put without an await between, in the order of the sequence.
                put(started(adapter_run, number, doc_id, wall()))
                if now >= context.slice_end:
                    await self.yield_to_consumer(timer)
                # A wait above has moved the mark, and is no part of the document's duration.
                now = clock() if timer.mark > now else now
                outcome = attempt(record)
                end = clock()
                run.parse_seconds += end - timer.mark
                timer.mark = end
                # The class itself: anything else, a subclass too, takes the long way.
                if outcome.__class__ is Document:
                    if len(queue) >= channel.limit:
                        await context.wait_for_slot(timer)
                    put(completed(adapter_run, number, outcome, end - now, 0, wall()))
                else:
                    attempts = RecordAttempts(number, doc_id, record, outcome, end - now)
                    await self.finish_attempts(attempts, timer)
                    await context.wait_for_slot(timer)
                    put(processor.end(attempts))
            elif ready is not None:
                await self._pass_on(ready, timer)
            # A countdown, so that progress, checkpoints and the cancellation point cost an
            # ordinary record one comparison.
            if run.ends_until_upkeep <= 0:
                await self.upkeep(timer)
            if (context.paused or context.draining) and await self.wait_while_paused():
                return
            timer.phase = "fetch_seconds"

    async def _pass_on(self, item: RecordAttempts | PipelineEvent, timer: TaskTimer) -> None:
        """Emit a custom event, or start and end of a record that could not be identified."""
        context, processor = self.context, self.processor
        await context.wait_for_slot(timer)
        if isinstance(item, RecordAttempts):
            context.channel.put(processor.start(item))
            await context.wait_for_slot(timer)
            context.channel.put(processor.end(item))
        else:
            context.channel.put(context.run.custom_event(item, context.wall()))
