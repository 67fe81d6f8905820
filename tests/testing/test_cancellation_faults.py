"""A deliberately bad adapter for each fault, and what cancel_everywhere says of it."""

from __future__ import annotations

import gc
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, aclosing

import pytest
import trio

from trio_ingest import Document, IngestionPipeline
from trio_ingest.testing import cancel_everywhere
from trio_ingest.testing._deadline import DeadlineReached, real_deadline

# A loop that is torn apart by the deadline leaves coroutines that cannot end well, and say so
# whenever they are collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.collect()  # here, and not in another test


class Honest:
    """What the bad ones differ from."""

    source = "feed"

    def __init__(self) -> None:
        self.is_open = False

    async def fetch(self) -> AsyncIterator[int]:
        self.is_open = True
        try:
            for number in range(3):
                with trio.move_on_after(5):
                    await trio.sleep(0.1)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(trio.sleep, 0.1)
                    await trio.sleep(0.1)
                yield number
        finally:
            with trio.move_on_after(1, shield=True):
                await trio.sleep(0.1)
            self.is_open = False

    async def parse(self, record: int) -> Document:
        with trio.move_on_after(0.2):
            await trio.sleep(0.3)
        return Document(str(record), self.source, "text")


class BrokenFinally(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        connection = None
        try:
            await trio.sleep(0.1)
            connection = [1]
            yield 1
        finally:
            assert connection is not None, "closed before it was opened"


class Unshielded(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        try:
            await trio.sleep(0.1)
            yield 1
        finally:
            await trio.sleep(0.01)  # noqa: ASYNC102


class Swallows(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        for number in range(2):
            try:
                await trio.sleep(0.1)
            except BaseException as error:  # noqa: ASYNC103
                print(error)
            yield number


class SwallowsInParse(Honest):
    async def parse(self, record: int) -> Document:
        try:
            await trio.sleep(0.1)
        except trio.Cancelled:  # noqa: ASYNC103
            return Document("cancelled", self.source, "")  # noqa: ASYNC104
        return await super().parse(record)


class YieldsInsideAScope(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        with trio.CancelScope():
            yield 1  # noqa: ASYNC101
            yield 2  # noqa: ASYNC101


class Shielded(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        try:
            await trio.sleep(0.1)
            yield 1
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep_forever()


class Blocks(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.was_cancelled = False

    async def fetch(self) -> AsyncIterator[int]:
        try:
            await trio.sleep(0.1)
            yield 1
        except trio.Cancelled:  # noqa: ASYNC103
            while True:
                time.sleep(0.01)  # noqa: ASYNC251


def consuming(adapter: type[Honest]) -> Callable[[], Awaitable[None]]:
    async def consume() -> None:
        async with IngestionPipeline(adapter()).iter_results() as documents:
            async for _ in documents:
                await trio.sleep(0.05)

    return consume


def said_of(adapter: type[Honest], **options: float) -> str:
    with pytest.raises(AssertionError) as caught:
        cancel_everywhere(consuming(adapter), **options)  # type: ignore[arg-type]
    return str(caught.value)


def test_an_honest_adapter_is_not_accused() -> None:
    async def consume() -> None:
        adapter = Honest()
        try:
            async with IngestionPipeline(adapter, workers=2).iter_results() as documents:
                async for _ in documents:
                    await trio.sleep(0.05)
        finally:
            assert not adapter.is_open

    assert cancel_everywhere(consume).runs > 100


def test_a_broken_finally_is_named_with_the_line_that_was_cancelled() -> None:
    said = said_of(BrokenFinally)
    assert "AssertionError: closed before it was opened" in said
    assert said.startswith("cancelled at ")
    assert "(raised at test_cancellation_faults.py:" in said
    assert "BrokenFinally.fetch)" in said


def test_the_line_that_was_cancelled_is_named() -> None:
    async def third_line() -> None:
        await trio.sleep(1)
        await trio.sleep(1)
        try:
            await trio.sleep(1)
        finally:
            raise KeyError("x")

    with pytest.raises(AssertionError) as caught:
        cancel_everywhere(third_line)
    assert "third_line" in str(caught.value)


def test_a_cleanup_without_a_shield_is_named() -> None:
    said = said_of(Unshielded)
    assert "Unshielded.fetch awaits while it cleans up after a cancellation, without" in said


class CutShortByItself(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        try:
            await trio.sleep(0.1)
            yield 1
        finally:
            with trio.move_on_after(0.1, shield=True):
                await self.goodbye()

    async def goodbye(self) -> None:
        with trio.move_on_after(7):
            await trio.sleep(5)


def test_a_cleanup_that_its_own_limit_cuts_short_is_not_accused() -> None:
    assert cancel_everywhere(consuming(CutShortByItself)).runs > 50


class UnshieldedInAScope(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        try:
            await trio.sleep(0.1)
            yield 1
        finally:
            with trio.move_on_after(5):
                await trio.sleep(0.01)  # noqa: ASYNC102


def test_a_scope_that_does_not_shield_is_none() -> None:
    assert "UnshieldedInAScope.fetch awaits while it cleans up" in said_of(UnshieldedInAScope)


class SwallowsAfterItsLimit(Honest):
    async def fetch(self) -> AsyncIterator[int]:
        try:
            await trio.sleep(0.1)
        except trio.Cancelled:  # noqa: ASYNC103
            with trio.move_on_after(0.1, shield=True):
                await trio.sleep(5)
        yield 1


def test_a_cancellation_that_is_swallowed_behind_a_limit_is_named() -> None:
    assert "SwallowsAfterItsLimit.fetch goes on after it was" in said_of(SwallowsAfterItsLimit)


def test_a_block_that_is_left_without_a_shield_is_named() -> None:
    class Connection:
        async def __aenter__(self) -> None:
            await trio.sleep(1)

        async def __aexit__(self, *_: object) -> None:
            await trio.sleep(1)  # noqa: ASYNC102

    async def by_a_library() -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(Connection())
            await trio.sleep(1)

    with pytest.raises(AssertionError, match=r"Connection\.__aexit__ awaits while it"):
        cancel_everywhere(by_a_library)


@pytest.mark.parametrize("adapter", [Swallows, SwallowsInParse])
def test_a_swallowed_cancellation_is_named(adapter: type[Honest]) -> None:
    said = said_of(adapter)
    method = "parse" if adapter is SwallowsInParse else "fetch"
    assert f"{adapter.__name__}.{method} goes on after it was cancelled, so the canc" in said


def test_a_yield_inside_a_scope_is_named_without_any_cancellation() -> None:
    said = said_of(YieldsInsideAScope)
    assert said.startswith("not cancelled, fast path on: ")
    assert "YieldsInsideAScope.fetch yields inside a cancel scope or a nursery" in said


def test_a_shield_without_a_limit_is_a_hang() -> None:
    said = said_of(Shielded, deadline_seconds=0.5)
    assert (
        "the run hangs: after 0.5 real seconds it was at test_cancellation_faults.py:" in said
    )
    assert "Shielded.fetch" in said


def test_a_thread_that_is_blocked_is_a_hang() -> None:
    said = said_of(Blocks, deadline_seconds=0.5)
    assert "the run hangs" in said
    assert "Blocks.fetch" in said


def test_a_deadline_that_was_swallowed_comes_again() -> None:
    with pytest.raises(DeadlineReached), real_deadline(0.05):
        try:
            time.sleep(60)
        except DeadlineReached:
            time.sleep(60)


def test_a_deadline_ends_with_its_block() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with real_deadline(3600):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 3000
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_a_generator_that_is_closed_in_a_nursery_is_named() -> None:
    async def items() -> AsyncIterator[int]:
        async with trio.open_nursery():
            yield 1  # noqa: ASYNC101

    async def consume() -> None:
        async with aclosing(items()) as numbers:  # type: ignore[type-var]
            async for _ in numbers:
                break

    with pytest.raises(AssertionError, match="yields inside a cancel scope or a nursery"):
        cancel_everywhere(consume)


def test_an_earlier_tracer_traces_again() -> None:
    before = sys.gettrace()
    cancel_everywhere(consuming(Honest))
    assert sys.gettrace() is before
