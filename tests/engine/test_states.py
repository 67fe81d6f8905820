"""The engine moves an adapter along the table of states, in the rare cases too."""

from __future__ import annotations

import pytest
import trio

from tests.promises.checks import check_states
from trio_ingest import AdapterStateChange, Checkpoint, IngestionPipeline, PipelineEvent
from trio_ingest.testing import ScriptedAdapter


async def finished_checkpoint(pipeline: IngestionPipeline) -> Checkpoint:
    async with pipeline.stream_events() as stream:
        async for _ in stream:
            pass
    return stream.checkpoint()


@pytest.mark.parametrize("workers", [1, 3])
async def test_paused_stream_of_finished_adapters_can_be_drained(
    autojump_clock: trio.abc.Clock, workers: int
) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(5)), workers=workers)
    events: list[PipelineEvent] = []
    async with pipeline.stream_events(
        resume_from=await finished_checkpoint(pipeline)
    ) as stream:
        stream.pause()
        async for event in stream:
            events.append(event)
            if isinstance(event, AdapterStateChange) and event.new_state == "paused":
                stream.drain()
    check_states(events)
    changes = [event for event in events if isinstance(event, AdapterStateChange)]
    assert [change.new_state for change in changes] == [
        "running",
        "paused",
        "draining",
        "finished",
    ]
    assert changes[-1].reason is None  # it had come to its end before
