"""Promise 8: what events say of time and of work in flight is true."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given

from tests.promises.adapters import FORMS, Plain, see
from tests.promises.checks import check_counts, check_numbering
from tests.promises.scripts import Case, Played, cases, play
from tests.worlds import ONE_CLOCK, hold_thread, run, stream_of
from trio_ingest import (
    BatchProgress,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
)
from trio_ingest.testing import Fail, FailTimes, Pause, SlowParse

PHASES = ("fetch_seconds", "parse_seconds", "consumer_seconds", "throttle_seconds")


def played(script: Sequence[Any], **case: Any) -> Played:
    return run(lambda: play(Case(scripts=[script], **case)))


def progress_of(events: Sequence[PipelineEvent]) -> list[BatchProgress]:
    return [event for event in events if isinstance(event, BatchProgress)]


def total(event: BatchProgress) -> float:
    return sum(getattr(event, phase) for phase in PHASES)


def check_sums(events: Sequence[PipelineEvent], began: float = 0.0) -> None:
    """The four phases are the elapsed time within 5 %, at every progress event."""
    for event in progress_of(events):
        assert total(event) == pytest.approx(event.timestamp - began, rel=0.05, abs=1e-9), (
            event
        )


# -- where the time goes ------------------------------------------------------------------


@ONE_CLOCK
@given(cases())
def test_one_workers_time_is_accounted_for_in_any_run(case: Case) -> None:
    case = attrs.evolve(case, workers=1, scripts=case.scripts[:1])
    check_sums(run(lambda: play(case)).events)


@ONE_CLOCK
@pytest.mark.parametrize("bare", [True, False])
def test_each_second_is_booked_where_it_went(bare: bool) -> None:
    script = [Pause(3), SlowParse(5), FailTimes(1), Pause(7), "a"]
    seen = played(
        script, bare=bare, attempts=2, buffer_size=1, consumer_delays=(2,), progress_interval=1
    )
    check_sums(seen.events)
    (retried,) = [e for e in seen.events if isinstance(e, DocumentRetrying)]
    last = progress_of(seen.events)[-1]
    assert last.parse_seconds == pytest.approx(5)
    assert last.throttle_seconds == pytest.approx(retried.delay_seconds)
    assert last.fetch_seconds == pytest.approx(10)
    # All else was waiting for the consumer.
    assert last.consumer_seconds == pytest.approx(last.timestamp - 15 - retried.delay_seconds)
    assert last.consumer_seconds > 10


@ONE_CLOCK
@pytest.mark.parametrize("bare", [True, False])
def test_time_in_a_parse_that_blocks_is_parse_time(bare: bool) -> None:
    pipeline = IngestionPipeline(Blocking([0.5] * 10), clock=anyio.current_time)
    seen = run(lambda: see(pipeline, bare=bare, progress_interval=1))
    assert seen.failure is None
    check_sums(seen.events)
    assert progress_of(seen.events)[-1].parse_seconds == pytest.approx(5)


@ONE_CLOCK
@pytest.mark.parametrize("bare", [True, False])
def test_time_in_closing_is_accounted_for(bare: bool) -> None:
    class Lingering(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            try:
                yield 0
            finally:
                await anyio.sleep(2)  # noqa: ASYNC102 -- reached at the end alone

        async def aclose(self) -> None:
            await anyio.sleep(2)

    pipeline = IngestionPipeline(Lingering(), clock=anyio.current_time)
    seen = run(lambda: see(pipeline, bare=bare))
    check_sums(seen.events)
    assert seen.events[-1].timestamp == pytest.approx(4)


@pytest.mark.parametrize("bare", [True, False])
def test_time_in_estimating_does_not_unbalance_the_sum(bare: bool) -> None:
    class Estimating(Plain):
        async def estimate_total(self) -> int:
            await anyio.sleep(3)
            return 3

        async def parse(self, record: Any) -> Document:
            await anyio.sleep(1)
            return Document(str(record), self.source, "")

    pipeline = IngestionPipeline(Estimating(), clock=anyio.current_time)
    seen = run(lambda: see(pipeline, bare=bare))
    check_sums(seen.events)


@ONE_CLOCK
def test_time_paused_is_throttled() -> None:
    seen: list[PipelineEvent] = []

    async def main() -> None:
        adapter = Plain(count=1000)
        pipeline = IngestionPipeline(adapter, clock=anyio.current_time)
        async with stream_of(pipeline, buffer_size=10) as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 50:
                    events.pause()
                elif event.timestamp >= 20:
                    events.resume()

    run(main)
    check_sums(seen)
    paused = [e for e in progress_of(seen) if e.timestamp > 0]
    assert len(paused) >= 20
    assert all(e.throttle_seconds == pytest.approx(e.timestamp) for e in paused)


@ONE_CLOCK
def test_several_workers_times_are_summed() -> None:
    script = [SlowParse(5)] * 8
    seen = played(script, workers=4)
    last = progress_of(seen.events)[-1]
    assert seen.elapsed == pytest.approx(10)
    assert last.parse_seconds == pytest.approx(40)
    assert last.fetch_seconds == pytest.approx(0)


@ONE_CLOCK
def test_several_adapters_times_are_summed() -> None:
    seen = run(lambda: play(Case(scripts=[[Pause(6), "a"], [Pause(6), SlowParse(2)]])))
    last = progress_of(seen.events)[-1]
    assert seen.elapsed == pytest.approx(8)
    assert last.fetch_seconds == pytest.approx(12)
    assert last.parse_seconds == pytest.approx(2)


@ONE_CLOCK
def test_several_workers_waits_for_the_consumer_are_summed() -> None:
    seen = played(["a"] * 20, workers=3, buffer_size=1, consumer_delays=(1,))
    last = progress_of(seen.events)[-1]
    assert last.consumer_seconds > 1.5 * last.timestamp
    assert last.parse_seconds == pytest.approx(0)


# -- a document's own time -------------------------------------------------------------------


@ONE_CLOCK
@FORMS
def test_duration_is_work_and_no_waiting(bare: bool, workers: int) -> None:
    class Costly(Plain):
        """Works 3 seconds in vain, and then 2."""

        def __init__(self) -> None:
            super().__init__(count=4)
            self.tried: set[Any] = set()

        async def parse(self, record: Any) -> Document:
            if record not in self.tried:
                self.tried.add(record)
                await anyio.sleep(3)
                raise OSError("once")
            await anyio.sleep(2)
            return Document(str(record), self.source, "")

    async def main() -> list[float]:
        retry = RetryPolicy(attempts=2, base_seconds=1000, max_seconds=1000)
        pipeline = IngestionPipeline(Costly(), workers=workers, retry=retry)
        stream = stream_of(pipeline, buffer_size=1)
        durations = []

        async def take(event: PipelineEvent) -> None:
            await anyio.sleep(50)
            if isinstance(event, DocumentCompleted):
                durations.append(event.duration)

        if bare:
            async for event in stream:
                await take(event)
        else:
            async with stream as events:
                async for event in events:
                    await take(event)
        return durations

    assert run(main) == [pytest.approx(5)] * 4


@FORMS
def test_duration_of_a_parse_that_blocks_is_that_parse(bare: bool, workers: int) -> None:
    seconds = [0.5, 0.001, 2, 0.0, 3]
    pipeline = IngestionPipeline(Blocking(seconds), workers=workers)
    seen = run(lambda: see(pipeline, bare=bare, buffer_size=2))
    durations = [e.duration for e in seen.events if isinstance(e, DocumentCompleted)]
    assert durations == [pytest.approx(s) for s in seconds]


# -- a start is told before the work ----------------------------------------------------------


class Blocking(Plain):
    """Its ``parse`` holds the thread, so that the virtual clock jumps ahead."""

    def __init__(self, seconds: Sequence[float]) -> None:
        super().__init__(count=len(seconds))
        self.seconds = seconds
        self.received: list[PipelineEvent] = []
        # In the order of the calls: what it took, and whether its start was told before.
        self.told: list[tuple[float, bool]] = []

    def parse(self, record: Any) -> Any:
        started = [e.record_number for e in self.received if isinstance(e, DocumentStarted)]
        self.told.append((self.seconds[record], record in started))
        hold_thread(self.seconds[record])
        return super().parse(record)


async def consume_into(pipeline: IngestionPipeline, received: list[PipelineEvent]) -> None:
    async with stream_of(pipeline) as events:
        async for event in events:
            received.append(event)  # noqa: PERF401 -- each at once


@ONE_CLOCK
@pytest.mark.parametrize(("workers", "ordered"), [(1, True), (3, True), (3, False)])
def test_start_is_received_before_a_parse_that_blocks_when_the_last_one_did(
    workers: int, ordered: bool
) -> None:
    adapter = Blocking([0.011, 0.5, 3, 0.02, 0.001, 0.02, 60, 1])
    pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
    run(consume_into, pipeline, adapter.received)
    assert len(adapter.told) == 8
    for (before, _), (_, told) in pairwise(adapter.told):
        assert told or before < 0.01


@ONE_CLOCK
@pytest.mark.parametrize("workers", [1, 3])
def test_starts_of_quick_parses_are_received_within_ten_milliseconds_of_work(
    workers: int,
) -> None:
    adapter = Blocking([0.003] * 40)
    run(consume_into, IngestionPipeline(adapter, workers=workers), adapter.received)
    untold = "".join("x" if told else "." for _, told in adapter.told).split("x")
    assert max(len(run_of) for run_of in untold) <= 4


@ONE_CLOCK
@FORMS
def test_start_is_received_before_a_parse_that_waits_has_ended(
    bare: bool, workers: int
) -> None:
    class Waiting(Plain):
        def __init__(self) -> None:
            super().__init__(count=6)
            self.begun: dict[int, float] = {}

        async def parse(self, record: Any) -> Document:
            await anyio.sleep(1)
            assert record in self.begun, "its start was held back"
            assert anyio.current_time() - self.begun[record] == pytest.approx(1)
            return Document(str(record), self.source, "")

    adapter = Waiting()

    async def main() -> int:
        stream = stream_of(IngestionPipeline(adapter, workers=workers))
        completed = 0

        def take(event: PipelineEvent) -> None:
            nonlocal completed
            if isinstance(event, DocumentStarted):
                adapter.begun[event.record_number] = anyio.current_time()
            assert not isinstance(event, DocumentFailed)
            completed += isinstance(event, DocumentCompleted)

        if bare:
            async for event in stream:
                take(event)
        else:
            async with stream as events:
                async for event in events:
                    take(event)
        return completed

    assert run(main) == 6


# -- counts and pace ------------------------------------------------------------------


@given(cases())
def test_progress_counts_what_came_before_it(case: Case) -> None:
    events = run(lambda: play(case)).events
    check_numbering(events)
    check_counts(events, already_done=sum(len(n) for n in case.already_done().values()))


def test_in_flight_is_what_is_in_flight() -> None:
    seen = played([SlowParse(10)] * 3 + [SlowParse(5)], workers=4, ordered=False)
    in_flight = {e.timestamp: e.in_flight for e in progress_of(seen.events)}
    assert {n for t, n in in_flight.items() if 0.5 < t < 4.9} == {4}
    assert {n for t, n in in_flight.items() if 5.1 < t < 9.9} == {3}
    assert progress_of(seen.events)[-1].in_flight == 0


def gaps(events: Sequence[PipelineEvent], until: float) -> float:
    stamps = [0.0, *[e.timestamp for e in progress_of(events)], until]
    return max(b - a for a, b in pairwise(stamps))


@ONE_CLOCK
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("step", "phase"), [(Pause(10), "fetch_seconds"), (SlowParse(10), "parse_seconds")]
)
def test_progress_comes_every_second_while_something_takes_long(
    step: Any, phase: str, workers: int
) -> None:
    seen = played(["a", step, Fail(), "b"], workers=workers)
    assert gaps(seen.events, seen.elapsed) <= 1
    assert seen.elapsed == pytest.approx(10)
    if workers == 1:
        check_sums(seen.events)
        ticks = [e for e in progress_of(seen.events) if e.timestamp < 9.9]
        assert len(ticks) >= 9
        assert all(getattr(e, phase) == pytest.approx(e.timestamp) for e in ticks)


@pytest.mark.parametrize("workers", [1, 3])
def test_progress_comes_every_second_while_a_retry_waits(workers: int) -> None:
    class Unlucky(Plain):
        def parse(self, record: Any) -> Any:
            raise OSError("always")

    retry = RetryPolicy(attempts=3, base_seconds=60, max_seconds=60, seed=3)
    pipeline = IngestionPipeline(
        Unlucky(count=1), workers=workers, retry=retry, clock=anyio.current_time
    )
    seen = run(lambda: see(pipeline))
    last = seen.events[-1].timestamp
    assert last > 20
    assert gaps(seen.events, last) <= 1
    if workers == 1:
        check_sums(seen.events)
        assert progress_of(seen.events)[-1].throttle_seconds == pytest.approx(last)


@ONE_CLOCK
@FORMS
def test_progress_comes_by_count(bare: bool, workers: int) -> None:
    pipeline = IngestionPipeline(Plain(count=1000), workers=workers)
    seen = run(lambda: see(pipeline, bare=bare, progress_interval=100))
    ended = [0, *[e.completed for e in progress_of(seen.events)]]
    assert len(ended) >= 10
    steps = {b - a for a, b in pairwise(ended[:-2])}
    # Several workers may each end another document before the event is made.
    assert steps <= ({100} if workers == 1 else set(range(100, 100 + 2 * workers + 1)))
    assert ended[-1] == 1000


@pytest.mark.parametrize("bare", [True, False])
def test_timestamps_are_the_wall_clocks_and_durations_the_runtimes(bare: bool) -> None:
    wall = iter(range(1_000_000, 2_000_000))
    pipeline = IngestionPipeline(Blocking([5, 5]), clock=lambda: next(wall))
    seen = run(lambda: see(pipeline, bare=bare))
    stamps = [e.timestamp for e in seen.events]
    assert stamps == list(range(1_000_000, 1_000_000 + len(seen.events)))
    durations = [e.duration for e in seen.events if isinstance(e, DocumentCompleted)]
    assert durations == [pytest.approx(5)] * 2
