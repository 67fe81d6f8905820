"""``on_error`` gets the exception itself, where it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.worlds import WORLDS, call_of, in_world, run
from trio_ingest import Document, DocumentFailed, IngestionPipeline, RetryPolicy, SetupError


class Feed:
    source = "feed"

    async def fetch(self) -> AsyncIterator[int]:
        yield 1
        yield 2

    def parse(self, record: int) -> Document:
        if record == 2:
            raise ConnectionError("gone")
        return Document(str(record), self.source, "")


@pytest.mark.parametrize("name", WORLDS)
def test_it_hears_of_each_failed_attempt_with_its_traceback(name: str) -> None:
    heard: list[Any] = []

    def hear(error: Exception, source: str) -> None:
        heard.append((repr(error), source, error.__traceback__ is not None))

    async def main() -> list[Any]:
        retry = RetryPolicy(attempts=3, base_seconds=0)
        pipeline = IngestionPipeline(Feed(), on_error=hear, retry=retry)
        async with call_of(pipeline, "stream_events")() as events:
            return [event async for event in events]

    with in_world(name):
        events = run(main)
    [failed] = [event for event in events if isinstance(event, DocumentFailed)]
    assert heard == [("ConnectionError('gone')", "feed", True)] * 3
    assert (failed.error, failed.error_type) == ("gone", "ConnectionError")


def test_one_that_raises_is_a_warning_and_no_end() -> None:
    def fail(error: Exception, source: str) -> None:
        raise RuntimeError("no room")

    pipeline = IngestionPipeline(Feed(), on_error=fail)
    with pytest.warns(RuntimeWarning, match="on_error failed on an error of 'feed'.*no room"):
        result = trio.run(pipeline.run_async)
    assert (result.success_count, result.failure_count) == (1, 1)


@pytest.mark.parametrize("hook", [5, "print"])
def test_what_cannot_be_called_is_refused(hook: Any) -> None:
    with pytest.raises(SetupError, match="on_error must be callable"):
        IngestionPipeline(Feed(), on_error=hook)


def test_what_would_have_to_be_awaited_is_refused() -> None:
    async def hear(error: Exception, source: str) -> None:
        raise AssertionError

    with pytest.raises(SetupError, match="on_error must be a plain function"):
        IngestionPipeline(Feed(), on_error=hear)
