"""Trap: a cancellation point per document is dear, and too few of them starve everybody."""

from __future__ import annotations

from itertools import pairwise

import pytest
import trio
import trio.testing

from tests.promises.adapters import Plain
from tests.worlds import run
from trio_ingest import IngestionPipeline

COUNT = 5_000


class Steps(trio.abc.Instrument):
    """Counts how often any task was run."""

    def __init__(self) -> None:
        self.count = 0

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.count += 1


@pytest.mark.parametrize(
    ("workers", "ordered", "per_document"),
    [(1, True, 0.1), (3, True, 1.5), (3, False, 1.5)],
    ids=["one", "ordered", "unordered"],
)
def test_steps_for_each_document_are_few(
    workers: int, ordered: bool, per_document: float
) -> None:
    steps = Steps()

    async def main() -> None:
        pipeline = IngestionPipeline(Plain(count=COUNT), workers=workers, ordered=ordered)
        async with pipeline.stream_events() as events:
            async for _ in events:
                pass

    trio.run(main, instruments=[steps])
    assert steps.count < per_document * COUNT


def test_bare_form_takes_few_steps_too() -> None:
    steps = Steps()

    async def main() -> None:
        async for _ in IngestionPipeline(Plain(count=COUNT)).stream_events():
            pass

    trio.run(main, instruments=[steps])
    assert steps.count < 0.1 * COUNT


@pytest.mark.parametrize(("bare", "workers"), [(True, 1), (False, 1), (False, 3)])
def test_consumer_that_never_waits_gives_way_every_100_events(
    bare: bool, workers: int
) -> None:
    received = 0
    at_steps = []

    class Watch(trio.abc.Instrument):
        def before_task_step(self, task: trio.lowlevel.Task) -> None:
            at_steps.append(received)

    async def main() -> None:
        nonlocal received
        pipeline = IngestionPipeline(Plain(count=COUNT), workers=workers)
        stream = pipeline.stream_events(buffer_size=20_000)
        if bare:
            async for _ in stream:
                received += 1
        else:
            async with stream as events:
                await trio.sleep(1)  # a full buffer, that needs no wait to be emptied
                async for _ in events:
                    received += 1

    clock = trio.testing.MockClock(autojump_threshold=0)
    trio.run(main, clock=clock, instruments=[Watch()])
    assert received > 2 * COUNT
    # In the bare form a progress event may come on top of the hundred.
    assert max(after - before for before, after in pairwise(at_steps)) <= 101


@pytest.mark.parametrize("bare", [True, False])
def test_cancelled_consumer_of_a_hot_stream_stops_within_100_events(bare: bool) -> None:
    after = 0

    async def main() -> None:
        nonlocal after
        stream = IngestionPipeline(Plain(count=COUNT)).stream_events(buffer_size=1000)
        with trio.CancelScope() as scope:
            if bare:
                async for event in stream:
                    after += scope.cancel_called
                    if event.sequence == 1000:
                        scope.cancel()
            else:
                async with stream as events:
                    await trio.sleep(1)
                    async for event in events:
                        after += scope.cancel_called
                        if event.sequence == 500:
                            scope.cancel()
        assert scope.cancelled_caught

    run(main)
    assert after <= 101
