"""The run state machine: each fact gives its event, numbered, and keeps the counts true."""

from __future__ import annotations

from typing import Any, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest import (
    AdapterState,
    BatchProgress,
    Document,
    DocumentCompleted,
    EngineBug,
    PipelineEvent,
    SetupError,
)
from trio_ingest._core.adapter_run import AdapterRun, Failure, Skip
from trio_ingest._core.run import BURST_DOCUMENTS, NEXT_STATES, Run
from trio_ingest._core.watermark import Watermark

DOCUMENT = Document("d", "feed", "")
FAILURE = Failure("no", "OSError", None, is_retryable=True)


@attrs.frozen(kw_only=True)
class Page(PipelineEvent):
    """An adapter's own event."""

    number: int


def new_run(**options: Any) -> tuple[Run, AdapterRun]:
    """A run of one adapter, and that adapter's part of it."""
    adapter_run = AdapterRun("feed", {"since": 1}, '{"since":1}')
    given_options = {
        "buffer_size": 10,
        "progress_interval": 100,
        "checkpoint_interval": 1000,
        "estimated_total": None,
        **options,
    }
    return Run("run-1", [adapter_run], 0.0, **given_options), adapter_run


def complete(run: Run, adapter_run: AdapterRun, number: int) -> DocumentCompleted:
    run.started(adapter_run, number, "d", 0.0)
    return run.completed(adapter_run, number, DOCUMENT, 0.0, 0, 0.0)


def test_each_fact_gives_the_next_number_and_what_was_reported() -> None:
    run, feed = new_run()
    events = [
        run.state_changed("feed", "running", 1.0),
        run.started(feed, 7, "id", 2.0),
        run.retrying(feed, 7, FAILURE, "id", 1, 0.25, 3.0),
        run.completed(feed, 7, DOCUMENT, 0.5, 1, 4.0),
        run.started(feed, 8, "id", 5.0),
        run.failed(feed, 8, FAILURE, None, "raw", 0, 6.0),
        run.started(feed, 9, "id", 7.0),
        run.skipped(feed, 9, Skip("d", "already completed"), 8.0),
        run.custom_event(Page(number=3), 9.0),
        run.progress(10.0, 10.0, 4),
    ]
    assert [event.sequence for event in events] == list(range(10))
    assert [event.timestamp for event in events] == [float(n) for n in range(1, 11)]
    assert {event.pipeline_id for event in events} == {"run-1"}
    shown = [attrs.asdict(event, recurse=False) for event in events]
    wanted: list[dict[str, Any]] = [
        {"adapter": "feed", "old_state": "pending", "new_state": "running", "reason": None},
        {"doc_id": "id", "adapter": "feed", "parameters": {"since": 1}, "record_number": 7},
        {"error": FAILURE.error, "error_type": "OSError", "retry_count": 1}
        | {"doc_id": "id", "adapter": "feed", "delay_seconds": 0.25, "record_number": 7},
        {"document": DOCUMENT, "duration": 0.5, "record_number": 7, "retry_count": 1}
        | {"adapter_metadata": {"adapter": "feed", "parameters": {"since": 1}}},
        {"record_number": 8},
        {"doc_id": None, "error": FAILURE.error, "error_type": "OSError", "retry_count": 0}
        | {"is_retryable": True, "traceback": None, "adapter": "feed"}
        | {"record_number": 8, "raw": "raw"},
        {"record_number": 9},
        {"doc_id": "d", "adapter": "feed", "reason": "already completed"},
        {"number": 3},
        {"completed": 1, "failed": 1, "skipped": 1, "in_flight": 0, "queue_depth": 4}
        | {"buffer_size": 10, "checkpoint": None, "eta_seconds": None},
    ]
    for fields, want in zip(shown, wanted, strict=True):
        assert fields | want == fields


@pytest.mark.parametrize("how", ["completed", "failed", "skipped", "retrying"])
@pytest.mark.parametrize("ended_before", [False, True])
def test_end_or_retry_of_a_record_that_is_not_open_is_a_bug_of_the_engine(
    how: str, ended_before: bool
) -> None:
    run, feed = new_run()
    if ended_before:
        complete(run, feed, 0)
    calls: dict[str, Any] = {
        "completed": lambda: run.completed(feed, 0, DOCUMENT, 0.0, 0, 0.0),
        "failed": lambda: run.failed(feed, 0, FAILURE, None, None, 0, 0.0),
        "skipped": lambda: run.skipped(feed, 0, Skip("d", ""), 0.0),
        "retrying": lambda: run.retrying(feed, 0, FAILURE, "d", 1, 0.0, 0.0),
    }
    with pytest.raises(EngineBug, match="Record 0 of 'feed'"):
        calls[how]()


