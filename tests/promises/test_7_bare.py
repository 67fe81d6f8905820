"""Promise 7, for the bare form: cancelled, it closes its adapters and does not look ended."""

from __future__ import annotations

import anyio
import pytest

from tests.promises.closing_adapter import ClosingAdapter, nothing_left
from tests.worlds import ONE_THREAD, run, stream_of
from trio_ingest import IngestionPipeline, RetryPolicy, StreamClosedError
from trio_ingest.testing import Fail, FailTimes, Pause, SlowParse, cancel_everywhere

SCRIPT = ["a", Fail(), Pause(1), SlowParse(2), FailTimes(1), "b", "c"]


@ONE_THREAD
def test_cancelled_bare_form_closes_its_adapter_and_never_looks_like_an_end() -> None:
    adapter = ClosingAdapter(["a", Pause(1000), "b"])

    async def main() -> None:
        stream = stream_of(IngestionPipeline(adapter))
        with nothing_left([adapter]):
            with anyio.move_on_after(5) as scope:
                while True:
                    await anext(stream)
            assert scope.cancelled_caught
            with pytest.raises(StreamClosedError):
                await anext(stream)

    run(main)


def test_cancelled_at_every_point_the_bare_form_closes_its_adapters() -> None:
    async def attempt() -> None:
        adapters = [ClosingAdapter(SCRIPT, source="one"), ClosingAdapter("xy", source="two")]
        pipeline = IngestionPipeline(*adapters, retry=RetryPolicy(attempts=2, seed=1))
        with nothing_left(adapters):
            async for _ in stream_of(pipeline):
                pass

    assert cancel_everywhere(attempt).points > 5
