"""The old eager loop says that it is old, once, and gives what the new one gives."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
import trio
from hypothesis import given

from tests.promises.adapters import Plain
from tests.promises.scripts import NamingAdapter, Note, PartsAdapter, scripts
from tests.worlds import run
from trio_ingest import (
    Cursor,
    Document,
    IngestionPipeline,
    PipelineResult,
    SetupError,
    _legacy,
)
from trio_ingest.testing import Crash, Fail, Pause, ScriptedAdapter, SlowParse

# Whichever test comes first would hear of it; the two that are about it look for it.
pytestmark = pytest.mark.filterwarnings("ignore:run_async_legacy is deprecated")


# -- it says that it is old ------------------------------------------------------------


async def test_deprecation_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_legacy, "_warned", False)
    pipeline = IngestionPipeline(Plain())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            await pipeline.run_async_legacy()
    (warning,) = caught
    assert warning.category is DeprecationWarning
    assert f"removed in trio_ingest {_legacy.REMOVED_IN}" in str(warning.message)
    assert "run_async for the same result" in str(warning.message)


def test_first_call_of_a_process_warns() -> None:
    program = """
import trio, warnings
from trio_ingest import Document, IngestionPipeline
class Adapter:
    source = "feed"
    async def fetch(self):
        yield 1
    def parse(self, record):
        return Document("1", "feed", "")
pipeline = IngestionPipeline(Adapter())
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    trio.run(pipeline.run_async_legacy)
    trio.run(pipeline.run_async_legacy)
print([warning.category.__name__ for warning in caught])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['DeprecationWarning']"


# -- it gives the same -----------------------------------------------------------------


def plainly(result: PipelineResult) -> Any:
    return result.documents, result.errors, result.success_count, result.failure_count


CLEAN = st.one_of(
    st.just("record"),
    st.just("record"),
    st.builds(SlowParse, st.sampled_from([0, 1])),
    st.builds(Pause, st.sampled_from([0, 1])),
    st.just(Note(index=0)),
    st.just(Cursor(0)),
)


@given(
    st.lists(scripts(steps=CLEAN, crash=False), min_size=1, max_size=3),
    st.integers(1, 2),
    st.none() | st.sets(st.sampled_from("012345")),
    st.booleans(),
    st.integers(1, 3),
)
def test_both_eager_runs_give_the_same_for_any_clean_input(
    feeds: list[list[Any]], parts: int, done: set[str] | None, names: bool, workers: int
) -> None:
    async def main() -> None:
        def pipeline(workers: int) -> IngestionPipeline:
            kind = NamingAdapter if names else PartsAdapter
            return IngestionPipeline(
                *[kind(feed, source=f"source{n}") for n, feed in enumerate(feeds)],
                workers=workers,
                clock=lambda: 0.0,
            )

        options: dict[str, Any] = {
            "params": [{"part": part} for part in range(parts)],
            "completed_ids": done,
        }
        new = await pipeline(workers).run_async(**options)
        old = await pipeline(1).run_async_legacy(**options)
        assert old == new

    run(main)


async def test_bad_documents_land_in_the_errors() -> None:
    failure = ValueError("bad")

    class Odd(Plain):
        def parse(self, record: int) -> Any:
            if record == 1:
                raise failure
            good = Document(str(record), self.source, "")
            return [good, failure, None, "text", attrs.evolve(good, doc_id=4)][record]

    result = await IngestionPipeline(Odd(count=5)).run_async_legacy()
    assert [d.doc_id for d in result.documents] == ["0"]
    assert [(e.record_number, e.error_type, e.raw) for e in result.errors] == [
        (1, "ValueError", 1),
        (2, "TypeError", 2),
        (3, "TypeError", 3),
        (4, "TypeError", 4),
    ]
    assert result.errors[0].error == str(failure)
    assert (result.success_count, result.failure_count) == (1, 4)


async def test_result_says_when_it_began_and_ended(autojump_clock: trio.abc.Clock) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter([Pause(7)]), clock=trio.current_time)
    began = trio.current_time()
    result = await pipeline.run_async_legacy()
    assert (result.started_at - began, result.completed_at - began) == (0, 7)