def test_states_follow_each_other_for_each_adapter_apart() -> None:
    run, _ = new_run()
    assert run.state_of("a") == "pending"
    first = run.state_changed("a", "running", 0.0)
    other = run.state_changed("b", "running", 0.0)
    last = run.state_changed("a", "failed", 0.0, "OSError: no")
    assert (first.old_state, first.new_state) == ("pending", "running")
    assert (other.old_state, other.new_state) == ("pending", "running")
    assert (last.old_state, last.new_state, last.reason) == (
        "running",
        "failed",
        "OSError: no",
    )
    assert (run.state_of("a"), run.state_of("b")) == ("failed", "running")


@pytest.mark.parametrize("old_state", NEXT_STATES)
@pytest.mark.parametrize("new_state", NEXT_STATES)
def test_state_that_may_not_follow_is_a_bug_of_the_engine(
    old_state: AdapterState, new_state: AdapterState
) -> None:
    run, _ = new_run()
    run.states["feed"] = old_state
    if new_state in NEXT_STATES[old_state]:
        assert run.state_changed("feed", new_state, 0.0).old_state == old_state
    else:
        with pytest.raises(EngineBug, match=f"'feed' is {old_state} and cannot be"):
            run.state_changed("feed", new_state, 0.0)
        assert (run.state_of("feed"), run.sequence) == (old_state, 0)


def test_table_has_every_state_and_each_can_be_reached() -> None:
    reached, found = {"pending"}, {"pending"}
    while found:
        found = {new for old in found for new in NEXT_STATES[old]} - reached
        reached |= found
    assert reached == set(NEXT_STATES) == set(get_args(AdapterState))


def test_record_that_is_passed_over_counts_as_skipped_and_has_ended() -> None:
    run, feed = new_run()
    run.already_done(feed, 0)
    assert (run.skipped_count, run.sequence, run.in_flight) == (1, 0, 0)
    assert run.checkpoint(0).positions[0].watermark == 1


def test_in_flight_is_what_was_started_and_has_not_ended_in_all_adapter_runs() -> None:
    feed, other = AdapterRun("feed", {}, "{}"), AdapterRun("other", {}, "{}")
    run = Run(
        "run-1",
        [feed, other],
        0.0,
        buffer_size=1,
        progress_interval=1,
        checkpoint_interval=1,
        estimated_total=None,
    )
    run.started(feed, 0, "a", 0.0)
    run.started(feed, 1, "b", 0.0)
    run.started(other, 0, "c", 0.0)
    assert run.in_flight == 3
    run.completed(feed, 1, DOCUMENT, 0.0, 0, 0.0)
    assert run.in_flight == 2


# -- an adapter's own events and cursors ------------------------------------------------


def test_own_event_is_stamped_in_a_copy() -> None:
    run, _ = new_run()
    run.sequence = 41
    own = Page(number=3, timestamp=-1.0, pipeline_id="mine", sequence=-1)
    stamped = run.custom_event(own, 9.0)
    assert stamped == Page(number=3, timestamp=9.0, pipeline_id="run-1", sequence=41)
    assert own == Page(number=3, timestamp=-1.0, pipeline_id="mine", sequence=-1)


def test_own_event_of_the_base_class_itself_is_allowed() -> None:
    run, _ = new_run()
    assert type(run.custom_event(PipelineEvent(), 1.0)) is PipelineEvent


@pytest.mark.parametrize("value", [{1, 2}, b"x", float("nan"), object()])
def test_cursor_without_a_json_form_is_a_setup_error(value: object) -> None:
    run, feed = new_run()
    with pytest.raises(SetupError, match="'feed' yielded a Cursor"):
        run.cursor_yielded(feed, value)


def test_cursor_that_contains_itself_is_a_setup_error() -> None:
    run, feed = new_run()
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SetupError, match="yielded a Cursor"):
        run.cursor_yielded(feed, loop)


