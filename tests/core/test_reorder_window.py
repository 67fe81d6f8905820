"""A window is a list of places: what was taken first leaves first, or what finished first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_ingest._core.reorder_window import WINDOW_PER_WORKER, ReorderWindow

STEPS = st.lists(st.tuples(st.sampled_from(["take", "finish", "pop"]), st.integers(0, 20)))


@given(STEPS, st.integers(1, 4), st.booleans())
def test_window_does_what_two_lists_do(
    steps: list[tuple[str, int]], workers: int, ordered: bool
) -> None:
    window: ReorderWindow[str] = ReorderWindow(workers, ordered=ordered)
    size = workers * WINDOW_PER_WORKER
    taken: list[int] = []  # and not popped, in the order of taking
    working: list[int] = []
    finished: list[int] = []  # in the order of finishing
    count = 0
    for what, value in steps:
        if what == "take" and len(taken) < size:
            assert window.take() == count
            taken.append(count)
            working.append(count)
            count += 1
        elif what == "finish" and working:
            place = working.pop(value % len(working))
            window.finish(place, f"result {place}")
            finished.append(place)
        elif what == "pop" and window.has_ready():
            place = taken[0] if ordered else finished[0]
            assert window.pop() == f"result {place}"
            taken.remove(place)
            finished.remove(place)
        assert window.is_full == (len(taken) == size)
        assert window.is_empty == (not taken)
        ready = bool(taken) and taken[0] in finished if ordered else bool(finished)
        assert window.has_ready() == ready


@pytest.mark.parametrize("ordered", [True, False])
def test_place_is_freed_by_the_pop_and_not_by_the_finish(ordered: bool) -> None:
    window: ReorderWindow[str] = ReorderWindow(1, ordered=ordered)
    for _ in range(WINDOW_PER_WORKER):
        window.take()
    window.finish(0, "first")
    assert window.is_full
    window.pop()
    assert not window.is_full


def test_in_order_the_first_holds_back_all_others() -> None:
    window: ReorderWindow[str] = ReorderWindow(2, ordered=True)
    for _ in range(3):
        window.take()
    window.finish(2, "c")
    window.finish(1, "b")
    assert not window.has_ready()
    window.finish(0, "a")
    assert [window.pop(), window.pop(), window.pop()] == ["a", "b", "c"]
    assert window.is_empty


def test_out_of_order_a_result_leaves_as_it_finishes() -> None:
    window: ReorderWindow[str] = ReorderWindow(2, ordered=False)
    for _ in range(3):
        window.take()
    window.finish(2, "c")
    assert window.pop() == "c"
    window.finish(0, "a")
    window.finish(1, "b")
    assert [window.pop(), window.pop()] == ["a", "b"]


@pytest.mark.parametrize("ordered", [True, False])
def test_result_that_is_none_or_empty_is_a_result(ordered: bool) -> None:
    window: ReorderWindow[object] = ReorderWindow(1, ordered=ordered)
    for result in (None, "", 0):
        window.finish(window.take(), result)
        assert window.has_ready()
        assert window.pop() == result
    assert window.is_empty