async def test_setup_mistakes_are_refused() -> None:
    pipeline = IngestionPipeline(Plain())
    with pytest.raises(SetupError, match="empty list"):
        await pipeline.run_async_legacy(params=[])
    with pytest.raises(SetupError, match="cannot fetch"):
        await pipeline.run_async_legacy(params=[{"since": 1}])


# -- it cleans up ----------------------------------------------------------------------


class Countdown:
    """An async iterator that is no generator, and so cannot be closed."""

    def __init__(self, count: int) -> None:
        self.left = count

    def __aiter__(self) -> Countdown:
        return self

    async def __anext__(self) -> int:
        if not self.left:
            raise StopAsyncIteration
        self.left -= 1
        return self.left


async def test_iterator_without_aclose_will_do() -> None:
    class Bare(Plain):
        def fetch(self) -> Any:
            return Countdown(self.count)

    adapter = Bare(count=4)
    result = await IngestionPipeline(adapter).run_async_legacy()
    assert [d.doc_id for d in result.documents] == ["3", "2", "1", "0"]
    assert adapter.closed
    assert plainly(await IngestionPipeline(Bare(count=4)).run_async()) == plainly(result)


async def test_fetch_behind_a_safe_channel_will_do() -> None:
    class Safe(Plain):
        fetch = trio.as_safe_channel(Plain.fetch)  # type: ignore[assignment]

    result = await IngestionPipeline(Safe()).run_async_legacy()
    assert [d.doc_id for d in result.documents] == ["0", "1", "2"]


async def test_aclose_that_is_a_plain_method_will_do() -> None:
    class Early(Plain):
        def aclose(self) -> None:  # type: ignore[override]
            self.closed = True

    for run_eagerly in ("run_async", "run_async_legacy"):
        adapter = Early()
        result = await getattr(IngestionPipeline(adapter), run_eagerly)()
        assert len(result.documents) == 3
        assert adapter.closed


class Closing(ScriptedAdapter):
    async def aclose(self) -> None:
        self.closed += 10


async def test_everything_is_closed_when_a_fetch_dies() -> None:
    first = Closing([1, Fail()], source="first")
    dead = Closing([1, Crash(OSError("gone"))], source="dead")
    after = Closing([1], source="after")
    with pytest.raises(OSError, match="gone"):
        await IngestionPipeline(first, dead, after).run_async_legacy()
    assert (first.closed, dead.closed) == (11, 11)
    assert after.opened == 0


async def test_everything_is_closed_when_it_is_cancelled(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter = Closing([1, Pause(100)])
    with trio.move_on_after(5) as scope:
        await IngestionPipeline(adapter).run_async_legacy()
    assert scope.cancelled_caught
    assert adapter.closed == 11


async def test_generator_is_closed_when_a_parse_is_cancelled(
    autojump_clock: trio.abc.Clock,
) -> None:
    log: list[str] = []

    class Slow(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            try:
                yield 1
            finally:
                log.append("closed")

        async def parse(self, record: Any) -> Document:
            await trio.sleep(100)
            raise AssertionError

    with trio.move_on_after(5) as scope:
        await IngestionPipeline(Slow()).run_async_legacy()
    assert scope.cancelled_caught
    assert log == ["closed"]


async def test_an_adapter_that_awaits_nothing_can_be_cancelled() -> None:
    class Endless(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            while True:
                yield 1

    with trio.CancelScope() as scope:
        scope.cancel()
        await IngestionPipeline(Endless()).run_async_legacy()
    assert scope.cancelled_caught


async def test_aclose_has_the_grace_when_it_is_cancelled(
    autojump_clock: trio.abc.Clock,
) -> None:
    class Slowly(ScriptedAdapter):
        async def aclose(self) -> None:
            await trio.sleep(1)
            self.closed += 10

    adapter = Slowly([1, Pause(100)])
    with trio.move_on_after(5) as scope:
        await IngestionPipeline(adapter).run_async_legacy()
    assert scope.cancelled_caught
    assert adapter.closed == 11


def test_from_asyncio_it_names_what_to_use() -> None:
    with pytest.raises(SetupError, match=r"trio_ingest\.aio"):
        asyncio.run(IngestionPipeline(Plain()).run_async_legacy())