def test_cursor_is_a_snapshot_that_the_adapter_cannot_change() -> None:
    run, feed = new_run()
    value = {"page": [1]}
    run.cursor_yielded(feed, value)
    value["page"].append(2)
    assert run.checkpoint(0).positions[0].cursor == {"page": [1]}


# -- progress and checkpoints --------------------------------------------------------------


def emit(run: Run, feed: AdapterRun, count: int) -> list[BatchProgress]:
    """End ``count`` documents as an emitter does: upkeep when the quiet is over."""
    progress = []
    for number in range(count):
        complete(run, feed, number)
        if run.ends_until_upkeep <= 0:
            if run.progress_is_due():
                progress.append(run.progress(1.0, 1.0, 0))
            run.schedule_upkeep()
    return progress


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 700))
def test_progress_comes_after_every_interval_and_its_checkpoint_after_every_other(
    progress_interval: int, checkpoint_interval: int, count: int
) -> None:
    run, feed = new_run(
        progress_interval=progress_interval, checkpoint_interval=checkpoint_interval
    )
    events = emit(run, feed, count)
    at_progress = at_checkpoint = 0
    wanted = []
    for ended in range(1, count + 1):
        minted = ended - at_checkpoint >= checkpoint_interval
        if minted or ended - at_progress >= progress_interval:
            at_progress = ended
            at_checkpoint = ended if minted else at_checkpoint
            wanted.append((ended, minted))
    assert [(e.completed, e.checkpoint is not None) for e in events] == wanted


@given(st.integers(1, 10_000), st.integers(1, 10_000))
def test_no_burst_is_longer_than_its_limit(progress: int, checkpoint: int) -> None:
    run, feed = new_run(progress_interval=progress, checkpoint_interval=checkpoint)
    for number in range(BURST_DOCUMENTS):
        complete(run, feed, number)
    assert run.ends_until_upkeep <= 0


@pytest.mark.parametrize(
    "fact",
    ["complete", "fail", "skip", "pass_over", "cursor", "own"],
)
def test_every_kind_of_item_shortens_the_quiet(fact: str) -> None:
    # Or an adapter that yields nothing but these would never let others run.
    run, feed = new_run()
    before = run.ends_until_upkeep
    match fact:
        case "complete":
            complete(run, feed, 0)
        case "fail":
            run.started(feed, 0, "d", 0.0)
            run.failed(feed, 0, FAILURE, None, None, 0, 0.0)
        case "skip":
            run.started(feed, 0, "d", 0.0)
            run.skipped(feed, 0, Skip("d", ""), 0.0)
        case "pass_over":
            run.already_done(feed, 0)
        case "cursor":
            run.cursor_yielded(feed, 1)
        case "own":
            run.custom_event(Page(number=1), 0.0)
    assert run.ends_until_upkeep == before - 1


def test_checkpoint_of_a_progress_event_claims_what_was_emitted_before_it() -> None:
    run, feed = new_run()
    for number in range(3):
        complete(run, feed, number)
    run.started(feed, 3, "d", 0.0)
    event = run.progress(1.0, 1.0, 0, checkpoint=True)
    assert event.checkpoint is not None
    assert event.checkpoint.positions[0].watermark == 3
    assert run.checkpoint(0).positions[0].watermark == 0
    assert run.checkpoint(event.sequence).positions[0].watermark == 3


def test_news_is_what_ended_since_the_last_checkpoint() -> None:
    run, feed = new_run()
    assert not run.has_new_ends
    complete(run, feed, 0)
    assert run.has_new_ends
    run.progress(1.0, 1.0, 0)
    assert run.has_new_ends
    run.progress(2.0, 2.0, 0, checkpoint=True)
    assert not run.has_new_ends


def test_eta_leaves_out_what_earlier_runs_have_done() -> None:
    resumed = AdapterRun("feed", {}, "{}", Watermark(500), first_record=500)
    run = Run(
        "run-1",
        [resumed],
        0.0,
        buffer_size=1,
        progress_interval=100,
        checkpoint_interval=1000,
        estimated_total=800,
    )
    for number in range(500, 600):
        complete(run, resumed, number)
    assert run.progress(10.0, 10.0, 0).eta_seconds == pytest.approx(20)
