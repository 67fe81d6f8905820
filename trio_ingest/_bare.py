"""The bare form of a stream: one run in the task that asks for its events."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.errors import StreamClosedError
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.options import Shaping
from trio_ingest._engine.channel import busy
from trio_ingest._engine.inline import InlineEngine
from trio_ingest._engine.runtime import Runtime
from trio_ingest._engine.setup import RunSetup


class BareForm:
    """The events of one run, made when they are asked for.

    Nothing that the generators hold refers to this object or to the stream: with such a
    cycle, an abandoned stream would be closed late.
    """

    def __init__(self, setup: RunSetup, runtime: Runtime, shaping: Shaping | None) -> None:
        self.inline = InlineEngine(setup, runtime)
        self._made: Any = self.inline.events()
        self.events: Any = self._made if shaping is None else _shaped(self._made, shaping)

    @property
    def is_over(self) -> bool:
        """True when nothing more can come, for any reason."""
        return self.events.ag_frame is None

    def over(self) -> Exception:
        """Return the exception for a consumer that asks again after the end."""
        if self.inline.ended_well:
            return already_ended()
        return self.inline.failure or StreamClosedError(
            "This stream was cut short, so it has no more events. Call stream_events again, "
            "with resume_from."
        )

    async def get(self) -> Any:
        """Return the next event.

        Raises: as ``EventStream.__anext__``.
        """
        if self._made.ag_running:
            raise busy()
        if self.is_over and not self.inline.ended_well:
            raise self.over()
        return await anext(self.events)

    async def aclose(self) -> None:
        """Close what the run has open.

        Raises:
            StreamBusyError: a task is waiting for the next event.
        """
        if self._made.ag_running:
            raise busy()
        await self.events.aclose()

    def checkpoint(self) -> Checkpoint:
        """Return the checkpoint of what the consumer has acknowledged."""
        run, made = self.inline.run, self._made
        # Only the generator knows whether it stands at a yield, with an event in the hands of
        # the consumer, or has gone on from it.
        has_ended = made.ag_frame is None and not self.inline.was_left
        at_yield = not (made.ag_running or has_ended)
        return run.checkpoint(max(0, run.sequence - 1) if at_yield else run.sequence)


def already_ended() -> StreamClosedError:
    """Return the exception for a consumer that iterates a stream a second time."""
    return StreamClosedError(
        "This stream has been iterated to its end, and a stream is one run. Call "
        "stream_events again for another."
    )


async def _shaped(
    events: AsyncGenerator[PipelineEvent, None], shaping: Shaping
) -> AsyncGenerator[Any, None]:
    try:
        async for event in events:
            if shaping.passes(event):
                yield shaping.shaped(event)
    finally:
        await events.aclose()
