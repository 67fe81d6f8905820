"""A scripted adapter does what its list says, and counts what was done to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import attrs
import pytest
import trio

from tests.promises.adapters import FORMS, see
from tests.promises.checks import documents_of, names_of
from trio_ingest import Checkpoint as Point
from trio_ingest import (
    CheckpointError,
    Cursor,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
    Position,
    RetryPolicy,
)
from trio_ingest.testing import (
    BadParse,
    Crash,
    End,
    Fail,
    FailTimes,
    Hang,
    Pause,
    ScriptedAdapter,
    SlowParse,
)


@attrs.frozen(kw_only=True)
class Note(PipelineEvent):
    text: str


async def fetched(adapter: ScriptedAdapter, **params: Any) -> list[Any]:
    async with aclosing(aiter(adapter.fetch(**params))) as items:  # type: ignore[type-var]
        return [item async for item in items]


@FORMS
async def test_every_kind_of_step_does_what_it_says(
    autojump_clock: trio.abc.Clock, bare: bool, workers: int
) -> None:
    adapter = ScriptedAdapter(
        ["a", Fail(), Pause(3), FailTimes(1), Note(text="n"), SlowParse(4), Cursor(6), Crash()]
    )
    retry = RetryPolicy(attempts=2, base_seconds=0)
    began = trio.current_time()
    seen = await see(IngestionPipeline(adapter, workers=workers, retry=retry), bare=bare)
    assert trio.current_time() - began == pytest.approx(7)
    assert documents_of(seen.events) == ["0", "3", "5"]
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert (failed.record_number, failed.error) == (1, "scripted failure")
    assert [e.text for e in seen.events if isinstance(e, Note)] == ["n"]
    assert names_of(seen.events).count("DocumentRetrying") == 1
    assert repr(seen.failure) == "RuntimeError('scripted crash')"
    assert (adapter.opened, adapter.closed) == (1, 1)
    assert (adapter.fetched, adapter.parsed) == (4, 5)


async def test_errors_of_a_script_are_raised_as_themselves() -> None:
    bad, gone = KeyError("bad"), OSError("gone")
    seen = await see(IngestionPipeline(ScriptedAdapter([Fail(bad), Crash(gone)])))
    (failed,) = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert (failed.error_type, failed.error) == ("KeyError", "'bad'")
    assert seen.failure is gone


async def test_no_two_steps_share_the_error_they_make_up() -> None:
    assert Fail().error is not Fail().error
    assert Crash().error is not Crash().error


@pytest.mark.parametrize(("times", "attempts", "succeeds"), [(2, 3, True), (2, 2, False)])
async def test_fail_times_fails_so_often_and_then_succeeds(
    times: int, attempts: int, succeeds: bool
) -> None:
    retry = RetryPolicy(attempts=attempts, base_seconds=0)
    adapter = ScriptedAdapter([FailTimes(times)])
    seen = await see(IngestionPipeline(adapter, retry=retry))
    assert documents_of(seen.events) == (["0"] if succeeds else [])
    assert adapter.parsed == min(times + 1, attempts)


async def test_second_run_of_one_adapter_fails_as_often_as_the_first() -> None:
    retry = RetryPolicy(attempts=2, base_seconds=0)
    pipeline = IngestionPipeline(ScriptedAdapter([FailTimes(1)]), retry=retry)
    for _ in range(2):
        seen = await see(pipeline)
        (completed,) = [e for e in seen.events if isinstance(e, DocumentCompleted)]
        assert completed.retry_count == 1


async def test_document_of_a_step_is_named_by_its_place_and_holds_it() -> None:
    step = object()
    adapter = ScriptedAdapter([Pause(0), step], source="feed")
    result = await IngestionPipeline(adapter).run_async()
    (document,) = result.documents
    assert (document.doc_id, document.source, document.raw) == ("1", "feed", step)


async def test_script_may_be_any_iterable_and_is_kept() -> None:
    adapter = ScriptedAdapter(iter("abc"))
    for _ in range(2):
        assert len((await IngestionPipeline(adapter).run_async()).documents) == 3


async def test_cursor_begins_behind_its_own_place() -> None:
    adapter = ScriptedAdapter(["a", "b", Cursor(2), "c", Cursor(4), "d"])
    for cursor, left in ((None, "abcd"), (2, "cd"), (4, "d")):
        items = await fetched(adapter, cursor=cursor)
        steps = [item.step for item in items if not isinstance(item, Cursor)]
        assert steps == list(left)


async def test_cursors_of_a_script_resume_it_where_they_stand() -> None:
    script = ["a", Cursor(1), "b", "c"]
    point = Point((Position("script", "{}", watermark=1, cursor=1, cursor_record=1),))
    adapter = ScriptedAdapter(script, stable_order=False)
    seen = await see(IngestionPipeline(adapter), resume_from=point)
    assert documents_of(seen.events) == ["2", "3"]


async def test_stable_order_is_what_it_was_told() -> None:
    assert ScriptedAdapter([]).stable_order
    assert not ScriptedAdapter([], stable_order=False).stable_order


async def test_adapter_that_was_left_early_counts_as_closed() -> None:
    adapter = ScriptedAdapter(range(10))
    items: AsyncIterator[Any] = adapter.fetch()
    await anext(items)
    assert (adapter.opened, adapter.closed) == (1, 0)
    await items.aclose()  # type: ignore[attr-defined]
    assert (adapter.opened, adapter.closed, adapter.fetched) == (1, 1, 1)


@FORMS
async def test_a_parse_that_gives_no_document_is_a_failed_document(
    bare: bool, workers: int
) -> None:
    adapter = ScriptedAdapter(["a", BadParse(), BadParse("text")])
    seen = await see(IngestionPipeline(adapter, workers=workers), bare=bare)
    assert documents_of(seen.events) == ["0"]
    failed = [e for e in seen.events if isinstance(e, DocumentFailed)]
    assert [e.record_number for e in failed] == [1, 2]


async def test_a_script_that_hangs_waits_until_it_is_cancelled(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter = ScriptedAdapter(["a", Hang(), "b"])
    with trio.move_on_after(1000) as scope:
        await see(IngestionPipeline(adapter), bare=False)
    assert scope.cancelled_caught
    assert adapter.parsed == 1
    assert (adapter.opened, adapter.closed) == (1, 1)


async def test_a_script_ends_once_and_then_has_grown() -> None:
    adapter = ScriptedAdapter(["a", End(), "c", End(), "e"])
    runs = [[record.index for record in await fetched(adapter)] for _ in range(3)]
    assert runs == [[0], [0, 2], [0, 2, 4]]
    assert (adapter.opened, adapter.closed) == (3, 3)


async def test_a_cursor_may_have_any_value() -> None:
    adapter = ScriptedAdapter(["a", Cursor({"page": 7}), "c"])
    assert [record.index for record in await fetched(adapter, cursor={"page": 7})] == [2]
    with pytest.raises(CheckpointError, match="no Cursor in the script of 'script' has"):
        await fetched(adapter, cursor="nonsense")
