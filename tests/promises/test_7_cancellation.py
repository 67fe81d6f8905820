"""Promise 7: when the block has been left, no task lives and every adapter is closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any

import anyio
import anyio.lowlevel
import hypothesis.strategies as st
import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given

from tests.promises.adapters import Plain
from tests.promises.checks import check_numbering, check_shape, documents_of
from tests.promises.closing_adapter import (
    CancelAt,
    ClosingAdapter,
    consume,
    nothing_left,
    run_cancelled_at,
)
from tests.promises.scripts import Case, cases
from tests.worlds import ONE_CLOCK, ONLY_TRIO, run, stream_of
from trio_ingest import (
    DocumentCompleted,
    DocumentFailed,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
    StreamClosedError,
)
from trio_ingest.testing import (
    Crash,
    Fail,
    FailTimes,
    Pause,
    ScriptedAdapter,
    SlowParse,
    cancel_everywhere,
)

# Where cancellations come once, an adapter's own failure cannot take their place.
CRASHES_MEANWHILE = pytest.mark.filterwarnings("ignore:An adapter failed while:RuntimeWarning")
WORKERS = pytest.mark.parametrize("workers", [1, 3])
SCRIPT = ["a", Fail(), Pause(1), SlowParse(2), FailTimes(1), "b", "c", Crash()]


# -- at every point ----------------------------------------------------------------------


@ONLY_TRIO
@pytest.mark.one_in(3)
@pytest.mark.parametrize(
    ("workers", "ordered", "buffer_size"),
    [(1, True, 1), (1, True, 3), (3, True, 3), (3, True, 1), (3, False, 1), (3, False, 3)],
)
def test_cancelled_at_every_point_leaves_nothing_behind(
    workers: int, ordered: bool, buffer_size: int
) -> None:
    async def attempt() -> None:
        adapters = [ClosingAdapter(SCRIPT, source="one"), ClosingAdapter("xy", source="two")]
        pipeline = IngestionPipeline(
            *adapters, workers=workers, ordered=ordered, retry=RetryPolicy(attempts=2, seed=1)
        )
        with nothing_left(adapters):
            try:
                await consume(stream_of(pipeline, buffer_size=buffer_size))
            except RuntimeError as error:
                if str(error) != "scripted crash":
                    raise

    report = cancel_everywhere(attempt)
    assert report.points > 20
    assert report.points_slow > report.points


@ONLY_TRIO
def test_cancelled_at_every_point_between_several_params_leaves_nothing_behind() -> None:
    class Parts(ClosingAdapter):
        async def fetch(self, *, part: int) -> AsyncIterator[Any]:
            self.opened += 1
            try:
                yield "ab"
                await anyio.sleep(part)
            finally:
                self.closed += 1

        def parse(self, record: Any) -> Any:
            return Plain("script").parse(record)

    async def attempt() -> None:
        adapter = Parts([])
        with nothing_left([adapter]):
            params = [{"part": 1}, {"part": 2}]
            await consume(stream_of(IngestionPipeline(adapter), params=params))

    assert cancel_everywhere(attempt).points > 10


@CRASHES_MEANWHILE
@given(cases(bare=False), st.integers(0, 120))
def test_random_run_cancelled_at_a_random_point_leaves_nothing_behind(
    case: Case, step: int
) -> None:
    async def attempt() -> None:
        adapters = [
            ClosingAdapter(script, source=f"s{i}") for i, script in enumerate(case.scripts)
        ]
        pipeline = case.pipeline(adapters)
        with nothing_left(adapters):
            stream = stream_of(pipeline, **(case.options() | {"params": [{}]}))
            with suppress(RuntimeError, ExceptionGroup):  # the script's own crashes
                await consume(stream, *case.consumer_delays)

    run_cancelled_at(step, attempt)


@CRASHES_MEANWHILE
@given(cases(bare=False), st.sampled_from([0, 0.25, 0.5, 1, 2.25, 3, 5, 8]))
def test_random_run_left_at_a_deadline_told_only_the_truth(case: Case, seconds: float) -> None:
    adapters = [
        ClosingAdapter(script, source=f"s{i}") for i, script in enumerate(case.scripts)
    ]
    received: list[PipelineEvent] = []

    async def main() -> None:
        stream = stream_of(case.pipeline(adapters), **(case.options() | {"params": [{}]}))
        # The script's own crashes are none of this test's business.
        crashes = suppress(RuntimeError, ExceptionGroup)
        with nothing_left(adapters), anyio.move_on_after(seconds), crashes:
            async with stream as events:
                async for event in events:
                    received.append(event)
                    await anyio.sleep(0.25)

    run(main)
    check_numbering(received)
    check_shape(received, whole=False)


# -- by every road -------------------------------------------------------------------------


class Left(Exception):
    """The consumer's own."""


