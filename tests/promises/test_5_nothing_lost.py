"""Promise 5: when something fails, the consumer first receives all that was emitted before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import attrs
import pytest
from hypothesis import given

from tests.promises.adapters import FORMS, Plain, Seen, see
from tests.promises.checks import (
    check_counts,
    check_numbering,
    check_shape,
    documents_of,
    names_of,
    stories_of,
)
from tests.promises.scripts import Case, cases, play
from tests.worlds import ONE_THREAD, cancelled, run, stream_of
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Document,
    DocumentStarted,
    EventStream,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
    StreamClosedError,
)
from trio_ingest.testing import Crash, ScriptedAdapter

BLOCKS = pytest.mark.parametrize(
    ("workers", "ordered"),
    [(1, True), (3, True), (3, False)],
    ids=["1", "ordered", "unordered"],
)


class Death(BaseException):
    """Worse than any Exception, and nobody's in particular."""


FATAL = [KeyboardInterrupt, SystemExit, Death]


async def asked(events: EventStream[Any]) -> Any:
    """The next event, or what was raised instead of it."""
    try:
        return await anext(events)
    except cancelled():
        raise
    except BaseException as error:  # noqa: ASYNC103 -- cancelled() is above
        return error  # noqa: ASYNC104


async def collect(stream: EventStream[Any], *, late: float = 0) -> tuple[Seen, list[Any]]:
    """Consume a block to its failure; ask again three times, and say what came then."""
    seen = Seen()
    again = []
    with pytest.raises(BaseException) as caught:
        async with stream as events:
            await anyio.sleep(late)
            while isinstance(event := await asked(events), PipelineEvent):
                seen.events.append(event)
            seen.failure = event
            again = [await asked(events) for _ in range(3)]
            raise event
    assert caught.value is seen.failure
    return seen, again


# -- an adapter dies ---------------------------------------------------------------------


@given(cases(crash=False))
def test_everything_before_a_crash_is_received_in_any_run(case: Case) -> None:
    scripts = [[*script[:8], Crash(OSError(str(i)))] for i, script in enumerate(case.scripts)]
    case = attrs.evolve(case, scripts=scripts, parts=1)
    played = run(lambda: play(case))
    check_numbering(played.events)
    assert stories_of(played.events) == case.stories()
    failed = [e for e in played.events if isinstance(e, AdapterStateChange)][len(scripts) :]
    assert all("OSError" in (e.reason or "") for e in failed if e.new_state == "failed")
    if len(scripts) == 1:
        assert isinstance(played.failure, OSError)
    else:
        assert isinstance(played.failure, ExceptionGroup)
        assert [str(e) for e in played.failure.exceptions] == ["0", "1", "2"][: len(scripts)]


@BLOCKS
@pytest.mark.parametrize("late", [0, 100], ids=["at once", "late"])
@pytest.mark.parametrize("buffer_size", [1, 4, 1000])
def test_crash_comes_after_every_document_and_again_when_asked_again(
    buffer_size: int, late: float, workers: int, ordered: bool
) -> None:
    error = OSError("gone")
    adapter = ScriptedAdapter([*"abcdefgh", Crash(error)])
    pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
    stream = stream_of(pipeline, buffer_size=buffer_size)
    seen, again = run(lambda: collect(stream, late=late))
    assert sorted(documents_of(seen.events)) == list("01234567")
    assert names_of(seen.events)[-2:] == ["failed", "BatchProgress"]
    assert seen.failure is error
    assert again == [error] * 3


