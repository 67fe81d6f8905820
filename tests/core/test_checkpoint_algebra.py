"""Checkpoints can be compared and combined: held against plain sets of record numbers."""

from __future__ import annotations

import datetime
import json
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.promises.checks import covered, covered_by
from trio_ingest import Checkpoint, Position
from trio_ingest._core.positions import canonical_parameters

KEYS = [(source, part) for source in ("a", "b") for part in ('{"part":0}', '{"part":1}')]


def position_of(numbers: set[int], **fields: Any) -> Position:
    """The position that claims exactly these numbers."""
    watermark = 0
    while watermark in numbers:
        watermark += 1
    ended: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if number < watermark:
            continue
        if ended and ended[-1][1] == number:
            ended[-1] = (ended[-1][0], number + 1)
        else:
            ended.append((number, number + 1))
    return Position("a", "{}", watermark, tuple(ended), **fields)


@st.composite
def positions(draw: st.DrawFn, *, stable: bool | None = True) -> Position:
    # Mostly a run from the start, so that watermarks and ranges both occur.
    numbers = set(range(draw(st.integers(0, 12)))) | draw(st.sets(st.integers(0, 16)))
    position = position_of(numbers, finished=draw(st.booleans()))
    record = draw(st.none() | st.integers(0, position.watermark))
    cursor = None if record is None else f"at {record} of {draw(st.sampled_from('xy'))}"
    return attrs.evolve(
        position,
        cursor=cursor,
        cursor_record=record,
        stable_order=draw(st.booleans()) if stable is None else stable,
    )


def one(position: Position) -> Checkpoint:
    return Checkpoint((position,))


@st.composite
def checkpoints(draw: st.DrawFn, *, stable: bool | None = True) -> Checkpoint:
    keys = draw(st.lists(st.sampled_from(KEYS), unique=True, max_size=4))
    return Checkpoint(
        tuple(
            attrs.evolve(draw(positions(stable=stable)), source=source, parameters=parameters)
            for source, parameters in keys
        )
    )


def check_valid(checkpoint: Checkpoint) -> None:
    """``from_dict`` accepts it, which refuses ranges out of order, touching, or too low."""
    text = json.dumps(checkpoint.to_dict())
    assert Checkpoint.from_dict(json.loads(text)) == checkpoint
    for position in checkpoint.positions:
        assert position == attrs.evolve(
            position_of(
                covered(position),
                cursor=position.cursor,
                cursor_record=position.cursor_record,
                finished=position.finished,
                stable_order=position.stable_order,
            ),
            source=position.source,
            parameters=position.parameters,
        )
        assert position.cursor_record is not None or position.cursor is None


ANY = [checkpoints(stable=True), checkpoints(stable=None)]


# -- covers ------------------------------------------------------------------------------


@given(positions(), st.integers(0, 20))
def test_position_covers_the_numbers_it_claims(position: Position, number: int) -> None:
    assert position.covers(number) == (number in covered(position))


@given(checkpoints(), checkpoints())
def test_covers_is_inclusion_of_all_claims(ours: Checkpoint, theirs: Checkpoint) -> None:
    mine, finished = covered_by(ours), {(p.source, p.parameters): p for p in ours.positions}
    included = all(
        numbers <= mine.get(key, set()) for key, numbers in covered_by(theirs).items()
    ) and all(
        (known := finished.get((p.source, p.parameters))) is not None and known.finished
        for p in theirs.positions
        if p.finished
    )
    assert ours.covers(theirs) == included


@pytest.mark.parametrize("kind", ANY, ids=["stable", "mixed"])
def test_everything_covers_itself_and_nothing_at_all(kind: Any) -> None:
    @given(kind)
    def check(checkpoint: Checkpoint) -> None:
        assert checkpoint.covers(checkpoint)
        assert checkpoint.covers(Checkpoint(()))

    check()


@given(checkpoints(stable=None), checkpoints(stable=None), checkpoints(stable=None))
def test_meeting_one_more_claims_less(
    one_: Checkpoint, two: Checkpoint, three: Checkpoint
) -> None:
    low, high = one_.meet(two).meet(three), one_.meet(two)
    if {p.stable_order for c in (one_, two, three) for p in c.positions} != {True, False}:
        assert one_.covers(high)
        assert high.covers(low)
        assert one_.covers(low)


def test_finished_run_is_more_than_the_same_records() -> None:
    unfinished, finished = (position_of({0, 1}, finished=f) for f in (False, True))
    unfinished, finished = (attrs.evolve(p, stable_order=True) for p in (unfinished, finished))
    assert one(finished).covers(one(unfinished))
    assert not one(unfinished).covers(one(finished))
    assert not Checkpoint(()).covers(one(position_of(set(), finished=True)))


# -- meet --------------------------------------------------------------------------------


@given(checkpoints(), checkpoints())
def test_meet_claims_what_both_claim(ours: Checkpoint, theirs: Checkpoint) -> None:
    met = ours.meet(theirs)
    check_valid(met)
    assert [(p.source, p.parameters) for p in met.positions] == [
        (p.source, p.parameters) for p in ours.positions
    ]
    mine, yours = covered_by(ours), covered_by(theirs)
    assert covered_by(met) == {
        key: numbers & yours.get(key, set()) for key, numbers in mine.items()
    }
    assert ours.covers(met)
    assert theirs.covers(met)