async def by_its_end(events: EventStream[Any], after: int) -> None:
    while (await anext(events)).sequence != after:
        pass


async def by_exception(events: EventStream[Any], after: int) -> None:
    async for event in events:
        if event.sequence == after:
            raise Left


async def by_inner_cancel(events: EventStream[Any], after: int) -> None:
    with anyio.CancelScope() as scope:
        async for event in events:
            if event.sequence == after:
                scope.cancel()


async def without_asking(events: EventStream[Any], after: int) -> None:
    await anyio.sleep(after)


@pytest.mark.one_in(3)
@pytest.mark.parametrize(("workers", "ordered"), [(1, True), (3, True), (3, False)])
@pytest.mark.parametrize("road", [by_its_end, by_exception, by_inner_cancel, without_asking])
@pytest.mark.parametrize("buffer_size", [1, 100])
def test_leaving_after_any_event_leaves_nothing_behind(
    buffer_size: int, road: Callable[..., Awaitable[None]], workers: int, ordered: bool
) -> None:
    async def main(after: int) -> None:
        adapters = [ClosingAdapter([*"abc", SlowParse(9), *"def"], source=s) for s in "xy"]
        pipeline = IngestionPipeline(*adapters, workers=workers, ordered=ordered)
        with nothing_left(adapters):
            async with stream_of(pipeline, buffer_size=buffer_size) as events:
                await road(events, after)

    for after in range(20):
        if road is by_exception:
            with pytest.raises(Left):
                run(main, after)
        else:
            run(main, after)


@ONE_CLOCK
@WORKERS
def test_cancelled_document_is_not_a_failed_one(workers: int) -> None:
    tidied = []

    class Careful(Plain):
        async def parse(self, record: Any) -> Any:
            try:
                await anyio.sleep_forever()
            finally:
                tidied.append(record)

    received: list[PipelineEvent] = []

    async def main() -> None:
        with anyio.move_on_after(5):
            async with stream_of(IngestionPipeline(Careful(), workers=workers)) as events:
                async for event in events:
                    received.append(event)  # noqa: PERF401 -- each at once
        assert len(tidied) == workers

    run(main)
    assert not any(isinstance(e, DocumentFailed) for e in received)


# -- the grace -----------------------------------------------------------------------------


class Lingering(Plain):
    """Needs time to close: in ``fetch``, suspended at a yield, and in ``aclose``."""

    def __init__(self, in_fetch: float, in_aclose: float) -> None:
        super().__init__("lingering", count=1000)
        self.in_fetch = in_fetch
        self.in_aclose = in_aclose
        self.done: list[str] = []

    async def fetch(self) -> AsyncIterator[Any]:
        try:
            for number in range(self.count):
                yield number
        finally:
            await anyio.sleep(self.in_fetch)  # noqa: ASYNC102 -- the grace shields it
            self.done.append("fetch")

    async def aclose(self) -> None:
        await anyio.sleep(self.in_aclose)
        self.done.append("aclose")


async def leave(pipeline: IngestionPipeline, *, by_deadline: bool) -> float:
    """Leave in the middle, the adapter being at a yield; returns how long that took."""
    with anyio.CancelScope() as scope:
        async with stream_of(pipeline, buffer_size=1) as events:
            async for event in events:
                if isinstance(event, DocumentCompleted):
                    await anyio.sleep(1)  # the engine is waiting for room now
                    began = anyio.current_time()
                    if by_deadline:
                        scope.cancel()
                        await anyio.lowlevel.checkpoint()
                    break
    return anyio.current_time() - began


@ONE_CLOCK
@WORKERS
@pytest.mark.parametrize("by_deadline", [False, True], ids=["break", "cancelled"])
def test_cleanup_within_the_grace_is_waited_for(by_deadline: bool, workers: int) -> None:
    adapter = Lingering(4, 4)
    pipeline = IngestionPipeline(adapter, workers=workers, cleanup_grace_seconds=5)
    took = run(lambda: leave(pipeline, by_deadline=by_deadline))
    assert adapter.done == ["fetch", "aclose"]
    assert took == pytest.approx(8)


