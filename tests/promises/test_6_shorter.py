"""Promise 6: a source that has become shorter than what was done of it is no end."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.promises.adapters import see
from tests.worlds import ONLY_TRIO, run
from trio_ingest import Checkpoint, CheckpointError, Cursor, IngestionPipeline, Position
from trio_ingest.testing import ScriptedAdapter

pytestmark = ONLY_TRIO


def stopped_at(watermark: int, **more: Any) -> Checkpoint:
    return Checkpoint((Position("script", "{}", watermark, stable_order=True, **more),))


@pytest.mark.parametrize("workers", [0, 1, 3], ids=["bare", "one", "three"])
@pytest.mark.parametrize("left", [0, 2, 4])
def test_a_source_that_ends_before_what_was_done_of_it_fails_and_is_not_finished(
    left: int, workers: int
) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(left)), workers=workers or 1)

    async def main() -> None:
        stream = pipeline.stream_events(resume_from=stopped_at(4, ended=((5, 6),)))
        with pytest.raises(
            CheckpointError, match=rf"after {left} records.* has had 6 of them"
        ):
            if workers:
                async with stream:
                    async for _ in stream:
                        pass
            else:
                async for _ in stream:
                    pass
        assert not stream.checkpoint().finished
        assert stream.checkpoint().covers(stopped_at(4, ended=((5, 6),)))

    run(main)


@pytest.mark.parametrize("workers", [1, 3])
def test_a_source_that_ends_where_it_was_left_is_finished(workers: int) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(4)), workers=workers)
    events = run(lambda: see(pipeline, resume_from=stopped_at(4)))
    assert events.events[-1].checkpoint.finished


def test_a_source_that_ends_behind_its_cursor_fails_too() -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(["a", Cursor(1), "b"]))
    point = stopped_at(3, cursor=1, cursor_record=1)
    seen = run(lambda: see(pipeline, resume_from=point))
    assert isinstance(seen.failure, CheckpointError)
    assert "after 2 records" in str(seen.failure)


def test_a_drained_run_ends_before_that_and_is_no_failure() -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(range(9)))

    async def main() -> None:
        async with pipeline.stream_events(resume_from=stopped_at(8)) as events:
            events.drain()
            await trio.lowlevel.checkpoint()
            async for _ in events:
                pass

    run(main)
