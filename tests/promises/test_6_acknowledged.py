"""Promise 6: a checkpoint never covers a record whose end was not acknowledged."""

from __future__ import annotations

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import given

from tests.promises.checks import check_checkpoints, check_covers
from tests.promises.scripts import Case, cases, play, run
from trio_ingest import Cursor


@given(cases(), st.none() | st.integers(0, 20))
def test_checkpoint_covers_exactly_what_was_acknowledged(case: Case, most: int | None) -> None:
    played = run(lambda: play(case, most=most))
    check_checkpoints(played.events)
    for place, checkpoint in enumerate(played.held[:-1]):
        check_covers(checkpoint, played.events[:place])
    broken_off = most is not None and len(played.events) > most
    check_covers(played.held[-1], played.events[:-1] if broken_off else played.events)


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("most", range(8))
def test_leaving_acknowledges_nothing(bare: bool, most: int) -> None:
    case = Case(scripts=["abc"], bare=bare)
    played = run(lambda: play(case, most=most))
    check_covers(played.held[-1], played.events[:-1])


@pytest.mark.parametrize("bare", [True, False])
def test_cursor_adapter_resumes_from_a_checkpoint_older_than_its_first_cursor(
    bare: bool,
) -> None:
    script = ["a", "b", "c", Cursor(3), "d"]
    case = Case(
        scripts=[script],
        bare=bare,
        stable_order=False,
        progress_interval=1,
        checkpoint_interval=1,
    )
    first = run(lambda: play(case, most=4))
    stored = first.held[-1]
    assert stored.positions[0].watermark > 0
    assert stored.positions[0].cursor_record is None
    second = run(lambda: play(attrs.evolve(case, resume_from=stored)))
    assert second.failure is None
