"""What the base of sinks and stores promises to those of users."""

from __future__ import annotations

import threading

import anyio
import pytest
import trio

from trio_ingest import SetupError
from trio_ingest.storage import ThreadResource


class Steps:
    """A resource that says in which thread each of its steps was taken."""

    def __init__(self, fails: BaseException | None = None) -> None:
        self.fails = fails
        self.taken: list[tuple[str, str]] = []

    def take(self, step: str) -> str:
        self.taken.append((step, threading.current_thread().name.partition("_")[0]))
        return step

    def open(self) -> None:
        self.take("open")
        if self.fails is not None:
            raise self.fails

    def close(self) -> None:
        self.take("close")


class Mine(ThreadResource):
    """A sink of a user's."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        super().__init__("mine:it", steps)

    async def use(self) -> str:
        return await self._in_thread(lambda: self._steps.take("use"))


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("mine:")]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_step_is_taken_in_the_one_thread_that_ends_with_the_block(backend: str) -> None:
    steps = Steps()

    async def main() -> None:
        for _ in range(2):
            async with Mine(steps) as mine:
                assert await mine.use() == "use"
                assert len(threads()) == 1
            assert threads() == []

    anyio.run(main, backend=backend)
    assert steps.taken == [(step, "mine:it") for step in ["open", "use", "close"] * 2]


@pytest.mark.parametrize("error", [OSError("full"), KeyboardInterrupt()])
async def test_what_was_opened_half_is_closed(error: BaseException) -> None:
    steps = Steps(error)
    with pytest.raises(type(error)) as caught:
        await Mine(steps).__aenter__()
    assert caught.value is error
    assert [step for step, _ in steps.taken] == ["open", "close"]
    assert threads() == []


async def test_what_is_opened_while_the_block_is_cancelled_is_closed() -> None:
    steps, opening, release = Steps(), trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    def slow() -> None:
        steps.take("open")
        token.run_sync_soon(opening.set)
        release.wait()

    async def use() -> None:
        async with Mine(steps):
            await trio.sleep_forever()

    steps.open = slow  # type: ignore[method-assign]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(use)
        await opening.wait()
        nursery.cancel_scope.cancel()
        release.set()
    assert [step for step, _ in steps.taken] == ["open", "close"]
    assert threads() == []


async def test_it_is_refused_when_it_is_not_open_and_when_it_is_open_already() -> None:
    mine = Mine(Steps())
    with pytest.raises(SetupError, match=r"is not open\. Use it inside `async with Mine"):
        await mine.use()
    async with mine:
        with pytest.raises(
            SetupError, match=r"is open already\. Make one Mine for each block"
        ):
            await mine.__aenter__()
        assert await mine.use() == "use"
    with pytest.raises(SetupError, match="mine:it is not open"):
        await mine.use()
