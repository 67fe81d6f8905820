"""Promise 7: when the block has been left, no task lives and every adapter is closed."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from trio_ingest import IngestionPipeline, RetryPolicy
from trio_ingest.testing import (
    Crash,
    Fail,
    FailTimes,
    Pause,
    ScriptedAdapter,
    SlowParse,
    cancel_everywhere,
)

SCRIPT = ["a", Fail(), Pause(1), SlowParse(2), FailTimes(1), "b", "c", Crash()]


@pytest.mark.parametrize("buffer_size", [1, 3])
@pytest.mark.parametrize(("workers", "ordered"), [(1, True), (3, True), (3, False)])
def test_cancelled_at_every_point_leaves_nothing_behind(
    buffer_size: int, workers: int, ordered: bool
) -> None:
    async def consume() -> None:
        adapters = [ScriptedAdapter(SCRIPT, source="one"), ScriptedAdapter("xy", source="two")]
        pipeline = IngestionPipeline(
            *adapters, workers=workers, ordered=ordered, retry=RetryPolicy(attempts=2, seed=1)
        )
        tasks = trio.lowlevel.current_statistics().tasks_living
        try:
            async with pipeline.stream_events(buffer_size=buffer_size) as events:
                async for _ in events:
                    pass
        except RuntimeError as error:
            assert str(error) == "scripted crash"
        finally:
            assert trio.lowlevel.current_statistics().tasks_living == tasks
            for adapter in adapters:
                assert adapter.opened == adapter.closed

    report = cancel_everywhere(consume)
    assert report.points > 20
    assert report.points_slow > report.points