@ONE_CLOCK
@WORKERS
@pytest.mark.parametrize("by_deadline", [False, True], ids=["break", "cancelled"])
@pytest.mark.parametrize(
    ("in_fetch", "in_aclose", "done", "what"),
    [
        (100, 1, ["aclose"], "fetch of 'lingering'"),
        (1, 100, ["fetch"], "aclose of 'lingering'"),
    ],
    ids=["fetch", "aclose"],
)
def test_cleanup_past_the_grace_is_cut_short_and_named(
    in_fetch: float,
    in_aclose: float,
    done: list[str],
    what: str,
    by_deadline: bool,
    workers: int,
) -> None:
    adapter = Lingering(in_fetch, in_aclose)
    pipeline = IngestionPipeline(adapter, workers=workers, cleanup_grace_seconds=5)
    with pytest.warns(RuntimeWarning, match=f"{what} took longer .* cleanup_grace_seconds=5"):
        took = run(lambda: leave(pipeline, by_deadline=by_deadline))
    assert adapter.done == done
    assert took == pytest.approx(6)


@ONE_CLOCK
@WORKERS
def test_cleanup_that_a_cancellation_inside_fetch_reaches_can_shield_itself(
    workers: int,
) -> None:
    done = []

    class Waiting(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 0
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.move_on_after(3, shield=True):
                    await anyio.sleep(2)
                    done.append(anyio.current_time())

    async def main() -> None:
        with anyio.move_on_after(5):
            await consume(stream_of(IngestionPipeline(Waiting(), workers=workers)))

    run(main)
    assert done == [pytest.approx(7)]


# -- asking, and being cancelled while asking -----------------------------------------------


@WORKERS
@pytest.mark.parametrize("seconds", [0.001, 0.3, 1, 1.5, 7])
def test_timeout_around_asking_loses_nothing(seconds: float, workers: int) -> None:
    script = [Pause(1), "a", SlowParse(2), "b", Pause(3), Fail(), "c"]
    received: list[PipelineEvent] = []

    async def main() -> None:
        pipeline = IngestionPipeline(ScriptedAdapter(script), workers=workers)
        async with stream_of(pipeline, buffer_size=2) as events:
            while True:
                with anyio.move_on_after(seconds):
                    try:
                        received.append(await anext(events))
                    except StopAsyncIteration:
                        return
                await anyio.sleep(0.1)

    run(main)
    check_numbering(received)
    check_shape(received)
    assert documents_of(received) == ["1", "2", "3", "6"]


@ONLY_TRIO
@WORKERS
@pytest.mark.parametrize("buffer_size", [1, 3])
def test_asking_that_is_cancelled_at_any_step_loses_nothing(
    buffer_size: int, workers: int
) -> None:
    caught = 0

    async def main(cancel: CancelAt) -> list[PipelineEvent]:
        nonlocal caught
        received = []
        pipeline = IngestionPipeline(ScriptedAdapter(SCRIPT[:-1]), workers=workers)
        stream = stream_of(pipeline, buffer_size=buffer_size)
        with trio.fail_after(1e6):
            async with stream as events:
                while True:
                    with trio.CancelScope() as cancel.scope:
                        try:
                            received.append(await anext(events))
                        except StopAsyncIteration:
                            return received
                    caught += cancel.scope.cancelled_caught

    for step in range(80):
        cancel = CancelAt(step)
        clock = trio.testing.MockClock(autojump_threshold=0)
        received = trio.run(main, cancel, clock=clock, instruments=[cancel])
        check_numbering(received)
        check_shape(received)
    assert caught > 10


@ONLY_TRIO
@WORKERS
def test_shielded_consumer_does_not_hang_when_cancelled_from_outside(workers: int) -> None:
    adapters = [ClosingAdapter([*"abc", Pause(1000), *"def"])]
    received: list[PipelineEvent] = []

    async def main() -> None:
        with anyio.CancelScope() as outer, nothing_left(adapters):
            async with stream_of(IngestionPipeline(*adapters, workers=workers)) as events:
                with anyio.CancelScope(shield=True):
                    with pytest.raises(StreamClosedError, match="was cancelled"):
                        async for event in events:
                            received.append(event)
                            outer.cancel()
                    with pytest.raises(StreamClosedError):
                        await anext(events)
        assert anyio.current_time() < 10

    run(main)
    check_numbering(received)
