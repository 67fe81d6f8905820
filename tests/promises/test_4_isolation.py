"""Promise 4: a bad document is an event, a dead adapter a state, a setup mistake an error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from tests.promises.adapters import FORMS, Plain, Seen, see
from tests.promises.checks import (
    check_checkpoints,
    check_counts,
    check_numbering,
    check_shape,
    check_states,
    documents_of,
)
from tests.promises.hostile import (
    BAD,
    AttrsFrozen,
    Frozen,
    Nameless,
    Unspeakable,
    WithBadRecord,
    raiser,
    too_deep,
)
from tests.worlds import ONLY_TRIO, call_of, run, stream_of
from trio_ingest import (
    AdapterStateChange,
    DocumentFailed,
    IngestionPipeline,
    RetryPolicy,
    SetupError,
)


def check(seen: Seen) -> None:
    check_numbering(seen.events)
    check_shape(seen.events)
    check_states(seen.events)
    check_counts(seen.events)
    check_checkpoints(seen.events)


@FORMS
@pytest.mark.parametrize("awaits", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("name", BAD)
def test_bad_document_is_an_event_and_the_run_goes_on(
    name: str, awaits: bool, bare: bool, workers: int
) -> None:
    wrong, kind = BAD[name]
    if awaits and name == "StopIteration":
        kind = RuntimeError  # Python's own rule for coroutines
    pipeline = IngestionPipeline(WithBadRecord(wrong, awaits=awaits), workers=workers)
    seen = run(lambda: see(pipeline, bare=bare))
    check(seen)
    assert seen.failure is None
    assert documents_of(seen.events) == ["0", "2", "3"]
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert isinstance(failed.error, str)
    assert (failed.record_number, failed.raw, failed.doc_id) == (1, 1, None)
    assert failed.error_type.rpartition(".")[2] == kind.__qualname__


def test_traceback_of_a_failed_document_is_short_and_about_the_adapter() -> None:
    seen = run(lambda: see(IngestionPipeline(WithBadRecord(too_deep))))
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert failed.traceback is not None
    assert "too_deep" in failed.traceback
    assert "trio_ingest" not in failed.traceback
    assert len(failed.traceback.splitlines()) < 100


@FORMS
@pytest.mark.parametrize("answer", [5, None, Nameless()], ids=["number", "None", "nameless"])
def test_record_that_cannot_be_named_is_a_failed_document(
    answer: Any, bare: bool, workers: int
) -> None:
    class Naming(Plain):
        def identify(self, record: Any) -> Any:
            return answer if record == 1 else f"id{record}"

    seen = run(lambda: see(IngestionPipeline(Naming(), workers=workers), bare=bare))
    check(seen)
    assert seen.failure is None
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert failed.error_type == "TypeError"
    assert failed.doc_id is None
    assert documents_of(seen.events) == ["0", "2"]


@FORMS
def test_identify_that_raises_fails_that_record_alone(bare: bool, workers: int) -> None:
    class Naming(Plain):
        def identify(self, record: Any) -> str:
            return {0: "zero", 2: "two"}[record]

    seen = run(lambda: see(IngestionPipeline(Naming(), workers=workers), bare=bare))
    check(seen)
    assert seen.failure is None
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert (failed.error_type, failed.error) == ("KeyError", "1")
    assert failed.record_number == 1


@FORMS
@pytest.mark.parametrize(
    "error", [ValueError("no"), Unspeakable()], ids=["plain", "unspeakable"]
)
def test_is_retryable_that_raises_means_no(error: Exception, bare: bool, workers: int) -> None:
    class Judging(WithBadRecord):
        def is_retryable(self, _: Exception) -> bool:
            raise error

    adapter = Judging(raiser(OSError("cause")))
    pipeline = IngestionPipeline(adapter, workers=workers, retry=RetryPolicy(attempts=3))
    seen = run(lambda: see(pipeline, bare=bare))
    check(seen)
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert (failed.error_type, failed.error) == ("OSError", "cause")
    assert (failed.is_retryable, failed.retry_count) == (False, 0)
    assert "is_retryable failed on this error" in str(failed.traceback)


@FORMS
def test_completed_ids_that_raise_fail_the_document(bare: bool, workers: int) -> None:
    class Broken:
        def __contains__(self, doc_id: object) -> bool:
            if doc_id == "1":
                raise OSError("ledger is gone")
            return False

    pipeline = IngestionPipeline(Plain(), workers=workers)
    seen = run(lambda: see(pipeline, bare=bare, completed_ids=Broken()))
    check(seen)
    assert documents_of(seen.events) == ["0", "2"]


class Dying(Plain):
    """Dies after its first record, and may take its time."""

    def __init__(self, error: Exception, source: str = "dying", seconds: float = 0) -> None:
        super().__init__(source)
        self.error = error
        self.seconds = seconds

    async def fetch(self) -> AsyncIterator[Any]:
        yield 0
        await anyio.sleep(self.seconds)
        raise self.error


@FORMS
@pytest.mark.parametrize(
    "error",
    [
        OSError("gone"),
        Unspeakable(),
        Frozen(),
        AttrsFrozen(),
        ExceptionGroup("g", [OSError()]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_dead_adapter_is_a_state_and_the_others_go_on(
    error: Exception, bare: bool, workers: int
) -> None:
    adapters = [Plain("first"), Dying(error), Plain("last")]
    seen = run(lambda: see(IngestionPipeline(*adapters, workers=workers), bare=bare))
    check(seen)
    assert seen.failure is error
    assert sorted(documents_of(seen.events)) == ["0", "0", "0", "1", "1", "2", "2"]
    last = {e.adapter: e for e in seen.events if isinstance(e, AdapterStateChange)}
    assert {source: e.new_state for source, e in last.items()} == {
        "first": "finished",
        "dying": "failed",
        "last": "finished",
    }
    assert type(error).__name__ in (last["dying"].reason or "")
    assert all(adapter.closed for adapter in adapters)


@FORMS
def test_dead_adapters_failure_says_where_it_died(bare: bool, workers: int) -> None:
    seen = run(lambda: see(IngestionPipeline(Dying(OSError()), workers=workers), bare=bare))
    (note,) = seen.failure.__notes__  # type: ignore[union-attr]
    assert "'dying'" in note
    assert "1 record" in note


@FORMS
def test_several_dead_adapters_leave_as_one_group_in_adapter_order(
    bare: bool, workers: int
) -> None:
    errors = [OSError("slow"), ValueError("quick"), KeyError("slower")]
    seconds = [5, 1, 9]
    adapters = [Dying(e, f"source{i}", seconds[i]) for i, e in enumerate(errors)]
    seen = run(lambda: see(IngestionPipeline(*adapters, Plain(), workers=workers), bare=bare))
    check(seen)
    assert isinstance(seen.failure, ExceptionGroup)
    assert list(seen.failure.exceptions) == errors


@FORMS
@pytest.mark.parametrize("error", [StopAsyncIteration("x"), StopIteration("x"), OSError("x")])
def test_aclose_that_raises_never_looks_like_success(
    error: Exception, bare: bool, workers: int
) -> None:
    class Clumsy(Plain):
        async def aclose(self) -> None:
            raise error

    seen = run(lambda: see(IngestionPipeline(Clumsy(), workers=workers), bare=bare))
    check(seen)
    assert documents_of(seen.events) == ["0", "1", "2"]
    assert [e.new_state for e in seen.events if isinstance(e, AdapterStateChange)][
        -1
    ] == "failed"
    assert seen.failure is not None


# -- setup mistakes -----------------------------------------------------------------------


class PlainGenerator(Plain):
    def fetch(self) -> Any:
        yield 0


class Coroutine(Plain):
    async def fetch(self) -> Any:
        return [0]


class NoParse:
    source = "no parse"
    fetch = Plain.fetch


class NoSource(Plain):
    def __init__(self) -> None:
        super().__init__(source="")


class ParseIsText(Plain):
    parse = "text"  # type: ignore[assignment]


WRONG_PIPELINES: dict[str, tuple[Callable[[], Any], str]] = {
    "no adapter": (IngestionPipeline, "at least one adapter"),
    "a class": (lambda: IngestionPipeline(Plain), "pass an instance of it, Plain(...)"),
    "sync generator": (lambda: IngestionPipeline(PlainGenerator()), "async def fetch"),
    "coroutine": (lambda: IngestionPipeline(Coroutine()), "`yield` each record"),
    "no parse": (lambda: IngestionPipeline(NoParse()), "needs a method `parse`"),  # type: ignore[arg-type]
    "parse is text": (lambda: IngestionPipeline(ParseIsText()), "must be a method"),
    "no source": (lambda: IngestionPipeline(NoSource()), "needs a `source`"),
    "same sources": (lambda: IngestionPipeline(Plain(), Plain()), "share the source 'plain'"),
    "workers=0": (lambda: IngestionPipeline(Plain(), workers=0), "of at least 1; got 0"),
    "workers=True": (lambda: IngestionPipeline(Plain(), workers=True), "got True"),
    "workers=1.5": (lambda: IngestionPipeline(Plain(), workers=1.5), "got 1.5"),  # type: ignore[arg-type]
    "grace": (lambda: IngestionPipeline(Plain(), cleanup_grace_seconds=-1), "got -1"),
    "retry": (lambda: IngestionPipeline(Plain(), retry=3), "RetryPolicy(attempts=3)"),  # type: ignore[arg-type]
    "attempts": (lambda: RetryPolicy(attempts=0), "of at least 1; got 0"),
}

WRONG_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "params that do not fit": (
        {"params": [{"since": 1}]},
        "unexpected keyword argument 'since'",
    ),
    "empty params": ({"params": []}, "nothing would run"),
    "params is a mapping": ({"params": {"since": 1}}, "must be a list"),
    "params of strings": ({"params": ["since"]}, "must be a mapping"),
    "equal params": ({"params": [{}, {}]}, "Two of params are equal"),
    "cursor in params": ({"params": [{"cursor": 1}]}, "must not name `cursor`"),
    "nameless params": ({"params": [{"since": object()}]}, "since"),
    "unknown option": ({"buffer": 5}, "buffer"),
    "buffer_size=0": ({"buffer_size": 0}, "of at least 1; got 0"),
    "progress_interval=0": ({"progress_interval": 0}, "of at least 1; got 0"),
    "checkpoint_interval=0": ({"checkpoint_interval": 0}, "of at least 1; got 0"),
    "estimated_total=-1": ({"estimated_total": -1}, "of at least 0; got -1"),
    "completed_ids is text": ({"completed_ids": "abc"}, "must support `in`"),
    "completed_ids is a number": ({"completed_ids": 5}, "must support `in`"),
    "resume_from is a dict": ({"resume_from": {"version": 1}}, "Checkpoint.from_dict"),
}


@pytest.mark.parametrize("name", WRONG_PIPELINES)
def test_wrong_pipeline_is_refused_when_it_is_made(name: str) -> None:
    make, says = WRONG_PIPELINES[name]
    with pytest.raises(SetupError) as caught:
        make()
    assert says in str(caught.value)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("call", ["stream_events", "iter_results"])
@pytest.mark.parametrize("name", WRONG_OPTIONS)
def test_wrong_option_is_refused_before_the_first_event(name: str, call: str) -> None:
    options, says = WRONG_OPTIONS[name]
    adapter = Plain()

    async def main() -> None:
        with pytest.raises(SetupError) as caught:
            call_of(IngestionPipeline(adapter), call)(**options)
        assert says in str(caught.value)

    run(main)
    assert adapter.fetched == 0


def test_bare_form_with_several_workers_is_refused_and_told_the_right_spelling() -> None:
    adapter = Plain()

    async def main() -> None:
        stream = stream_of(IngestionPipeline(adapter, workers=2))
        with pytest.raises(SetupError, match=r"async with pipeline\.stream_events"):
            async for _ in stream:
                pass
        with pytest.raises(SetupError, match="workers=2"):
            await anext(stream_of(IngestionPipeline(adapter, workers=2)))

    run(main)
    assert adapter.fetched == 0


@ONLY_TRIO
def test_stream_asked_for_from_asyncio_names_what_to_use_there() -> None:
    async def main() -> None:
        with pytest.raises(SetupError, match=r"trio_ingest\.aio"):
            IngestionPipeline(Plain()).stream_events()
        with pytest.raises(SetupError, match=r"trio_ingest\.aio"):
            await IngestionPipeline(Plain()).run_async()

    asyncio.run(main())


@ONLY_TRIO
def test_stream_made_outside_and_entered_from_asyncio_is_refused_too() -> None:
    block = IngestionPipeline(Plain()).stream_events()
    bare = IngestionPipeline(Plain()).stream_events()

    async def main() -> None:
        with pytest.raises(SetupError, match="asyncio is running here"):
            async with block:
                pass
        with pytest.raises(SetupError, match="asyncio is running here"):
            await anext(bare)

    asyncio.run(main())


@FORMS
@pytest.mark.parametrize(
    "result", [[0, 1], None, iter("ab")], ids=["list", "None", "iterator"]
)
def test_fetch_that_gives_no_async_iterator_is_refused_before_any_event(
    result: Any, bare: bool, workers: int
) -> None:
    class Eager(Plain):
        def fetch(self) -> Any:
            return result

    good = Plain()
    pipeline = IngestionPipeline(good, Eager("eager"), workers=workers)
    seen = run(lambda: see(pipeline, bare=bare))
    assert type(seen.failure) is SetupError
    assert f"it gave a {type(result).__name__}" in str(seen.failure)
    assert (seen.events, good.fetched) == ([], 0)


@FORMS
def test_fetch_that_raises_when_it_is_called_never_looks_like_success(
    bare: bool, workers: int
) -> None:
    class Unready(Plain):
        def fetch(self) -> Any:
            raise OSError("not ready")

    seen = run(lambda: see(IngestionPipeline(Unready(), workers=workers), bare=bare))
    check(seen)
    assert isinstance(seen.failure, OSError)
    assert documents_of(seen.events) == []
