"""Promise 6: a checkpoint never covers a record whose end was not acknowledged."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.promises.adapters import FORMS, Plain
from tests.promises.checks import check_checkpoints, check_covers, check_cursors
from tests.promises.run_history import DrivenRun, moves
from tests.promises.scripts import Case, cases, play, records_of
from tests.promises.unkeyed_sink import LEAVING, Leaving, Sink, deliver, rows_of
from tests.worlds import run, stream_of
from trio_ingest import (
    Checkpoint,
    CheckpointError,
    Cursor,
    DocumentCompleted,
    DocumentStarted,
    IngestionPipeline,
    Position,
)
from trio_ingest.testing import Fail, FailTimes, SlowParse

CREWS = pytest.mark.parametrize(
    ("bare", "workers", "ordered"),
    [(True, 1, True), (False, 1, True), (False, 3, True), (False, 3, False)],
    ids=["bare", "one", "ordered", "unordered"],
)

# -- what a checkpoint covers --------------------------------------------------------------


@given(moves())
def test_book_covers_exactly_what_was_acknowledged(history: list[tuple[str, int]]) -> None:
    driven = DrivenRun()
    for move in history:
        driven.play([move])
        acknowledged = driven.events[: driven.acknowledged]
        checkpoint = driven.run.checkpoint(driven.acknowledged)
        check_covers(checkpoint, acknowledged, already_done=driven.already_done)
    check_checkpoints(driven.events, already_done=driven.already_done)


@given(cases(), st.none() | st.integers(0, 20))
def test_checkpoint_covers_exactly_what_was_acknowledged(case: Case, most: int | None) -> None:
    played = run(lambda: play(case, most=most))
    events, already_done = played.events, case.already_done()
    check_checkpoints(events, already_done=already_done)
    for i, script in enumerate(case.scripts):
        if not case.names:
            check_cursors(events, script, f"source{i}")
    for place, checkpoint in enumerate(played.held[:-1]):
        check_covers(checkpoint, events[:place], already_done=already_done)
    broken_off = most is not None and len(events) > most
    acknowledged = events[:-1] if broken_off else events
    check_covers(played.held[-1], acknowledged, already_done=already_done)


@CREWS
@pytest.mark.parametrize("most", range(8))
def test_leaving_acknowledges_nothing(
    most: int, bare: bool, workers: int, ordered: bool
) -> None:
    case = Case(scripts=["abc"], bare=bare, workers=workers, ordered=ordered)
    played = run(lambda: play(case, most=most))
    check_covers(played.held[-1], played.events[:-1])


# -- exactly once, at least once --------------------------------------------------------------

MIXED = ["a", Fail(), "b", SlowParse(1), FailTimes(1), "c", "d", SlowParse(2), "e"]
WITH_CURSORS = ["a", Fail(), Cursor(2), SlowParse(2), "b", Cursor(5), Cursor(6), "c", "d"]
SCRIPTS = pytest.mark.parametrize("script", [MIXED, WITH_CURSORS], ids=["plain", "cursors"])


def check_once(case: Case, sink: Sink) -> None:
    """Every row is there once; then a further run has nothing left to do."""
    assert sorted(sink.rows) == rows_of(case)
    assert not [e for e in run(deliver_all, case, sink) if isinstance(e, DocumentStarted)]


async def deliver_all(case: Case, sink: Sink) -> list[Any]:
    return await deliver(case, sink)


@pytest.mark.one_in(5)
@CREWS
@SCRIPTS
@pytest.mark.parametrize("leaving", LEAVING)
@pytest.mark.parametrize("commits", ["progress", "each"])
def test_crash_at_any_event_and_a_resume_give_every_document_exactly_once(
    commits: str, leaving: Leaving, script: list[Any], bare: bool, workers: int, ordered: bool
) -> None:
    case = Case(
        scripts=[script],
        bare=bare,
        workers=workers,
        ordered=ordered,
        attempts=2,
        checkpoint_interval=2,
    )
    # The second run may have other workers and another buffer.
    again = attrs.evolve(case, bare=False, workers=4 - workers, buffer_size=2)

    async def main(stop: int) -> tuple[int, Sink]:
        sink = Sink(commits)
        received = await deliver(case, sink, stop=stop, leaving=leaving)
        await deliver(again, sink)
        return len(received), sink

    stop = 0
    while True:
        received, sink = run(main, stop)
        check_once(case, sink)
        if received <= stop:
            break
        stop += 1
    assert stop > 2 * len(records_of(script))


@given(
    cases(crash=False),
    st.lists(
        st.tuples(
            st.integers(0, 25),
            st.sampled_from(LEAVING),
            st.integers(1, 4),
            st.booleans(),
            st.sampled_from([1, 2, 100]),
        ),
        max_size=4,
    ),
    st.sampled_from(["progress", "each"]),
)
def test_any_crashes_and_resumes_give_every_document_exactly_once(
    case: Case, crashes: list[tuple[int, Leaving, int, bool, int]], commits: str
) -> None:
    case = attrs.evolve(case, done=None)
    sink = Sink(commits)

    async def main() -> None:
        for stop, leaving, workers, ordered, buffer_size in crashes:
            changed = attrs.evolve(
                case,
                bare=case.bare and workers == 1,
                workers=workers,
                ordered=ordered,
                buffer_size=buffer_size,
            )
            before = sink.checkpoint
            events = await deliver(changed, sink, stop=stop, leaving=leaving)
            check_checkpoints(events, before=before)
        await deliver(case, sink)

    run(main)
    check_once(case, sink)


@CREWS
@SCRIPTS
def test_consumer_that_stores_documents_before_checkpoints_loses_nothing(
    script: list[Any], bare: bool, workers: int, ordered: bool
) -> None:
    case = Case(
        scripts=[script],
        bare=bare,
        workers=workers,
        ordered=ordered,
        checkpoint_interval=2,
        attempts=2,
    )

    async def main() -> None:
        for stop in range(25):
            sink = Sink("apart")
            await deliver(case, sink, stop=stop)
            await deliver(case, sink)
            assert set(sink.rows) == set(rows_of(case))

    run(main)


class Pages(Plain):
    """Pages of records that come in another order each time; a cursor closes each page."""

    stable_order = False

    def __init__(self, seed: int) -> None:
        super().__init__("source0", count=12)
        self.draw = random.Random(seed)

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[Any]:
        for page in range(cursor, 4):
            records = [3 * page, 3 * page + 1, 3 * page + 2]
            self.draw.shuffle(records)
            for record in records:
                yield record
            yield Cursor(page + 1)


@attrs.frozen(kw_only=True)
class PagesCase(Case):
    seed: int = 0

    def adapters(self) -> list[Any]:
        return [Pages(self.seed)]

    def options(self) -> dict[str, Any]:
        return super().options() | {"params": [{}]}


@CREWS
@pytest.mark.parametrize("stop", range(0, 30, 2))
def test_cursors_without_a_stable_order_give_every_document_at_least_once(
    stop: int, bare: bool, workers: int, ordered: bool
) -> None:
    case = PagesCase(
        scripts=[], bare=bare, workers=workers, ordered=ordered, checkpoint_interval=1
    )
    sink = Sink()

    async def main() -> None:
        for seed, at in enumerate([stop, 13, 9]):
            await deliver(attrs.evolve(case, seed=seed), sink, stop=at)
        await deliver(attrs.evolve(case, seed=9), sink)

    run(main)
    counts = Counter(doc_id for _, _, doc_id in sink.rows)
    assert set(counts) == {str(number) for number in range(12)}
    # Only the page that was cut off can come again, once for each crash.
    assert max(counts.values()) <= 4
    assert sum(counts.values()) <= 12 + 3 * 3 * workers


@CREWS
def test_cursor_adapter_resumes_from_a_checkpoint_older_than_its_first_cursor(
    bare: bool, workers: int, ordered: bool
) -> None:
    case = Case(
        scripts=[["a", "b", "c", Cursor(3), "d"]],
        bare=bare,
        workers=workers,
        ordered=ordered,
        stable_order=False,
    )
    first = run(lambda: play(case, most=4))
    stored = first.held[-1]
    assert stored.positions[0].cursor_record is None
    second = run(lambda: play(attrs.evolve(case, resume_from=stored)))
    assert second.failure is None
    assert sum(isinstance(e, DocumentCompleted) for e in second.events) == 4


# -- where a resumed run goes on -------------------------------------------------------


@CREWS
@SCRIPTS
def test_record_number_continues_after_a_resume(
    script: list[Any], bare: bool, workers: int, ordered: bool
) -> None:
    case = Case(scripts=[script], bare=bare, workers=workers, ordered=ordered, attempts=2)
    places = records_of(script)
    continued = 0
    for most in range(16):
        stored = run(lambda n=most: play(case, most=n)).held[-1]
        second = run(lambda c=stored: play(attrs.evolve(case, resume_from=c)))
        completed = [e for e in second.events if isinstance(e, DocumentCompleted)]
        assert all(places[e.record_number] == int(e.document.doc_id) for e in completed)
        continued += bool(completed) and stored.positions[0].watermark > 0
    assert continued > 0


def test_resumed_fetch_is_called_with_the_cursor() -> None:
    case = Case(scripts=[WITH_CURSORS])
    stored = run(lambda: play(case, most=12)).held[-1]
    assert stored.positions[0].cursor == 6
    resumed = run(lambda: play(attrs.evolve(case, resume_from=stored)))
    assert resumed.adapters[0].fetched == len(records_of(WITH_CURSORS[7:]))


@FORMS
def test_finished_adapter_run_is_not_fetched_again(bare: bool, workers: int) -> None:
    case = Case(scripts=["abc", "de"], parts=2, bare=bare, workers=workers)
    first = run(lambda: play(case))
    assert all(position.finished for position in first.held[-1].positions)
    second = run(lambda: play(attrs.evolve(case, resume_from=first.held[-1])))
    assert [adapter.opened for adapter in second.adapters] == [0, 0]


def test_checkpoint_still_works_after_the_block() -> None:
    async def main() -> None:
        stream = stream_of(IngestionPipeline(Plain()))
        async with stream as events:
            async for _ in events:
                pass
        assert stream.checkpoint().positions[0].watermark == 3

    run(main)


# -- checkpoints that do not fit -------------------------------------------------------

POSITION = Position("plain", "{}", 1)
OTHERS = {
    "other params": Checkpoint((Position("plain", '{"since":1}', 1),)),
    "another pipeline": Checkpoint((Position("other", "{}", 1),)),
    "an adapter more": Checkpoint((POSITION, Position("other", "{}", 1))),
    "no adapter": Checkpoint(()),
    "newer version": Checkpoint((POSITION,), version=99),
}


@pytest.mark.parametrize("name", OTHERS)
def test_checkpoint_that_does_not_fit_is_refused_before_the_first_event(name: str) -> None:
    adapter = Plain()
    with pytest.raises(CheckpointError):
        stream_of(IngestionPipeline(adapter), resume_from=OTHERS[name])
    assert adapter.fetched == 0


def test_adapter_that_can_neither_count_nor_point_cannot_resume() -> None:
    class Loose(Plain):
        stable_order = False

    pipeline = IngestionPipeline(Loose())
    with pytest.raises(CheckpointError, match="yields no Cursor and does not"):
        stream_of(pipeline, resume_from=Checkpoint((POSITION,)))
    stream_of(pipeline, resume_from=Checkpoint((POSITION,)), completed_ids=set())


def test_cursor_for_a_fetch_that_takes_none_is_refused() -> None:
    position = attrs.evolve(POSITION, cursor=1, cursor_record=1)
    with pytest.raises(CheckpointError, match="cursor=None"):
        stream_of(IngestionPipeline(Plain()), resume_from=Checkpoint((position,)))


GOOD = Checkpoint((Position("plain", "{}", 4, ((5, 6), (8, 9)), "page 2", 3),)).to_dict()


def test_undamaged_checkpoint_survives_json() -> None:
    assert Checkpoint.from_dict(GOOD).to_dict() == GOOD


@pytest.mark.parametrize("version", [2, 99])
def test_newer_version_is_refused_by_name(version: int) -> None:
    with pytest.raises(CheckpointError, match=f"has version {version}; .* Upgrade"):
        Checkpoint.from_dict({"version": version, "future": "form"})


DAMAGED: list[Any] = [None, [], "text", 5, {}, {"version": 1}, {"version": 1, "positions": 5}]
DAMAGED += [GOOD | {"positions": GOOD["positions"] * 2}]
DAMAGED += [GOOD | {"version": version} for version in (None, "1", 0, -1, True, 1.5)]
DAMAGED += [GOOD | {"positions": [wrong]} for wrong in (None, {}, [], "x")]
DAMAGED += [
    GOOD | {"positions": [GOOD["positions"][0] | {name: wrong}]}
    for name, wrongs in {
        "source": [None, 5],
        "parameters": [None, {}],
        "watermark": [None, -1, "4", 1.5, True, 2],
        "finished": [None, 1],
        "cursor_record": [-1, "3", 5, True],
        "ended": [None, 5, [[6, 5]], [[5]], [[5, 6], [6, 7]], [[3, 5]], [["5", "6"]], [5]],
    }.items()
    for wrong in wrongs
]


@pytest.mark.parametrize("data", DAMAGED, ids=repr)
def test_damaged_checkpoint_is_refused(data: Any) -> None:
    with pytest.raises(CheckpointError):
        Checkpoint.from_dict(data)
