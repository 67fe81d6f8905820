"""Promise 2: records keep the source's order, or end as they are ready when that is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.promises.adapters import FORMS
from tests.promises.checks import ENDS, adapter_of, check_order, documents_of, keyed
from tests.promises.scripts import Case, Note, Played, cases, play, records_of
from tests.worlds import ONE_CLOCK, ONE_THREAD, run, stream_of
from trio_ingest import DocumentStarted, IngestionPipeline, PipelineEvent
from trio_ingest.testing import Crash, Fail, FailTimes, Pause, ScriptedAdapter, SlowParse


def played(script: Sequence[Any], **case: Any) -> Played:
    return run(lambda: play(Case(scripts=[script], **case)))


def ends_and_notes(events: Sequence[PipelineEvent]) -> list[str]:
    """The record numbers of the ends, and the notes, in the order of the stream."""
    told = []
    for event in events:
        if isinstance(event, ENDS):
            told.append(str(event.record_number))
        elif isinstance(event, Note):
            told.append(f"note {event.index}")
    return told


@given(cases())
def test_ordered_run_keeps_the_order_of_each_source(case: Case) -> None:
    case = attrs.evolve(case, ordered=True)
    check_order(run(lambda: play(case)).events)


@given(cases())
def test_records_start_in_the_order_of_the_source_even_when_ends_do_not(case: Case) -> None:
    case = attrs.evolve(case, ordered=False)
    check_order(run(lambda: play(case)).events, ends=case.workers == 1)


@given(cases())
def test_one_worker_ends_each_record_before_it_starts_the_next(case: Case) -> None:
    case = attrs.evolve(case, workers=1)
    open_now: dict[str, tuple[str, str, int]] = {}
    for key, event in keyed(run(lambda: play(case)).events):
        if isinstance(event, DocumentStarted):
            assert open_now.setdefault(key[0], key) == key
        elif isinstance(event, ENDS):
            assert open_now.pop(key[0]) == key


@ONE_CLOCK
@given(st.permutations([1, 2, 3, 4]), st.sampled_from([1, 2, 100]), st.booleans())
def test_unordered_records_end_as_they_are_ready(
    seconds: list[int], buffer_size: int, slow_consumer: bool
) -> None:
    delays = (0.01,) if slow_consumer else (0,)
    seen = played(
        [SlowParse(s) for s in seconds],
        workers=4,
        ordered=False,
        buffer_size=buffer_size,
        consumer_delays=delays,
    )
    quickest_first = sorted(range(4), key=lambda place: seconds[place])
    assert documents_of(seen.events) == [str(place) for place in quickest_first]


@given(st.permutations([1, 2, 3, 4]), st.integers(2, 4), st.sampled_from([1, 2, 100]))
def test_ordered_records_wait_for_their_turn(
    seconds: list[int], workers: int, buffer_size: int
) -> None:
    script = [SlowParse(s) for s in seconds]
    seen = played(script, workers=workers, ordered=True, buffer_size=buffer_size)
    assert documents_of(seen.events) == ["0", "1", "2", "3"]


@ONE_CLOCK
def test_unordered_records_overtake_a_slow_one() -> None:
    script = [SlowParse(1000), *"abcdefgh"]
    seen = played(script, workers=2, ordered=False)
    assert documents_of(seen.events) == [*"12345678", "0"]
    assert seen.elapsed == pytest.approx(1000)


@ONE_CLOCK
def test_ordered_workers_work_on_while_one_is_slow() -> None:
    script = [SlowParse(10), *[SlowParse(1)] * 4, SlowParse(5)]
    seen = played(script, workers=4, ordered=True)
    assert documents_of(seen.events) == list("012345")
    assert seen.elapsed == pytest.approx(10)


@ONE_CLOCK
def test_ordered_window_frees_a_place_only_when_a_document_is_emitted() -> None:
    adapter = ScriptedAdapter([SlowParse(10), *[SlowParse(0.5)] * 40])
    fetched = []

    async def main() -> None:
        async with (
            anyio.create_task_group() as nursery,
            stream_of(IngestionPipeline(adapter, workers=2)) as events,
        ):
            nursery.start_soon(watch)
            async for _ in events:
                pass

    async def watch() -> None:
        for _ in range(3):
            await anyio.sleep(4.9)
            fetched.append(adapter.fetched)

    run(main)
    held, still_held, flowing = fetched
    assert held == still_held == 4
    assert flowing > 4


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("attempts", [1, 3])
def test_retried_and_failed_records_keep_their_place(workers: int, attempts: int) -> None:
    script = ["a", FailTimes(2), Fail(), SlowParse(1), "b", FailTimes(9), "c"]
    seen = played(script, workers=workers, attempts=attempts)
    assert ends_and_notes(seen.events) == list("0123456")


@FORMS
@pytest.mark.parametrize("ordered", [True, False])
def test_own_events_keep_their_place_among_the_records(
    bare: bool, workers: int, ordered: bool
) -> None:
    script = [Note(index=0), "a", Note(index=2), Note(index=3), "b", Fail(), Note(index=6)]
    seen = played(script, workers=workers, bare=bare, ordered=ordered)
    told = ends_and_notes(seen.events)
    in_order = ["note 0", "0", "note 2", "note 3", "1", "2", "note 6"]
    if ordered or workers == 1:
        assert told == in_order
    else:
        assert sorted(told) == sorted(in_order)
        notes = [name for name in told if name.startswith("note")]
        assert notes == ["note 0", "note 2", "note 3", "note 6"]


def test_own_event_waits_for_a_slow_record_before_it_when_order_is_kept() -> None:
    script = [SlowParse(5), Note(index=1), "b"]
    ordered = played(script, workers=3, ordered=True)
    assert ends_and_notes(ordered.events) == ["0", "note 1", "1"]
    unordered = played(script, workers=3, ordered=False)
    assert ends_and_notes(unordered.events) == ["note 1", "1", "0"]


@pytest.mark.parametrize("buffer_size", [1, 2, 3])
def test_order_holds_when_all_wait_for_a_slow_consumer(buffer_size: int) -> None:
    seen = played(
        [SlowParse(0.1 * (n % 3)) for n in range(30)],
        workers=4,
        buffer_size=buffer_size,
        consumer_delays=(1, 0, 0),
    )
    check_order(seen.events)
    assert documents_of(seen.events) == [str(n) for n in range(30)]


@FORMS
def test_several_params_run_one_after_another_in_their_order(bare: bool, workers: int) -> None:
    script = [Pause(1), SlowParse(2), "b"]
    seen = played(script, workers=workers, bare=bare, parts=3)
    parts = [e.parameters["part"] for e in seen.events if isinstance(e, DocumentStarted)]
    assert parts == [0, 0, 1, 1, 2, 2]


@ONE_CLOCK
def test_adapters_do_not_wait_for_each_other_in_the_block() -> None:
    case = Case(scripts=[[Pause(10), "late"], ["early", "also"], [Crash()]])
    seen = run(lambda: play(case))
    ends = [adapter_of(e) for e in seen.events if isinstance(e, ENDS)]
    assert ends == ["source1", "source1", "source0"]
    assert seen.elapsed == pytest.approx(10)


@ONE_THREAD
def test_adapters_follow_each_other_in_the_bare_form() -> None:
    case = Case(scripts=[[Pause(10), "late"], ["early", "also"]], bare=True)
    seen = run(lambda: play(case))
    ends = [adapter_of(e) for e in seen.events if isinstance(e, ENDS)]
    assert ends == ["source0", "source1", "source1"]
    assert len(ends) == sum(len(records_of(script)) for script in case.scripts)