@given(positions(), positions())
def test_meet_resumes_at_the_newest_cursor_that_both_have_passed(
    ours: Position, theirs: Position
) -> None:
    (met,) = one(ours).meet(one(theirs)).positions
    records = [
        p.cursor_record
        for p in (ours, theirs)
        if p.cursor_record is not None and p.cursor_record <= met.watermark
    ]
    assert met.cursor_record == max(records, default=None)
    assert met.cursor in {None, ours.cursor, theirs.cursor}
    assert met.cursor_record is None or met.cursor_record <= met.watermark
    assert met.finished == (ours.finished and theirs.finished)


@given(positions(stable=None), positions(stable=None))
def test_meet_of_positions_without_a_stable_order_is_the_one_with_the_earlier_cursor(
    ours: Position, theirs: Position
) -> None:
    (met,) = one(ours).meet(one(theirs)).positions
    if ours.stable_order and theirs.stable_order:
        return
    assert met in (ours, theirs)
    for position in (ours, theirs):
        assert not met.finished or position.finished
        if position.finished == met.finished:
            assert (met.cursor_record or 0) <= (position.cursor_record or 0)
    assert one(ours).covers(one(met))
    assert one(theirs).covers(one(met))


@given(st.lists(positions(stable=False), min_size=1, max_size=4), st.randoms())
def test_whoever_is_met_covers_the_meeting_in_any_order_of_sinks(
    items: list[Position], order: Any
) -> None:
    # Ranges beyond a watermark differ after crashes, and must not make a job unresumable.
    order.shuffle(items)
    met = one(items[0])
    for item in items:
        met = met.meet(one(item))
    assert all(one(item).covers(met) for item in items)


@given(checkpoints(stable=None))
def test_meet_with_nothing_claims_nothing_and_keeps_the_keys(checkpoint: Checkpoint) -> None:
    met = checkpoint.meet(Checkpoint(()))
    check_valid(met)
    assert Checkpoint(()).covers(met)
    for before, after in zip(checkpoint.positions, met.positions, strict=True):
        assert after == Position(
            before.source, before.parameters, stable_order=before.stable_order
        )


@pytest.mark.parametrize("kind", ANY, ids=["stable", "mixed"])
def test_meeting_oneself_changes_nothing(kind: Any) -> None:
    @given(kind)
    def check(checkpoint: Checkpoint) -> None:
        assert checkpoint.meet(checkpoint) == checkpoint
        assert checkpoint.join(checkpoint) == checkpoint

    check()


# -- join --------------------------------------------------------------------------------


@given(checkpoints(), checkpoints())
def test_join_claims_what_either_claims(ours: Checkpoint, theirs: Checkpoint) -> None:
    joined = ours.join(theirs)
    check_valid(joined)
    assert [(p.source, p.parameters) for p in joined.positions] == [
        (p.source, p.parameters) for p in theirs.positions
    ]
    mine, yours = covered_by(ours), covered_by(theirs)
    assert covered_by(joined) == {
        key: numbers | mine.get(key, set()) for key, numbers in yours.items()
    }
    assert joined.covers(theirs)


@given(positions(), positions())
def test_join_has_the_newest_cursor(ours: Position, theirs: Position) -> None:
    (joined,) = one(ours).join(one(theirs)).positions
    records = [r for r in (ours.cursor_record, theirs.cursor_record) if r is not None]
    assert joined.cursor_record == max(records, default=None)
    assert joined.cursor in {ours.cursor, theirs.cursor}


@given(positions(), positions())
def test_end_that_records_have_come_after_is_no_end(old: Position, new: Position) -> None:
    (joined,) = one(old).join(one(new)).positions
    grown = not covered(new) <= covered(old)
    assert joined.finished == (new.finished or (old.finished and not grown))


@given(positions(stable=None), positions(stable=None))
def test_join_without_a_stable_order_is_the_new_one(old: Position, new: Position) -> None:
    if not (old.stable_order and new.stable_order):
        assert one(old).join(one(new)) == one(new)


@given(checkpoints(), checkpoints())
def test_sink_ahead_loses_no_claim_to_a_run_that_goes_on_behind_it(
    ahead: Checkpoint, behind: Checkpoint
) -> None:
    start = ahead.meet(behind)
    assert all(
        numbers == covered_by(ahead)[key]
        for key, numbers in covered_by(ahead.join(start)).items()
    )
    assert ahead.join(start).covers(start)


# -- looking things up -------------------------------------------------------------------


def test_position_is_found_by_params_in_any_order() -> None:
    params = {"since": datetime.date(2026, 1, 2), "part": 1}
    key = canonical_parameters(params)
    wanted = Position("feed", key, 7)
    checkpoint = Checkpoint((Position("feed", "{}"), wanted, Position("other", key)))
    assert checkpoint.position("feed", dict(reversed(params.items()))) == wanted
    assert checkpoint.position("feed", {}) == Position("feed", "{}")
    assert checkpoint.position("feed", {"part": 1}) is None
    assert checkpoint.position("nobody", params) is None


@given(checkpoints(stable=None))
def test_checkpoint_is_finished_when_all_positions_are(checkpoint: Checkpoint) -> None:
    unfinished = [p for p in checkpoint.positions if not p.finished]
    assert checkpoint.finished == (checkpoint.positions != () and unfinished == [])


def test_empty_checkpoint_claims_nothing_not_even_an_end() -> None:
    assert Checkpoint(()).finished is False
    assert Checkpoint((Position("feed", "{}", finished=True),)).finished is True


def test_stable_order_that_an_older_release_did_not_write_is_taken_as_none() -> None:
    data = one(position_of({0}, stable_order=True)).to_dict()
    del data["positions"][0]["stable_order"]
    assert Checkpoint.from_dict(data).positions[0].stable_order is False