@BLOCKS
def test_documents_in_work_when_the_fetch_dies_are_finished(
    workers: int, ordered: bool
) -> None:
    class Slow(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 1
            yield 2
            raise OSError("gone")

        async def parse(self, record: Any) -> Document:
            await anyio.sleep(record)
            return Document(str(record), self.source, "")

    pipeline = IngestionPipeline(Slow(), workers=workers, ordered=ordered)
    seen = run(lambda: see(pipeline))
    assert documents_of(seen.events) == ["1", "2"]
    assert isinstance(seen.failure, OSError)


@FORMS
def test_crash_of_one_adapter_loses_nothing_of_the_others(bare: bool, workers: int) -> None:
    adapters = [
        ScriptedAdapter([Crash(OSError("first"))], source="a"),
        ScriptedAdapter("xyz", source="b"),
        ScriptedAdapter(["x", Crash(ValueError("last"))], source="c"),
    ]
    seen = run(lambda: see(IngestionPipeline(*adapters, workers=workers), bare=bare))
    assert sorted(documents_of(seen.events)) == ["0", "0", "1", "2"]
    assert isinstance(seen.events[-1], BatchProgress)
    assert isinstance(seen.failure, ExceptionGroup)
    assert [type(error) for error in seen.failure.exceptions] == [OSError, ValueError]


@ONE_THREAD
def test_bare_form_raises_its_failure_again_when_asked_again() -> None:
    error = OSError("gone")
    stream = stream_of(IngestionPipeline(ScriptedAdapter(["a", Crash(error)])))

    async def main() -> list[Any]:
        outcomes: list[Any] = []
        for _ in range(9):
            try:
                outcomes.append(await anext(stream))
            except OSError as caught:
                outcomes.append(caught)
        with pytest.raises(OSError, match="gone"):
            async for _ in stream:
                pass
        return outcomes

    outcomes = run(main)
    assert names_of(outcomes[:5])[-2:] == ["failed", "BatchProgress"]
    assert outcomes[5:] == [error] * 4


# -- a worker dies -----------------------------------------------------------------------


class Deadly(Plain):
    """Raises something fatal at record 5 of 9, in a method of its own."""

    def __init__(self, error: BaseException, where: str, source: str = "deadly") -> None:
        super().__init__(source, 9)
        self.error = error
        self.where = where

    async def fetch(self) -> AsyncIterator[Any]:
        for record in range(self.count):
            self.die("fetch", record)
            yield record

    def identify(self, record: Any) -> str:
        self.die("identify", record)
        return str(record)

    def parse(self, record: Any) -> Any:
        self.die("parse", record)
        if self.where == "is_retryable" and record == 5:
            raise ValueError("bad")
        return self.slowly(record) if self.where == "awaited parse" else super().parse(record)

    async def slowly(self, record: Any) -> Any:
        await anyio.sleep(0.1)
        self.die("awaited parse", record)
        return super().parse(record)

    def is_retryable(self, error: Exception) -> bool:
        self.die("is_retryable", 5)
        return False

    async def aclose(self) -> None:
        await super().aclose()
        self.die("aclose", 5)

    def die(self, where: str, record: Any) -> None:
        if where == self.where and record == 5:
            raise self.error


WHERE = ["fetch", "identify", "parse", "awaited parse", "is_retryable"]


@BLOCKS
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("kind", FATAL)
@pytest.mark.parametrize("buffer_size", [1, 1000])
def test_everything_before_something_fatal_is_received_first(
    buffer_size: int, kind: type[BaseException], where: str, workers: int, ordered: bool
) -> None:
    error = kind("fatal")
    adapter = Deadly(error, where)
    pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
    stream = stream_of(pipeline, buffer_size=buffer_size)
    seen, again = run(lambda: collect(stream, late=10))
    assert seen.failure is error
    assert again == [error] * 3
    check_numbering(seen.events)
    check_shape(seen.events, whole=False)
    check_counts(seen.events)
    # Nothing was emitted that did not come: the run counts what it made.
    statistics = stream.statistics()
    assert statistics.queue_depth == 0
    assert statistics.completed == len(documents_of(seen.events))
    assert statistics.in_flight == sum(len(s) == 1 for s in stories_of(seen.events).values())
    if workers == 1:
        assert documents_of(seen.events) == list("01234")
    assert names_of(seen.events)[-1] == "cancelled"
    assert adapter.closed


@BLOCKS
@pytest.mark.parametrize("kind", FATAL)
def test_something_fatal_in_one_adapter_stops_the_others_and_says_so(
    kind: type[BaseException], workers: int, ordered: bool
) -> None:
    class Endless(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            while True:
                await anyio.sleep(0.01)
                yield 0

    other = Endless("other")
    error = kind("fatal")
    adapters = [Deadly(error, "awaited parse"), other]
    pipeline = IngestionPipeline(*adapters, workers=workers, ordered=ordered)
    seen, again = run(lambda: collect(stream_of(pipeline)))
    assert seen.failure is error
    assert again == [error] * 3
    check_numbering(seen.events)
    cancelled = [e for e in seen.events if isinstance(e, AdapterStateChange)][-2:]
    assert {(e.adapter, e.new_state) for e in cancelled} == {
        ("deadly", "cancelled"),
        ("other", "cancelled"),
    }
    assert all(kind.__name__ in (e.reason or "") for e in cancelled)
    assert other.closed


@ONE_THREAD
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("kind", FATAL)
def test_something_fatal_leaves_the_bare_form_as_itself(
    kind: type[BaseException], where: str
) -> None:
    error = kind("fatal")
    adapter = Deadly(error, where)
    seen = run(lambda: see(IngestionPipeline(adapter), bare=True))
    assert seen.failure is error
    assert documents_of(seen.events) == list("01234")
    check_numbering(seen.events)
    assert adapter.closed


@ONE_THREAD
@pytest.mark.parametrize("kind", FATAL)
def test_bare_form_never_ends_as_if_well_after_something_fatal(
    kind: type[BaseException],
) -> None:
    stream = stream_of(IngestionPipeline(Deadly(kind("fatal"), "parse")))

    async def main() -> None:
        with pytest.raises(kind):
            while True:
                await anext(stream)
        with pytest.raises((kind, StreamClosedError)):
            await anext(stream)

    run(main)


@FORMS
def test_failed_aclose_comes_after_every_event(bare: bool, workers: int) -> None:
    class Clumsy(Plain):
        async def aclose(self) -> None:
            raise OSError("still open")

    seen = run(lambda: see(IngestionPipeline(Clumsy(), workers=workers), bare=bare))
    assert documents_of(seen.events) == list("012")
    assert names_of(seen.events)[-2:] == ["failed", "BatchProgress"]
    assert str(seen.failure) == "still open"


@FORMS
def test_retries_before_a_crash_are_received_too(bare: bool, workers: int) -> None:
    class Flaky(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 0
            raise ValueError("gone")

        def parse(self, record: Any) -> Any:
            raise OSError("always")

    retry = RetryPolicy(attempts=3)
    seen = run(
        lambda: see(IngestionPipeline(Flaky(), workers=workers, retry=retry), bare=bare)
    )
    assert list(stories_of(seen.events).values()) == [
        ["Started", "Retrying", "Retrying", "Failed"]
    ]
    assert isinstance(seen.failure, ValueError)
    assert sum(isinstance(e, DocumentStarted) for e in seen.events) == 1
