"""What a checkpoint may claim of one adapter run: what was acknowledged, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.promises.checks import covered
from trio_ingest._core.adapter_run import (
    AdapterRun,
    acknowledge,
    acknowledged_checkpoint,
    emitted_checkpoint,
)
from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.positions import Position
from trio_ingest._core.watermark import Watermark


def adapter_run(source: str = "feed", **options: Watermark) -> AdapterRun:
    return AdapterRun(source, {"part": 1}, '{"part":1}', **options)


def only(checkpoint: Checkpoint) -> Position:
    (position,) = checkpoint.positions
    return position


# Each end: the record, and how many other events lie between it and the end before.
ENDS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 3)), unique_by=lambda e: e[0])


@given(ENDS, st.lists(st.integers(0, 60)))
def test_checkpoint_claims_exactly_the_ends_that_were_acknowledged(
    ends: list[tuple[int, int]], acknowledgements: list[int]
) -> None:
    run, sequence, ended = adapter_run(), 0, []
    for number, gap in ends:
        sequence += gap
        run.unacknowledged.append((sequence, number))
        ended.append((sequence, number))
    for acknowledged in sorted(acknowledgements):
        acknowledge([run], acknowledged)
        acknowledged_ends = {number for at, number in ended if at < acknowledged}
        assert covered(only(acknowledged_checkpoint([run], 0))) == acknowledged_ends
        assert covered(only(emitted_checkpoint([run]))) == {number for number, _ in ends}


@given(ENDS, st.integers(0, 60))
def test_minting_changes_nothing(ends: list[tuple[int, int]], acknowledged: int) -> None:
    run, sequence = adapter_run(), 0
    run.acknowledged.place_cursor(3, "three")
    for number, gap in ends:
        sequence += gap
        run.unacknowledged.append((sequence, number))
    acknowledge([run], acknowledged)
    waiting, before = list(run.unacknowledged), acknowledged_checkpoint([run], 0)
    assert emitted_checkpoint([run]) == emitted_checkpoint([run])
    assert acknowledged_checkpoint([run], 0) == before
    assert list(run.unacknowledged) == waiting


def test_event_with_the_acknowledged_number_itself_is_not_acknowledged() -> None:
    run = adapter_run()
    run.unacknowledged.append((5, 0))
    acknowledge([run], 5)
    assert only(acknowledged_checkpoint([run], 0)).watermark == 0
    acknowledge([run], 6)
    assert only(acknowledged_checkpoint([run], 0)).watermark == 1


def test_settling_less_than_before_takes_nothing_back() -> None:
    run = adapter_run()
    run.unacknowledged.extend([(1, 0), (3, 1)])
    acknowledge([run], 4)
    acknowledge([run], 0)
    assert only(acknowledged_checkpoint([run], 0)).watermark == 2


def test_settled_ends_are_forgotten() -> None:
    run = adapter_run()
    run.unacknowledged.extend((number, number) for number in range(1_000))
    acknowledge([run], 999)
    assert list(run.unacknowledged) == [(999, 999)]


def test_each_adapter_run_is_settled_by_the_one_sequence() -> None:
    first, second = adapter_run("a"), adapter_run("b")
    first.unacknowledged.extend([(1, 0), (4, 1)])
    second.unacknowledged.extend([(2, 0), (3, 1)])
    acknowledge([first, second], 3)
    positions = acknowledged_checkpoint([first, second], 0).positions
    assert [(p.source, p.watermark) for p in positions] == [("a", 1), ("b", 1)]


def test_finished_is_claimed_when_the_last_end_was_acknowledged() -> None:
    run = adapter_run()
    run.unacknowledged.append((7, 0))
    run.finished = True
    assert not only(acknowledged_checkpoint([run], 0)).finished
    assert only(emitted_checkpoint([run])).finished
    acknowledge([run], 8)
    assert only(acknowledged_checkpoint([run], 0)).finished


def test_finished_is_not_claimed_while_a_record_is_open() -> None:
    run = adapter_run()
    run.finished = True
    run.open.add(4)
    assert not only(acknowledged_checkpoint([run], 0)).finished
    assert not only(emitted_checkpoint([run])).finished


def test_cursor_travels_with_the_ends_before_it() -> None:
    run = adapter_run()
    run.acknowledged.place_cursor(1, "one")
    run.unacknowledged.append((3, 0))
    assert only(acknowledged_checkpoint([run], 0)).cursor_record is None
    assert only(emitted_checkpoint([run])).cursor == "one"
    acknowledge([run], 4)
    assert only(acknowledged_checkpoint([run], 0)).cursor == "one"


def test_position_is_keyed_by_source_and_params() -> None:
    position = only(acknowledged_checkpoint([adapter_run("feed")], 0))
    assert (position.source, position.parameters) == ("feed", '{"part":1}')


def test_what_ended_in_an_earlier_run_is_known_to_its_last_record() -> None:
    assert adapter_run(watermark=Watermark(3, [(5, 9)])).resumed_until == 9
    assert adapter_run(watermark=Watermark(3)).resumed_until == 3
    assert adapter_run().resumed_until == 0


def test_finished_is_not_claimed_before_everything_of_it_was_acknowledged() -> None:
    run = adapter_run("feed")
    run.finished, run.finished_at = True, 5  # its last events were not ends of records
    assert not only(acknowledged_checkpoint([run], 4)).finished
    assert only(acknowledged_checkpoint([run], 5)).finished
