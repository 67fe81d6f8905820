"""Trap: an adapter that yields inside a cancel scope or a nursery corrupts the scope stack."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.promises.adapters import FORMS, Plain, see
from tests.promises.checks import documents_of, names_of
from tests.worlds import run
from trio_ingest import IngestionPipeline, SetupError


class InDeadline(Plain):
    async def fetch(self) -> AsyncIterator[Any]:
        with trio.fail_after(10):
            for number in range(3):
                yield number  # noqa: ASYNC101 -- what must not be done is what is tested


class InNursery(Plain):
    async def fetch(self) -> AsyncIterator[Any]:
        async with trio.open_nursery():
            for number in range(3):
                yield number  # noqa: ASYNC101


class InChannel(Plain):
    async def fetch(self) -> AsyncIterator[Any]:
        async with trio.open_nursery() as nursery:
            send, receive = trio.open_memory_channel[int](0)
            nursery.start_soon(self.feed, send)
            async for number in receive:
                yield number  # noqa: ASYNC101

    async def feed(self, send: trio.MemorySendChannel[int]) -> None:
        async with send:
            for number in range(3):
                await send.send(number)


@FORMS
@pytest.mark.parametrize("adapter", [InDeadline, InNursery, InChannel])
def test_yielding_in_a_scope_is_refused_by_name(
    adapter: type[Plain], bare: bool, workers: int
) -> None:
    seen = run(lambda: see(IngestionPipeline(adapter(), workers=workers), bare=bare))
    assert type(seen.failure) is SetupError
    assert "PEP 789" in str(seen.failure)
    assert "trio.as_safe_channel" in str(seen.failure)
    assert "'plain'" in str(seen.failure)
    assert names_of(seen.events)[:2] == ["running", "failed"]


@FORMS
@pytest.mark.parametrize("adapter", [InDeadline, InNursery])
def test_other_adapters_go_on_beside_one_that_is_refused(
    adapter: type[Plain], bare: bool, workers: int
) -> None:
    pipeline = IngestionPipeline(adapter(), Plain("good", 5), workers=workers)
    seen = run(lambda: see(pipeline, bare=bare))
    assert type(seen.failure) is SetupError
    assert documents_of(seen.events) == ["0", "1", "2", "3", "4"]


@FORMS
def test_scopes_that_are_closed_before_each_yield_are_fine(bare: bool, workers: int) -> None:
    class Careful(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            for number in range(3):
                with trio.fail_after(10):
                    await trio.sleep(1)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep, 1)
                    nursery.start_soon(trio.sleep, 2)
                yield number

    seen = run(lambda: see(IngestionPipeline(Careful(), workers=workers), bare=bare))
    assert seen.failure is None
    assert documents_of(seen.events) == ["0", "1", "2"]


@FORMS
@pytest.mark.parametrize("sooner", [True, False], ids=["sooner", "later"])
def test_outer_deadline_that_its_owner_moves_is_not_the_adapters(
    sooner: bool, bare: bool, workers: int
) -> None:
    class Slow(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            for number in range(3):
                await trio.sleep(10)
                yield number

    async def main() -> None:
        async def move(scope: trio.CancelScope) -> None:
            for step in range(1, 10):
                await trio.sleep(3)
                scope.deadline = 1000 - step if sooner else 1000 + step

        with trio.move_on_after(1000) as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(move, scope)
                seen = await see(IngestionPipeline(Slow(), workers=workers), bare=bare)
        assert seen.failure is None
        assert documents_of(seen.events) == ["0", "1", "2"]

    run(main)


@FORMS
def test_consumers_own_deadline_and_nursery_are_not_the_adapters(
    bare: bool, workers: int
) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep, 1)
            with trio.fail_after(100):
                seen = await see(IngestionPipeline(Plain(), workers=workers), bare=bare)
        assert seen.failure is None
        assert documents_of(seen.events) == ["0", "1", "2"]

    run(main)
