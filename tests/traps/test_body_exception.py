"""Trap: what the body of the block raises leaves as itself, never wrapped and never lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.promises.adapters import Plain
from tests.worlds import run
from trio_ingest import DocumentCompleted, IngestionPipeline

WORKERS = pytest.mark.parametrize("workers", [1, 3])


class Endless(Plain):
    """Goes on forever, and may fail when it is closed."""

    def __init__(self, closing: Exception | None = None) -> None:
        super().__init__()
        self.closing = closing

    async def fetch(self) -> AsyncIterator[Any]:
        try:
            while True:
                yield 0
                await trio.sleep(1)
        finally:
            if self.closing is not None:
                raise self.closing


async def consume(adapter: Plain, workers: int, error: Exception | None) -> None:
    async with IngestionPipeline(adapter, workers=workers).stream_events() as events:
        async for event in events:
            if isinstance(event, DocumentCompleted):
                if error is not None:
                    raise error
                break


@WORKERS
@pytest.mark.parametrize(
    "error", [ValueError("body"), StopAsyncIteration(), RuntimeError("body")]
)
def test_body_exception_leaves_as_itself(error: Exception, workers: int) -> None:
    with pytest.raises(type(error)) as caught:
        run(consume, Endless(), workers, error)
    assert caught.value is error


@WORKERS
def test_body_exception_leaves_as_itself_while_an_outer_scope_is_cancelled(
    workers: int,
) -> None:
    error = ValueError("body")

    async def main() -> None:
        with trio.CancelScope() as scope:
            async with IngestionPipeline(Endless(), workers=workers).stream_events() as events:
                async for event in events:
                    if isinstance(event, DocumentCompleted):
                        scope.cancel()
                        raise error

    with pytest.raises(ValueError, match="body") as caught:
        run(main)
    assert caught.value is error


@WORKERS
def test_failing_cleanup_is_a_note_on_the_body_exception(workers: int) -> None:
    error = ValueError("body")
    with pytest.raises(ValueError, match="body") as caught:
        run(consume, Endless(KeyError("cleanup")), workers, error)
    assert caught.value is error
    assert "KeyError: 'cleanup'" in "".join(error.__notes__)


@WORKERS
def test_failing_cleanup_leaves_as_itself_after_a_break(workers: int) -> None:
    error = KeyError("cleanup")
    with pytest.raises(KeyError) as caught:
        run(consume, Endless(error), workers, None)
    assert caught.value is error


@WORKERS
def test_failing_cleanup_leaves_as_itself_when_cancelled_from_outside(workers: int) -> None:
    error = KeyError("cleanup")

    async def main() -> None:
        with trio.move_on_after(5):
            async with IngestionPipeline(
                Endless(error), workers=workers
            ).stream_events() as events:
                async for _ in events:
                    pass

    with pytest.raises(KeyError) as caught:
        run(main)
    assert caught.value is error


@WORKERS
def test_group_that_the_body_raises_stays_that_group(workers: int) -> None:
    error = ExceptionGroup("the user's own", [ValueError()])
    with pytest.RaisesGroup(ValueError) as caught:
        run(consume, Endless(), workers, error)
    assert caught.value is error
