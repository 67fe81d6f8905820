"""What a person in a notebook, a debugger or a log sees of our objects: one short line."""

from __future__ import annotations

import html.parser
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.promises.adapters import Plain
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
    PipelineResult,
    Position,
    StreamStatistics,
)
from trio_ingest.delivery import DeliveryReport, Totals
from trio_ingest.serialization import UnknownEvent
from trio_ingest.testing import Crash, Fail, ScriptedAdapter

STAMPS: dict[str, Any] = {"timestamp": 1.5, "pipeline_id": "0" * 32, "sequence": 7}


class Feed(ScriptedAdapter):
    """One document that fails among good ones."""

    def __init__(self, *steps: Any, source: str = "feed") -> None:
        super().__init__(steps or (1, Fail(), 3), source=source)


class Unprintable:
    """Every way of asking for its text raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no text")

    __str__ = __repr__

    def __bool__(self) -> bool:
        raise RuntimeError("no truth")


class Lines:
    def __repr__(self) -> str:
        return "one\ntwo\x1b[31m\x00\u2028three\ud800"


def started(**changes: Any) -> DocumentStarted:
    fields: dict[str, Any] = {"doc_id": "doc-1", "adapter": "feed", "parameters": {}}
    return DocumentStarted(**STAMPS | fields | {"record_number": 3} | changes)


def completed(**changes: Any) -> DocumentCompleted:
    fields: dict[str, Any] = {
        "document": Document("doc-1", "feed", "text"),
        "duration": 0.1,
        "adapter_metadata": {},
        "record_number": 3,
        "retry_count": 0,
    }
    return DocumentCompleted(**STAMPS | fields | changes)


def failed(**changes: Any) -> DocumentFailed:
    fields: dict[str, Any] = {
        "doc_id": "doc-1",
        "error": "no date",
        "error_type": "ValueError",
        "retry_count": 0,
        "is_retryable": False,
        "traceback": "Traceback ...",
        "adapter": "feed",
        "record_number": 3,
        "raw": "a record",
    }
    return DocumentFailed(**STAMPS | fields | changes)


def skipped(**changes: Any) -> DocumentSkipped:
    fields: dict[str, Any] = {"doc_id": "doc-1", "adapter": "feed", "record_number": 3}
    return DocumentSkipped(**STAMPS | fields | {"reason": "already completed"} | changes)


def retrying(**changes: Any) -> DocumentRetrying:
    fields: dict[str, Any] = {
        "doc_id": "doc-1",
        "adapter": "feed",
        "error": "busy",
        "error_type": "OSError",
        "retry_count": 2,
        "delay_seconds": 0.75,
        "record_number": 3,
    }
    return DocumentRetrying(**STAMPS | fields | changes)


def progress(**changes: Any) -> BatchProgress:
    names = {field.name: 0 for field in attrs.fields(BatchProgress)} | STAMPS
    nothing: dict[str, Any] = dict.fromkeys(["estimated_total", "eta_seconds", "checkpoint"])
    fields = {"completed": 1204, "failed": 3, "in_flight": 2}
    return BatchProgress(**names | nothing | fields | changes)


def state_change(**changes: Any) -> AdapterStateChange:
    fields: dict[str, Any] = {
        "adapter": "feed",
        "old_state": "pending",
        "new_state": "running",
        "reason": None,
    }
    return AdapterStateChange(**STAMPS | fields | changes)


@attrs.frozen(kw_only=True)
class PageRead(PipelineEvent):
    page: int


def the_document(**fields: Any) -> Document:
    return Document(**{"doc_id": "doc-1", "source": "feed", "content": "text"} | fields)


def the_position(**fields: Any) -> Position:
    return Position(**{"source": "feed", "parameters": "{}"} | fields)


def checkpoint_of(**fields: Any) -> Checkpoint:
    return Checkpoint((the_position(**fields),))


def result_of(**fields: Any) -> PipelineResult:
    numbers = {"success_count": 1204, "failure_count": 3, "started_at": 2.0}
    lists: dict[str, Any] = {"documents": [], "errors": []}
    return PipelineResult(**lists | numbers | {"completed_at": 14.25} | fields)


def statistics_of(**fields: Any) -> StreamStatistics:
    zeros: dict[str, Any] = {f.name: 0 for f in attrs.fields(StreamStatistics)}
    numbers = {"completed": 1204, "failed": 3, "queue_depth": 40, "buffer_size": 100}
    return StreamStatistics(**zeros | numbers | fields)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (PipelineEvent(**STAMPS), "<PipelineEvent 7>"),
        (started(), "<DocumentStarted 7 'doc-1'>"),
        (completed(), "<DocumentCompleted 7 'doc-1'>"),
        (failed(), "<DocumentFailed 7 'doc-1': ValueError: no date>"),
        (failed(doc_id=None), "<DocumentFailed 7 'feed#3': ValueError: no date>"),
        (
            failed(error="no\ndate"),
            "<DocumentFailed 7 'doc-1': ValueError: no\\ndate>",
        ),
        (skipped(), "<DocumentSkipped 7 'doc-1': already completed>"),
        (retrying(), "<DocumentRetrying 7 'doc-1', retry 2 in 0.75 s: OSError: busy>"),
        (progress(), "<BatchProgress 7: 1,204 completed, 3 failed, 2 in flight>"),
        (
            progress(completed=9, estimated_total=5000, eta_seconds=61.7),
            "<BatchProgress 7: 9 completed, 3 failed, 2 in flight, 5,000 expected, 62 s left>",
        ),
        (state_change(), "<AdapterStateChange 7 'feed': pending -> running>"),
        (
            state_change(new_state="failed", reason="OSError: gone"),
            "<AdapterStateChange 7 'feed': pending -> failed (OSError: gone)>",
        ),
        (PageRead(page=3, **STAMPS), "PageRead(sequence=7, page=3)"),
        (UnknownEvent(fields={"type": "Odd"}, **STAMPS), "<UnknownEvent 7>"),
        (result_of(), "<PipelineResult: 1,204 documents, 3 errors, 12.2 s>"),
        (
            statistics_of(skipped=2),
            "<StreamStatistics: 1,204 completed, 3 failed, 2 skipped, buffer 40/100>",
        ),
        (
            DeliveryReport(
                checkpoint=Checkpoint(()), totals={"db": Totals(completed=1204, failed=3)}
            ),
            "<DeliveryReport 'db': 1,204 delivered, 3 bad>",
        ),
    ],
    ids=str,
)
def test_one_readable_line(value: object, text: str) -> None:
    assert repr(value) == text


@pytest.mark.parametrize(
    "value",
    [
        the_document(raw=b"x", metadata={"size": 3}),
        Cursor({"page": 7}),
        checkpoint_of(ended=((3, 4), (8, 9)), watermark=2, cursor=[1], cursor_record=1),
    ],
)
def test_plain_data_can_be_evaluated(value: object) -> None:
    names = {"Document": Document, "Cursor": Cursor} | {
        "Checkpoint": Checkpoint,
        "Position": Position,
    }
    assert eval(repr(value), names) == value


MAKERS: list[tuple[Callable[..., Any], tuple[str, ...]]] = [
    (started, ("doc_id", "adapter", "parameters", "sequence")),
    (completed, ("document", "adapter_metadata", "sequence")),
    (failed, ("doc_id", "error", "error_type", "adapter", "raw", "traceback", "sequence")),
    (skipped, ("doc_id", "reason", "sequence")),
    (retrying, ("doc_id", "error", "error_type", "delay_seconds", "retry_count")),
    (progress, ("completed", "estimated_total", "eta_seconds", "checkpoint")),
    (state_change, ("adapter", "old_state", "new_state", "reason")),
    (the_document, ("doc_id", "source", "content", "raw", "metadata")),
    (the_position, ("source", "parameters", "ended", "cursor")),
    (checkpoint_of, ("source", "parameters", "ended", "cursor")),
    (Cursor, ("value",)),
    (result_of, ("documents", "errors", "success_count", "completed_at")),
    (statistics_of, ("completed", "queue_depth")),
]
CASES = [
    pytest.param(make, field, id=f"{make.__name__}-{field}")
    for make, fields in MAKERS
    for field in fields
]
HOSTILE = {
    "unprintable": Unprintable(),
    "megabyte": "x" * 1_000_000,
    "items": list(range(100_000)),
    "lines": Lines(),
    "text": "one\ntwo\x1b[31m\x00\u2028three\ud800",
    "number": 10**300,
    "not": float("nan"),
    "error": ValueError("x\n" * 500_000),
}


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize(("make", "field"), CASES)
def test_hostile_values_neither_raise_nor_fill_the_screen(
    make: Callable[..., Any], field: str, hostile: str
) -> None:
    text = repr(make(**{field: HOSTILE[hostile]}))
    assert text.isprintable()
    assert len(text) < 800


def test_half_made_event_has_a_repr() -> None:
    assert repr(DocumentFailed.__new__(DocumentFailed)) == "<DocumentFailed>"


def test_pipeline_says_its_sources_and_its_workers() -> None:
    feed, pages = Feed(), Feed(source="pages")
    assert repr(IngestionPipeline(feed)) == "<IngestionPipeline 'feed': 1 worker>"
    four = IngestionPipeline(feed, pages, workers=4)
    assert repr(four) == "<IngestionPipeline 'feed', 'pages': 4 workers, ordered>"
    unordered = IngestionPipeline(feed, workers=4, ordered=False)
    assert repr(unordered) == "<IngestionPipeline 'feed': 4 workers, unordered>"
    many = IngestionPipeline(*(Feed(source=f"{n}\n" + "x" * 99) for n in range(12)))
    assert repr(many).endswith(" and 9 more: 1 worker>")
    assert len(repr(many)) < 200
    assert repr(many).isprintable()


async def test_stream_says_where_it_is() -> None:
    stream = IngestionPipeline(Feed()).stream_events(buffer_size=50)
    assert repr(stream) == "<EventStream not started>"
    async with stream as events:
        await trio.testing.wait_all_tasks_blocked()
        waiting = events.statistics().queue_depth
        assert repr(stream) == (
            f"<EventStream running: 2 completed, 1 failed, buffer {waiting}/50>"
        )
        async for _ in events:
            pass
        assert repr(stream) == "<EventStream finished: 2 completed, 1 failed>"
    assert repr(stream) == "<EventStream finished: 2 completed, 1 failed>"


async def test_stream_says_that_it_is_paused_or_draining() -> None:
    async with IngestionPipeline(Plain(count=5)).stream_events(buffer_size=4) as events:
        events.pause()
        assert repr(events).startswith("<EventStream paused: 0 completed, 0 failed, buffer ")
        events.resume()
        assert repr(events).startswith("<EventStream running: ")
        events.drain()
        events.pause()
        events.resume()
        assert repr(events).startswith("<EventStream draining: ")
    assert repr(events) == "<EventStream closed: 0 completed, 0 failed>"


@pytest.mark.parametrize("bare", [False, True])
async def test_stream_says_that_it_failed(bare: bool) -> None:
    stream = IngestionPipeline(Feed(1, Crash(OSError("gone")))).stream_events()
    with pytest.raises(OSError, match="gone"):
        if bare:
            async for _ in stream:
                pass
        else:
            async with stream as events:
                async for _ in events:
                    pass
    assert repr(stream) == "<EventStream failed: 1 completed, 0 failed>"


async def test_cancelled_stream_is_closed() -> None:
    async with IngestionPipeline(Plain()).stream_events() as events:
        with trio.CancelScope() as scope:
            scope.cancel()
            await anext(events)
    assert repr(events).startswith("<EventStream closed: ")


async def test_bare_form_says_where_it_is() -> None:
    stream = IngestionPipeline(Feed()).stream_events()
    async for event in stream:
        if isinstance(event, DocumentFailed):
            assert repr(stream) == (
                "<EventStream running in the bare form: 1 completed, 1 failed>"
            )
    assert repr(stream) == "<EventStream finished: 2 completed, 1 failed>"
    left = IngestionPipeline(Feed()).stream_events()
    await anext(left)
    await left.aclose()
    assert repr(left) == "<EventStream closed: 0 completed, 0 failed>"
    unused = IngestionPipeline(Feed()).stream_events()
    await unused.aclose()
    assert repr(unused) == "<EventStream closed>"


async def test_documents_say_the_same_of_themselves() -> None:
    documents = IngestionPipeline(Feed()).iter_results()
    assert repr(documents) == "<DocumentStream not started>"
    async with documents:
        assert len([document async for document in documents]) == 2
    assert repr(documents) == "<DocumentStream finished: 2 completed, 1 failed>"
    assert "<caption>DocumentStream finished</caption>" in documents._repr_html_()


@pytest.mark.parametrize("show", [repr, lambda events: events._repr_html_()])
async def test_looking_at_a_stream_changes_nothing(show: Callable[[Any], str]) -> None:
    async def seen(look: Callable[[Any], object]) -> list[Any]:
        told: list[Any] = []
        pipeline = IngestionPipeline(Plain(count=20), new_pipeline_id=lambda: "", clock=float)
        async with pipeline.stream_events(buffer_size=3) as events:
            async for event in events:
                look(events)
                told.append((event.sequence, type(event), events.checkpoint()))
        return told

    assert await seen(show) == await seen(id)


class Cells(html.parser.HTMLParser):
    """Refuses what is not one table, and collects its texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"table", "caption", "tr", "th", "td"}
        assert attrs == []

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def cells_of(value: Any) -> list[str]:
    cells = Cells()
    cells.feed(value._repr_html_())
    return cells.texts


def test_tables_are_small_and_escaped() -> None:
    bad = failed(error="<script>alert('&')</script>")
    assert cells_of(result_of(errors=[bad] * 100)) == [
        *("PipelineResult", "documents", "1,204", "errors", "3"),
        *["<DocumentFailed 7 'doc-1': ValueError: <script>alert('&')</script>>"] * 5,
    ]
    assert cells_of(statistics_of())[:3] == ["StreamStatistics", "queue_depth", "40"]
    totals = {"<b>": Totals(completed=1204, failed=3, rejected=4)}
    report = DeliveryReport(checkpoint=Checkpoint(()), totals=totals)
    assert cells_of(report)[-4:] == ["<b>", "1,200", "3", "4"]


async def test_table_of_a_stream_has_its_numbers() -> None:
    stream = IngestionPipeline(Feed()).stream_events()
    assert cells_of(stream) == ["EventStream not started"]
    events: AsyncIterator[PipelineEvent] = aiter(stream)
    await anext(events)
    cells = cells_of(stream)
    assert cells[0] == "EventStream running in the bare form"
    assert cells[cells.index("in_flight") + 1] == "0"
    await stream.aclose()
