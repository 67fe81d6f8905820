"""Promise 4: a bad document is an event, a dead adapter a state, a setup mistake an error."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import attrs
import pytest

from tests.promises.adapters import Plain, Seen, see
from tests.promises.checks import (
    check_checkpoints,
    check_counts,
    check_numbering,
    check_shape,
    check_states,
    documents_of,
)
from tests.promises.scripts import run
from trio_ingest import (
    AdapterStateChange,
    Document,
    DocumentFailed,
    IngestionPipeline,
    RetryPolicy,
)

FORMS = pytest.mark.parametrize(
    ("bare", "workers"), [(True, 1), (False, 1), (False, 3)], ids=["bare", "one", "three"]
)


class Unspeakable(Exception):
    """Cannot be put into words."""

    def __str__(self) -> str:
        raise ValueError("no words")

    __repr__ = __str__


@dataclass(frozen=True)
class Frozen(Exception):
    """Refuses every assignment, also those of the interpreter's own attributes."""

    code: int = 1


@attrs.frozen
class AttrsFrozen(Exception):
    code: int = 1


class Nameless:
    def __repr__(self) -> str:
        raise ValueError("no words")


def too_deep() -> None:
    too_deep()


class WithBadRecord(Plain):
    """Record 1 of 4 goes wrong, in ``parse`` or after awaiting something in it."""

    def __init__(self, wrong: Callable[[], Any], *, awaits: bool = False) -> None:
        super().__init__(count=4)
        self.wrong = wrong
        self.awaits = awaits

    def parse(self, record: Any) -> Any:
        return self._awaited(record) if self.awaits else self._result(record)

    async def _awaited(self, record: Any) -> Any:
        return self._result(record)

    def _result(self, record: Any) -> Any:
        return self.wrong() if record == 1 else super().parse(record)


def raiser(error: BaseException) -> Callable[[], Any]:
    def wrong() -> Any:
        raise error

    return wrong


BAD: dict[str, tuple[Callable[[], Any], type[Exception]]] = {
    "ValueError": (raiser(ValueError("bad")), ValueError),
    "RecursionError": (too_deep, RecursionError),
    "MemoryError": (raiser(MemoryError()), MemoryError),
    "StopIteration": (raiser(StopIteration()), StopIteration),
    "StopAsyncIteration": (raiser(StopAsyncIteration()), StopAsyncIteration),
    "group": (raiser(ExceptionGroup("two", [ValueError(), KeyError()])), ExceptionGroup),
    "unspeakable": (raiser(Unspeakable()), Unspeakable),
    "frozen dataclass": (raiser(Frozen()), Frozen),
    "frozen attrs class": (raiser(AttrsFrozen()), AttrsFrozen),
    "None": (lambda: None, TypeError),
    "a dict": (lambda: {"doc_id": "1"}, TypeError),
    "nameless result": (Nameless, TypeError),
    "number as id": (lambda: Document(1, "plain", ""), TypeError),  # type: ignore[arg-type]
    "nameless id": (lambda: Document(Nameless(), "plain", ""), TypeError),  # type: ignore[arg-type]
}


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
    assert type(failed.error) is kind
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
    assert type(failed.error) is TypeError
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
    assert type(failed.error) is KeyError
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
    assert (type(failed.error), failed.is_retryable, failed.retry_count) == (OSError, False, 0)


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
    """Dies after its first record."""

    def __init__(self, error: Exception, source: str = "dying") -> None:
        super().__init__(source)
        self.error = error

    async def fetch(self) -> AsyncIterator[Any]:
        yield 0
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
    errors = [OSError("slow"), ValueError("quick"), KeyError("last")]
    adapters = [Dying(error, f"source{i}") for i, error in enumerate(errors)]
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
