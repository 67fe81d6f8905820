"""The task that emits progress at least once a second, however slow the documents are."""

from __future__ import annotations

from contextlib import aclosing

from .context import StreamContext

# A progress event comes at least once a second: a look four times a second, and an event
# when three quarters of one have passed, keep that promise whenever the last one came.
_TICK_SECONDS = 0.25
_DUE_SECONDS = 0.75


async def emit_progress(context: StreamContext) -> None:
    """Emit a progress event whenever the last one is nearly a second old, until cancelled."""
    run, channel = context.run, context.channel
    async with aclosing(context.runtime.every(_TICK_SECONDS)) as ticks:
        async for _ in ticks:
            if context.clock() - run.progress_at >= _DUE_SECONDS:
                await channel.wait_for_slot()
                channel.put(context.progress(checkpoint=run.has_new_ends))
