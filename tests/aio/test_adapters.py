"""What an adapter can count on in asyncio, and what it is told of awaiting the wrong one."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anyio
import pytest
import trio
import trio.lowlevel

from tests.promises.adapters import Plain
from tests.promises.checks import check_counts, check_shape, documents_of
from tests.worlds import WORLDS, in_world, run, run_on, stream_of
from trio_ingest import (
    AdapterStateChange,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
    SetupError,
    aio,
)

WORKERS = pytest.mark.parametrize("workers", [1, 3])
EVERYWHERE = pytest.mark.parametrize("name", ["asyncio", "uvloop", "bridge"])


async def events_of(pipeline: IngestionPipeline) -> tuple[list[PipelineEvent], Any]:
    received: list[PipelineEvent] = []
    try:
        async with stream_of(pipeline) as events:
            async for event in events:
                received.append(event)  # noqa: PERF401 -- each at once
    except Exception as error:
        return received, error
    return received, None


# -- the wrong library -------------------------------------------------------------------


class Awaiting(Plain):
    """Awaits what it is given, in one of its methods."""

    def __init__(self, where: str, wait: Callable[[], Awaitable[object]]) -> None:
        super().__init__("awaiting")
        self.where = where
        self.wait = wait

    async def fetch(self) -> AsyncIterator[Any]:
        yield 0
        if self.where == "fetch":
            await self.wait()
        yield 1

    async def parse(self, record: Any) -> Any:
        if self.where == "parse":
            await self.wait()
        return super().parse(record)


async def asyncio_future() -> None:
    await asyncio.get_running_loop().create_future()


async def trio_sleep() -> None:
    await trio.sleep(1)


async def trio_event() -> None:
    await trio.Event().wait()


OF_TRIO: dict[str, Callable[[], Awaitable[object]]] = {
    "sleep": trio_sleep,
    "event": trio_event,
    "checkpoint": trio.lowlevel.checkpoint,
}
OF_ASYNCIO = {"sleep": lambda: asyncio.sleep(1), "future": asyncio_future}


def told(where: str, received: list[PipelineEvent], failure: Any) -> Any:
    """What the user is told of the wrong library."""
    if where == "fetch":
        assert failure.__cause__ is not None
        return failure
    failed = [e for e in received if isinstance(e, DocumentFailed)]
    assert len(failed) == 2
    kinds: dict[str, type[Exception]] = {"trio_ingest.SetupError": SetupError}
    return kinds.get(failed[0].error_type, RuntimeError)(failed[0].error)


@WORKERS
@pytest.mark.parametrize("where", ["fetch", "parse"])
@pytest.mark.parametrize("wait", OF_TRIO)
def test_adapter_that_awaits_trio_on_asyncio_is_told_of_the_other_runtime(
    wait: str, where: str, workers: int
) -> None:
    with in_world("asyncio"):
        pipeline = IngestionPipeline(Awaiting(where, OF_TRIO[wait]), workers=workers)
        error = told(where, *run(events_of, pipeline))
    assert type(error) is SetupError
    assert "'awaiting' cannot run here: it awaits Trio" in str(error)
    assert 'runtime="trio"' in str(error)


@WORKERS
@pytest.mark.parametrize("where", ["fetch", "parse"])
@pytest.mark.parametrize("wait", OF_ASYNCIO)
@pytest.mark.parametrize(
    ("name", "says"),
    [("bridge", "Leave that argument out"), ("trio", r"trio_ingest\.aio\.stream_events")],
)
def test_adapter_that_awaits_asyncio_on_trio_is_told_how_to_run_it(
    name: str, says: str, wait: str, where: str, workers: int
) -> None:
    with in_world(name):
        pipeline = IngestionPipeline(Awaiting(where, OF_ASYNCIO[wait]), workers=workers)
        error = told(where, *run(events_of, pipeline))
    assert type(error) is SetupError
    with pytest.raises(SetupError, match=says):
        raise error


def test_bare_form_tells_of_the_wrong_library_too() -> None:
    async def main() -> None:
        pipeline = IngestionPipeline(Awaiting("fetch", OF_TRIO["sleep"]))
        with pytest.raises(SetupError, match='runtime="trio"'):
            async for _ in aio.stream_events(pipeline):
                pass

    asyncio.run(main())


# -- a cancellation that nobody asked for ---------------------------------------------------


async def cancelled_elsewhere() -> None:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    await future


@WORKERS
@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_parse_that_awaits_something_cancelled_is_a_failed_document(
    name: str, workers: int
) -> None:
    with in_world(name):
        pipeline = IngestionPipeline(Awaiting("parse", cancelled_elsewhere), workers=workers)
        received, failure = run(events_of, pipeline)
    assert failure is None
    check_shape(received)
    errors = [e.error for e in received if isinstance(e, DocumentFailed)]
    assert len(errors) == 2
    assert "CancelledError came out of the adapter 'awaiting'" in str(errors[0])


@WORKERS
@pytest.mark.parametrize("name", ["asyncio", "uvloop"])
def test_fetch_that_awaits_something_cancelled_never_looks_like_the_end(
    name: str, workers: int
) -> None:
    with in_world(name):
        pipeline = IngestionPipeline(Awaiting("fetch", cancelled_elsewhere), workers=workers)
        received, failure = run(events_of, pipeline)
    check_shape(received)
    check_counts(received)
    assert documents_of(received) == ["0"]
    assert isinstance(failure, RuntimeError)
    assert "which had not been cancelled" in str(failure)
    last = [e for e in received if isinstance(e, AdapterStateChange)][-1]
    assert last.new_state == "failed"


# -- scopes left open across a yield ----------------------------------------------------------


class Scoped(Plain):
    """Yields inside something of anyio's."""

    def __init__(self, scope: Callable[[], Any], source: str = "scoped") -> None:
        super().__init__(source)
        self.scope = scope

    async def fetch(self) -> AsyncIterator[Any]:
        made = self.scope()
        if hasattr(made, "__aenter__"):
            async with made:
                yield 0
        else:
            with made:
                yield 0


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize(
    "scope",
    [lambda: anyio.move_on_after(9), anyio.CancelScope, anyio.create_task_group],
    ids=["deadline", "scope", "task group"],
)
def test_adapter_that_yields_inside_a_scope_of_anyio_is_refused(
    scope: Callable[[], Any], bare: bool
) -> None:
    async def main() -> None:
        stream = aio.stream_events(IngestionPipeline(Scoped(scope)))
        with pytest.raises(SetupError, match="PEP 789"):
            if bare:
                async for _ in stream:
                    pass
            else:
                async with stream as events:
                    async for _ in events:
                        pass

    run_on(WORLDS["asyncio"].new_loop, main)


