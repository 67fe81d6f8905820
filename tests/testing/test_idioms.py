"""``cancel_everywhere`` accuses broken code, and no honest code."""

from __future__ import annotations

import gc
import signal
from pathlib import Path
from typing import Any

import pytest
import trio

from tests.testing.idioms import BROKEN, HONEST, Idiom
from trio_ingest.testing import cancel_everywhere


@pytest.mark.one_in(3)
@pytest.mark.parametrize("idiom", HONEST, ids=lambda fn: fn.__name__)
def test_honest_code_is_not_accused(idiom: Idiom) -> None:
    assert cancel_everywhere(idiom, deadline_seconds=20).runs > 2


@pytest.mark.parametrize(("idiom", "says"), BROKEN, ids=[fn.__name__ for fn, _ in BROKEN])
def test_broken_code_is_accused(idiom: Idiom, says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        cancel_everywhere(idiom)


def test_what_only_the_garbage_collector_finds_is_found() -> None:
    async def left_open_in_a_cycle() -> None:
        cycle: list[Any] = [Path(__file__).open()]  # noqa: ASYNC230, SIM115
        cycle.append(cycle)
        await trio.sleep(1)

    gc.collect()
    gc.disable()  # or one of the runs may find it
    try:
        with pytest.raises(AssertionError, match=r"has left something behind: .*unclosed"):
            cancel_everywhere(left_open_in_a_cycle)
    finally:
        gc.enable()


def test_ctrl_c_in_a_nursery_is_no_finding() -> None:
    async def interrupted() -> None:
        async def child() -> None:
            await trio.sleep(0.1)
            signal.raise_signal(signal.SIGINT)
            await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(child)

    with pytest.RaisesGroup(KeyboardInterrupt, flatten_subgroups=True):
        cancel_everywhere(interrupted)


def test_what_the_schedule_decides_is_found_each_time() -> None:
    async def main() -> None:
        log: list[int] = []

        async def twice(number: int) -> None:
            for _ in range(2):
                await trio.sleep(1)
                log.append(number)

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(twice, 0)
                nursery.start_soon(twice, 1)
        finally:
            assert log != [1], "the second one was first"

    def said(seed: int) -> str:
        try:
            cancel_everywhere(main, seed=seed)
        except AssertionError as error:
            return str(error)
        return "nothing"

    first = [said(seed) for seed in range(4)]
    assert [said(seed) for seed in range(4)] == first
    assert any("fast path on, seed=" in text for text in first[1:])
    assert len(set(first)) > 2
