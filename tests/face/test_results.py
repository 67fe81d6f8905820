"""Documents only, one at a time or all at once: consumers of the same stream."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
import trio
import trio.testing
from hypothesis import given

from tests.promises.adapters import Plain
from tests.promises.scripts import Case, cases, play
from tests.worlds import run
from trio_ingest import (
    Document,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    SetupError,
    StreamClosedError,
)
from trio_ingest._results import EAGER_LIMIT
from trio_ingest.testing import Crash, Fail, Pause, ScriptedAdapter, SlowParse

FORMS = pytest.mark.parametrize("bare", [False, True], ids=["block", "bare"])


# -- iter_results ----------------------------------------------------------------------


async def ids_of(pipeline: IngestionPipeline, *, bare: bool, **options: Any) -> list[str]:
    results = pipeline.iter_results(**options)
    async with aclosing(results) if bare else results as documents:
        return [document.doc_id async for document in documents]


@FORMS
async def test_documents_come_in_order_and_failures_are_passed_over(bare: bool) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter([1, Fail(), 3, Fail(), 5]))
    assert await ids_of(pipeline, bare=bare, buffer_size=1) == ["0", "2", "4"]


@FORMS
async def test_what_comes_is_the_document_itself(bare: bool) -> None:
    documents = [Document("a", "plain", "text"), Document("b", "plain", "")]

    class Fixed(Plain):
        def parse(self, record: int) -> Document:
            return documents[record]

    results = IngestionPipeline(Fixed(count=2)).iter_results()
    async with aclosing(results) if bare else results as stream:
        seen = [document async for document in stream]
    assert [id(d) for d in seen] == [id(d) for d in documents]


@FORMS
async def test_dead_adapter_is_raised_after_the_last_document(bare: bool) -> None:
    pipeline, seen = IngestionPipeline(ScriptedAdapter([1, 2, Crash(OSError("gone"))])), []
    results = pipeline.iter_results()
    with pytest.raises(OSError, match="gone"):
        async with aclosing(results) if bare else results as documents:
            async for document in documents:
                assert len(seen) < 2
                seen.append(document.doc_id)
    assert seen == ["0", "1"]


async def test_results_can_be_iterated_without_a_block() -> None:
    pipeline = IngestionPipeline(ScriptedAdapter([1, 2]))
    assert [d.doc_id async for d in pipeline.iter_results()] == ["0", "1"]
    results = pipeline.iter_results()
    assert (await anext(results)).doc_id == "0"
    await results.aclose()


async def test_results_can_be_drained_paused_and_asked_like_a_stream(
    autojump_clock: trio.abc.Clock,
) -> None:
    adapter, seen = ScriptedAdapter(range(1_000)), 0
    async with IngestionPipeline(adapter).iter_results(buffer_size=4) as results:
        async for _ in results:
            seen += 1
            if seen == 5:
                results.pause()
                assert results.checkpoint().positions[0].watermark == 4
                assert results.statistics().completed >= 5
                results.resume()
            if seen == 10:
                results.drain()
    assert 10 <= seen < 20
    assert results.checkpoint().positions[0].watermark == seen


async def test_bare_results_refuse_what_a_bare_stream_refuses() -> None:
    results = IngestionPipeline(Plain()).iter_results()
    for use in (results.drain, results.pause, results.resume):
        with pytest.raises(SetupError, match="async with"):
            use()


async def test_results_are_one_run() -> None:
    results = IngestionPipeline(Plain()).iter_results()
    assert len([d async for d in results]) == 3
    with pytest.raises(StreamClosedError):
        async for _ in results:
            pytest.fail("a document of a second run")


@pytest.mark.parametrize("name", ["event_filter", "event_transformer", "bufer_size"])
async def test_option_that_is_not_theirs_is_refused_by_name(name: str) -> None:
    pipeline = IngestionPipeline(Plain())
    options: dict[str, Any] = {name: None}
    with pytest.raises(SetupError, match=rf"no option {name}.*stream_events alone"):
        pipeline.iter_results(**options)
    with pytest.raises(SetupError, match=rf"no option {name}.*stream_events alone"):
        await pipeline.run_async(**options)


# -- run_async -------------------------------------------------------------------------


@given(cases(bare=False, crash=False))
def test_eager_result_is_what_the_stream_says_sorted_by_adapter(case: Case) -> None:
    played = run(play, case)
    pipeline = case.pipeline(case.adapters())

    async def main() -> Any:
        return await pipeline.run_async(**case.options())

    result = run(main)
    sources = [f"source{n}" for n in range(len(case.scripts))]
    completed = [e for e in played.events if isinstance(e, DocumentCompleted)]
    failed = [e for e in played.events if isinstance(e, DocumentFailed)]

    def key(document: Document) -> tuple[str, str]:
        return document.source, document.doc_id

    if case.workers == 1 or case.ordered:
        wanted = [e.document for s in sources for e in completed if e.document.source == s]
        errors = [e.record_number for s in sources for e in failed if e.adapter == s]
        assert result.documents == wanted
        assert [e.record_number for e in result.errors] == errors
    assert sorted(map(key, result.documents)) == sorted(key(e.document) for e in completed)
    assert [e.adapter for e in result.errors] == sorted(e.adapter for e in failed)
    assert (result.success_count, result.failure_count) == (len(completed), len(failed))


async def test_order_of_the_result_is_that_of_the_adapters_and_not_of_time(
    autojump_clock: trio.abc.Clock,
) -> None:
    slow = ScriptedAdapter([SlowParse(5), Fail(), Pause(5), 1], source="z slow")
    fast = ScriptedAdapter([1, Fail(), 2], source="a fast")
    result = await IngestionPipeline(slow, fast, clock=trio.current_time).run_async()
    assert [(d.source, d.doc_id) for d in result.documents] == [
        ("z slow", "0"),
        ("z slow", "3"),
        ("a fast", "0"),
        ("a fast", "2"),
    ]
    assert [(e.adapter, e.record_number) for e in result.errors] == [
        ("z slow", 1),
        ("a fast", 1),
    ]
    assert (result.success_count, result.failure_count) == (4, 2)
    assert result.completed_at - result.started_at == pytest.approx(10)


async def test_documents_without_a_source_of_their_own_keep_the_adapters_order() -> None:
    class Nameless(Plain):
        def parse(self, record: Any) -> Document:
            return Document(f"{self.source}{record}", "elsewhere", "")

    result = await IngestionPipeline(Nameless("a"), Nameless("b")).run_async()
    assert [d.doc_id for d in result.documents] == ["a0", "a1", "a2", "b0", "b1", "b2"]


async def test_dead_adapter_says_how_much_was_discarded() -> None:
    dead = ScriptedAdapter([1, 2, Crash(OSError("gone"))], source="dead")
    alive = ScriptedAdapter([1, Fail(), 3], source="alive")
    with pytest.raises(OSError, match="gone") as caught:
        await IngestionPipeline(dead, alive).run_async()
    notes = caught.value.__notes__
    assert "4 documents completed and were discarded: use stream_events" in notes
    assert any("'dead', after 2 records" in note for note in notes)


async def test_several_dead_adapters_say_it_together() -> None:
    adapters = [ScriptedAdapter([1, Crash(OSError(s))], source=s) for s in "ab"]
    with pytest.RaisesGroup(OSError, OSError) as caught:
        await IngestionPipeline(*adapters).run_async()
    assert [str(e) for e in caught.value.exceptions] == ["a", "b"]
    assert caught.value.__notes__ == [
        "2 documents completed and were discarded: use stream_events"
    ]


async def test_mistake_in_the_options_discards_nothing_and_says_nothing_of_it() -> None:
    with pytest.raises(SetupError) as caught:
        await IngestionPipeline(Plain()).run_async(buffer_size=0)
    assert not getattr(caught.value, "__notes__", [])


class Many(Plain):
    async def fetch(self) -> AsyncIterator[Any]:
        for _ in range(self.count):
            yield DOCUMENT

    def parse(self, record: Document) -> Document:
        return record


DOCUMENT = Document("same", "plain", "")


async def test_eager_run_warns_once_when_it_holds_too_many_documents() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = await IngestionPipeline(Many(count=EAGER_LIMIT + 500)).run_async()
    assert result.success_count == EAGER_LIMIT + 500
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert "10000" in str(warning.message)
    assert "stream_events or iter_results" in str(warning.message)


async def test_eager_run_of_ten_thousand_documents_is_no_reason_to_warn() -> None:
    result = await IngestionPipeline(Many(count=EAGER_LIMIT)).run_async()
    assert result.success_count == EAGER_LIMIT == 10_000


async def test_cancelled_eager_run_closes_everything(autojump_clock: trio.abc.Clock) -> None:
    adapter = ScriptedAdapter([1, Pause(100), 2])
    with trio.move_on_after(5) as scope:
        await IngestionPipeline(adapter).run_async()
    assert scope.cancelled_caught
    assert adapter.opened == adapter.closed == 1