@pytest.mark.parametrize("left", ["by break", "by drain", "cancelled"])
def test_adapter_that_yields_inside_a_task_group_of_asyncio_is_refused_in_the_end(
    left: str,
) -> None:
    class Grouped(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(0.001))
                for number in range(1000):
                    yield number  # noqa: ASYNC101 -- the trap

    other = Plain("other", count=1000)

    async def main() -> None:
        pipeline = IngestionPipeline(Grouped("grouped"), other)
        async with aio.stream_events(pipeline, buffer_size=5) as events:
            async for event in events:
                await asyncio.sleep(0.001)
                if event.sequence == 20:
                    if left == "by break":
                        break
                    if left == "by drain":
                        events.drain()
                    else:
                        await asyncio.sleep(1000)

    async def cancelled_main() -> None:
        task = asyncio.create_task(main())
        asyncio.get_running_loop().call_later(5, task.cancel)
        with pytest.warns(RuntimeWarning, match="PEP 789"):
            await task

    loop = WORLDS["asyncio"].new_loop
    if left == "cancelled":
        with pytest.raises(asyncio.CancelledError):
            run_on(loop, cancelled_main)
    else:
        with pytest.raises(SetupError, match="PEP 789"):
            run_on(loop, main)
    assert other.closed


def test_adapter_that_opens_a_scope_of_anyio_later_is_refused_when_it_is_noticed() -> None:
    class Later(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            yield 0
            with anyio.CancelScope():
                yield 1  # noqa: ASYNC101 -- the trap

    adapter = Later()

    async def main() -> None:
        async with aio.stream_events(IngestionPipeline(adapter)) as events:
            async for _ in events:
                adapter.fetched += 1
                if adapter.fetched == 5:
                    events.drain()

    run_on(WORLDS["asyncio"].new_loop, main)
    assert adapter.closed


# -- context variables and threads -----------------------------------------------------------

asker = contextvars.ContextVar("asker", default="nobody")


class Curious(Plain):
    """Looks who asked, and in which thread it is."""

    def __init__(self) -> None:
        super().__init__("curious")
        self.seen: set[str] = set()
        self.threads: set[str] = set()

    async def fetch(self) -> AsyncIterator[Any]:
        self._look()
        yield 0

    def parse(self, record: Any) -> Any:
        self._look()
        return super().parse(record)

    async def aclose(self) -> None:
        self._look()

    def _look(self) -> None:
        self.seen.add(asker.get())
        self.threads.add(threading.current_thread().name)


@EVERYWHERE
@WORKERS
def test_adapter_sees_the_context_variables_of_whoever_entered_the_stream(
    workers: int, name: str
) -> None:
    adapter = Curious()

    async def main() -> None:
        asker.set("me")
        await events_of(IngestionPipeline(adapter, workers=workers))

    with in_world(name):
        run(main)
    assert adapter.seen == {"me"}
    assert len(adapter.threads) == 1
    assert (threading.current_thread().name in adapter.threads) is (name != "bridge")


@EVERYWHERE
def test_host_that_blocks_its_loop_holds_the_run_up_and_no_more(name: str) -> None:
    adapter = Plain(count=500)

    async def main() -> None:
        import time

        async with stream_of(IngestionPipeline(adapter), buffer_size=10) as events:
            ended = 0
            async for event in events:
                ended += isinstance(event, DocumentCompleted)
                if ended == 20:
                    time.sleep(0.05)  # noqa: ASYNC251 -- the host that blocks
                assert adapter.fetched <= ended + 12
        assert ended == 500

    with in_world(name):
        run(main)


@pytest.mark.parametrize("name", ["asyncio", "bridge"])
def test_aclose_that_awaits_something_cancelled_is_that_adapters_failure(name: str) -> None:
    class Closing(Plain):
        async def aclose(self) -> None:
            raise asyncio.CancelledError

    other = Plain("other", count=40)
    with in_world(name):
        received, failure = run(events_of, IngestionPipeline(Closing(count=1), other))
    assert "came out of the adapter 'plain'" in str(failure)
    assert len(documents_of(received)) == 41
    assert other.closed


@pytest.mark.parametrize("name", ["asyncio", "bridge"])
@pytest.mark.parametrize("where", ["fetch", "parse"])
def test_cancelled_error_of_asyncio_never_looks_like_a_cancellation(
    where: str, name: str
) -> None:
    async def fail() -> None:
        raise asyncio.CancelledError

    with in_world(name):
        pipeline = IngestionPipeline(Awaiting(where, fail))
        error = told(where, *run(events_of, pipeline))
    assert type(error) is RuntimeError
    assert "which had not been cancelled" in str(error)


def test_estimate_that_awaits_something_cancelled_is_no_estimate() -> None:
    class Estimating(Plain):
        async def estimate_total(self) -> int:
            await cancelled_elsewhere()
            return 3

    with in_world("asyncio"), pytest.warns(RuntimeWarning, match="no ETA"):
        received, failure = run(events_of, IngestionPipeline(Estimating()))
    assert failure is None
    assert documents_of(received) == ["0", "1", "2"]


def test_error_without_words_is_still_the_adapters_own() -> None:
    class Wordless(RuntimeError):
        def __str__(self) -> str:
            raise KeyError("no words")

    async def fail() -> None:
        raise Wordless

    with in_world("asyncio"):
        received, failure = run(events_of, IngestionPipeline(Awaiting("parse", fail)))
    assert failure is None
    failed = [e for e in received if isinstance(e, DocumentFailed)]
    assert [e.error_type.rpartition(".")[2] for e in failed] == ["Wordless"] * 2
    assert [e.error for e in failed] == ["its text failed with KeyError"] * 2


@pytest.mark.parametrize("name", WORLDS)
def test_group_that_a_cleanup_raises_leaves_as_itself(name: str) -> None:
    group = ExceptionGroup("two", [ValueError("one"), KeyError("other")])

    class Clumsy(Plain):
        async def fetch(self) -> AsyncIterator[Any]:
            try:
                for number in range(1000):
                    yield number
            finally:
                raise group

    async def main() -> None:
        async with stream_of(IngestionPipeline(Clumsy()), buffer_size=1) as events:
            await anext(events)
            await anext(events)

    with in_world(name), pytest.raises(ExceptionGroup) as caught:
        run(main)
    assert caught.value is group
    assert group.__cause__ is None
