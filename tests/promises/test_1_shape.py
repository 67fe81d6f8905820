"""Promise 1: a record is started once and ended once, with only retries in between."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import example, given

from tests.promises.adapters import FORMS, Plain, see
from tests.promises.checks import (
    check_counts,
    check_numbering,
    check_shape,
    check_states,
    names_of,
    stories_of,
)
from tests.promises.run_history import FAILURE, DrivenRun, facts_about, long_history, moves
from tests.promises.scripts import Case, cases, play
from tests.worlds import run
from trio_ingest import (
    BatchProgress,
    DocumentCompleted,
    DocumentRetrying,
    DocumentStarted,
    EngineBug,
    IngestionPipeline,
    RetryPolicy,
    SetupError,
)
from trio_ingest.testing import Crash, Fail, FailTimes, SlowParse

# -- the run state machine alone ---------------------------------------------


@given(moves())
def test_any_legal_history_gives_a_stream_in_shape(history: list[tuple[str, int]]) -> None:
    driven = DrivenRun()
    driven.play(history)
    check_numbering(driven.events)
    check_shape(driven.events, whole=False)
    check_states(driven.events, whole=False)
    check_counts(driven.events, already_done=len(history))
    assert driven.run.in_flight == len(driven.open)
    driven.end_all()
    check_shape(driven.events)
    assert driven.run.in_flight == 0


@pytest.mark.parametrize("seed", range(3))
def test_long_legal_history_gives_a_stream_in_shape(seed: int) -> None:
    driven = DrivenRun(most_open=40)
    driven.play(long_history(seed, 5_000))
    driven.end_all()
    check_numbering(driven.events)
    check_shape(driven.events)
    check_counts(driven.events, already_done=5_000)


@pytest.mark.parametrize("fact", ["completed", "failed", "skipped", "retrying"])
def test_fact_about_a_record_never_started_is_an_engine_bug(fact: str) -> None:
    driven = DrivenRun()
    driven.start(0)
    with pytest.raises(EngineBug, match="Record 7 of 'source0' is not open"):
        facts_about(driven, driven.adapter_runs[0], 7)[fact]()
    # The other adapter run has a record 0 of its own, which was not started either.
    with pytest.raises(EngineBug, match="Record 0 of 'source1' is not open"):
        facts_about(driven, driven.adapter_runs[1], 0)[fact]()


@pytest.mark.parametrize("fact", ["completed", "failed", "skipped", "retrying"])
@pytest.mark.parametrize("end", ["complete", "fail", "skip"])
def test_fact_about_a_record_that_has_ended_is_an_engine_bug(end: str, fact: str) -> None:
    driven = DrivenRun()
    driven.start(0)
    getattr(driven, end)(0)
    with pytest.raises(EngineBug, match="Please report"):
        facts_about(driven, driven.adapter_runs[0], 0)[fact]()


def test_retries_are_announced_while_a_record_is_open() -> None:
    driven = DrivenRun()
    driven.start(0)
    driven.retry(0)
    driven.retry(0)
    driven.fail(0)
    assert names_of(driven.events)[2:] == [
        "DocumentStarted",
        "DocumentRetrying",
        "DocumentRetrying",
        "DocumentFailed",
    ]
    assert driven.run.retried_count == 2
    assert FAILURE.error is driven.events[-1].error  # type: ignore[attr-defined]


# -- whole runs -----------------------------------------------------------------------


def check_story(case: Case) -> None:
    played = run(lambda: play(case))
    events = played.events
    check_numbering(events)
    check_shape(events)
    check_states(events)
    already_done = sum(len(numbers) for numbers in case.already_done().values())
    check_counts(events, already_done=already_done)
    stories, wanted = stories_of(events), case.stories()
    if played.failure is not None:
        # The adapter runs behind one that died never began.
        wanted = {
            key: story
            for key, story in wanted.items()
            if key[1] == '{"part":0}' or not died(case, key[0])
        }
    assert stories == wanted
    assert isinstance(events[-1], BatchProgress)


def died(case: Case, source: str) -> bool:
    script = case.scripts[int(source.removeprefix("source"))]
    return any(isinstance(step, Crash) for step in script)


@given(cases())
@example(Case(scripts=[["a", "b"]], parts=2, workers=3))
@example(Case(scripts=[[FailTimes(2), "b"]], attempts=2, workers=3, ordered=False))
@example(Case(scripts=[[FailTimes(1), Fail(), "c"]], attempts=2, done={"0", "1"}, bare=True))
@example(Case(scripts=[["a", SlowParse(1), Crash()], ["b"]], workers=4, buffer_size=1))
def test_every_record_of_any_run_has_the_story_that_its_script_says(case: Case) -> None:
    check_story(case)


@FORMS
def test_run_over_nothing_says_that_it_ran(bare: bool, workers: int) -> None:
    seen = run(lambda: see(IngestionPipeline(Plain(count=0), workers=workers), bare=bare))
    assert names_of(seen.events) == ["running", "finished", "BatchProgress"]


@FORMS
def test_event_tells_of_its_record(bare: bool, workers: int) -> None:
    class Naming(Plain):
        def identify(self, record: object) -> str:
            return f"id{record}"

        def parse(self, record: object) -> object:
            if record == 1:
                raise OSError("always")
            return super().parse(record)

    adapter = Naming()
    retry = RetryPolicy(attempts=2, base_seconds=0)
    pipeline = IngestionPipeline(adapter, workers=workers, retry=retry)
    seen = run(lambda: see(pipeline, bare=bare))
    started = [e for e in seen.events if isinstance(e, DocumentStarted)]
    assert [(e.doc_id, e.adapter, e.parameters, e.record_number) for e in started] == [
        (f"id{n}", "plain", {}, n) for n in range(3)
    ]
    (retried,) = [e for e in seen.events if isinstance(e, DocumentRetrying)]
    assert (retried.doc_id, retried.record_number, retried.retry_count) == ("id1", 1, 1)
    assert (retried.error_type, retried.delay_seconds) == ("OSError", 0)
    completed = [e for e in seen.events if isinstance(e, DocumentCompleted)]
    assert [(e.record_number, e.document.doc_id) for e in completed] == [(0, "0"), (2, "2")]
    assert completed[0].adapter_metadata == {"adapter": "plain", "parameters": {}}


@FORMS
def test_adapter_may_not_emit_the_engines_own_events(bare: bool, workers: int) -> None:
    class Forging(Plain):
        async def fetch(self) -> AsyncIterator[object]:
            yield 0
            yield DocumentStarted(doc_id="x", adapter="plain", parameters={}, record_number=9)

    seen = run(lambda: see(IngestionPipeline(Forging(), workers=workers), bare=bare))
    assert type(seen.failure) is SetupError
    check_shape(seen.events)


@pytest.mark.parametrize(("workers", "ordered"), [(1, True), (3, True), (3, False)])
@pytest.mark.parametrize("most", range(12))
def test_record_cut_off_by_leaving_is_told_no_more_of(
    most: int, workers: int, ordered: bool
) -> None:
    script = ["a", SlowParse(1), FailTimes(1), "d"]
    case = Case(scripts=[script], workers=workers, ordered=ordered, attempts=2)
    played = run(lambda: play(case, most=most))
    check_numbering(played.events)
    check_shape(played.events, whole=False)
    assert len(played.events) <= most + 1
