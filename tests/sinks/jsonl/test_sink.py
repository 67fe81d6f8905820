"""What the JSON Lines sink writes, rejects and remembers."""

import json
import threading
from collections import UserDict, namedtuple
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from tests.sinks.batches import batch_of, document, failure
from trio_ingest import (
    Checkpoint,
    CheckpointError,
    Document,
    DocumentCompleted,
    IngestionPipeline,
    SetupError,
)
from trio_ingest.adapters import JsonLinesAdapter
from trio_ingest.delivery import ResumableSink, SinkState, Totals, deliver, resume_point
from trio_ingest.sinks import JsonLinesSink
from trio_ingest.testing import Fail, ScriptedAdapter

Pair = namedtuple("Pair", "line text")  # noqa: PYI024 -- as an adapter of the user's may have it


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def ids_of(path: Path) -> list[str]:
    return [line["doc_id"] for line in lines_of(path)]


def beside(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def sink_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("jsonl:")]


async def test_a_document_is_a_line_of_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        first = document("a", "On cats.\n\u2028", raw={"b": [1]}, metadata={"größe": None})
        assert await sink.write(batch_of([first, document("b")])) == []
    assert path.read_text("utf-8").split("\n") == [
        (
            '{"doc_id": "a", "source": "feed", "content": "On cats.\\n\u2028", '
            '"raw": {"b": [1]}, "metadata": {"größe": null}}'
        ),
        '{"doc_id": "b", "source": "feed", "content": "text", "raw": null, "metadata": {}}',
        "",
    ]


async def test_raw_can_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path, keep_raw=False) as sink:
        assert await sink.write(batch_of([document("a", raw=b"\xff")])) == []
    assert list(lines_of(path)[0]) == ["doc_id", "source", "content", "metadata"]


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        ("text", "text"),
        ("größe".encode(), "größe"),
        (bytearray(b"{}"), "{}"),
        (1.5, 1.5),
        (Pair(7, "x"), [7, "x"]),
        (UserDict({"a": UserDict({"b": 1})}), {"a": {"b": 1}}),
    ],
)
async def test_raw_is_written_as_json(tmp_path: Path, raw: Any, written: Any) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        assert await sink.write(batch_of([document("a", raw=raw)])) == []
    assert lines_of(path)[0]["raw"] == written


class Hostile(UserDict[str, Any]):
    """Fails when it is looked at, with an exception that fails as well."""

    def __iter__(self) -> Any:
        class Sulk(Exception):
            def __str__(self) -> str:
                raise ValueError

        raise Sulk


def endless() -> dict[str, Any]:
    loop: dict[str, Any] = {}
    loop["again"] = [loop]
    return loop


BAD_DOCUMENTS: list[tuple[str, Document, str]] = [
    ("half a pair in the id", document("\ud800"), r"half of a surrogate pair (\ud800)"),
    ("half a pair in the content", document("x", "\udc00"), "half of a surrogate pair"),
    ("half a pair in the metadata", document("x", metadata={"a": "\ud800"}), "surrogate"),
    (
        "metadata without a JSON form",
        document("x", metadata={"a": {1}}),
        "a set is no JSON value",
    ),
    ("metadata that is infinite", document("x", metadata={"a": 1e999}), "no JSON form"),
    ("metadata with such a key", document("x", metadata={(1, 2): 1}), "no JSON form"),
    ("metadata that holds itself", document("x", metadata=endless()), "holds itself"),
    ("metadata that fails", document("x", metadata=Hostile()), "no JSON form: Sulk"),
    ("raw without a JSON form", document("x", raw=object()), "an object is no JSON value"),
    ("raw of other bytes", document("x", raw=b"\xff"), "keep_raw=False leaves raw out"),
    ("raw too long for text", document("x", raw=10**5000), "no JSON form"),
    ("no content", Document("x", "feed", None), "Its content is not text"),  # type: ignore[arg-type]
    ("no source", Document("x", 7, ""), "Its source is not text"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(
    ("bad", "why"),
    [case[1:] for case in BAD_DOCUMENTS],
    ids=[case[0] for case in BAD_DOCUMENTS],
)
async def test_a_bad_document_is_rejected_and_its_batch_is_kept(
    tmp_path: Path, bad: Document, why: str
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        [rejection] = await sink.write(batch_of([document("a"), bad, document("b")]))
        stored = await sink.load()
    assert rejection.document is bad
    assert why in rejection.reason
    assert ids_of(path) == ["a", "b"]
    assert stored is not None
    assert stored.totals == Totals(completed=3, rejected=1)
    [letter] = lines_of(beside(path, "failed"))
    assert (letter["error_type"], letter["error"]) == ("Rejected", rejection.reason)


async def test_metadata_nested_too_deeply_is_rejected(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
        [rejection] = await sink.write(batch_of([document("x", metadata={"deep": deep})]))
        assert "nests values too deeply" in rejection.reason
    while deep:
        # Taken apart by hand: comparing or freeing it would recurse as well.
        [deep] = deep


async def test_dead_letters_are_lines_beside_the_output_once_there_are_any(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
        assert not beside(path, "failed").exists()
        failures = [failure(1, raw={"b": 1}), failure(2, ValueError("\ud800"), raw="\udc00")]
        batch = batch_of(failed=failures, before=Totals(completed=1))
        await sink.write(batch)
    letters = lines_of(beside(path, "failed"))
    assert [letter["record_number"] for letter in letters] == [1, 2]
    assert letters == [attrs.asdict(letter) for letter in batch.dead_letters()]


async def test_the_adapter_reads_it_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    documents = [
        document("a", "größe\r\n\0\u2029", metadata={"year": 1979}),
        document("1.50", "", raw="{}"),
    ]
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of(documents))
    adapter = JsonLinesAdapter(path, id_field="doc_id", content_field="content")
    async with IngestionPipeline(adapter).stream_events() as events:
        found = [e.document async for e in events if isinstance(e, DocumentCompleted)]
    assert [(d.doc_id, d.content, d.metadata) for d in found] == [
        (d.doc_id, d.content, {"source": "feed", "raw": d.raw, "metadata": d.metadata})
        for d in documents
    ]


async def test_what_was_committed_is_remembered_by_the_next_object(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first = batch_of([document("a")], failed=[failure(1)])
    async with JsonLinesSink(path) as sink:
        assert isinstance(sink, ResumableSink)
        assert await sink.load() is None
        await sink.write(first)
        assert await sink.load() == first.delivered()
    second = batch_of([document("b")], before=first.delivered().totals)
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == first.delivered()
        await sink.write(second)
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == second.delivered()
    assert ids_of(path) == ["a", "b"]


async def test_a_batch_without_news_for_the_file_stores_its_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
        before = path.read_bytes()
        last = batch_of(checkpoint=Checkpoint(()), before=Totals(completed=1))
        await sink.write(last)
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == SinkState(Checkpoint(()), Totals(completed=1))
    assert path.read_bytes() == before


async def test_a_job_can_begin_again(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")], failed=[failure(1)]))
        await sink.forget()
        assert await sink.load() is None
        assert path.read_bytes() == beside(path, "failed").read_bytes() == b""
        await sink.write(batch_of([document("b")], failed=[failure(1)]))
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == batch_of([document("b")], failed=[failure(1)]).delivered()
    assert ids_of(path) == ["b"]
    assert len(lines_of(beside(path, "failed"))) == 1


async def test_a_stopped_delivery_goes_on_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    script = [Fail() if number % 5 == 4 else number for number in range(40)]

    class Stop(Exception):
        pass

    def stop_after(count: int) -> Any:
        def look(report: Any) -> None:
            nonlocal count
            count -= 1
            if count == 0:
                raise Stop

        return look

    while True:
        async with JsonLinesSink(path) as sink:
            stream = IngestionPipeline(ScriptedAdapter(script)).stream_events(
                resume_from=await resume_point(sink), progress_interval=3
            )
            try:
                report = await deliver(stream, sink, batch_size=3, on_commit=stop_after(2))
            except Stop:
                continue
            break
    assert report.checkpoint.finished
    assert report.bad == 8
    assert ids_of(path) == [str(number) for number in range(40) if number % 5 != 4]
    letters = lines_of(beside(path, "failed"))
    assert [letter["record_number"] for letter in letters] == list(range(4, 40, 5))


async def test_a_job_that_is_there_is_not_begun_again_unasked(tmp_path: Path) -> None:
    pipeline = IngestionPipeline(ScriptedAdapter(["a"]))
    async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
        await deliver(pipeline.stream_events(), sink)
        with pytest.raises(CheckpointError, match=r"await sink\.forget\(\)"):
            await deliver(pipeline.stream_events(), sink)


async def test_a_sink_is_used_inside_its_block_and_in_one_at_a_time(tmp_path: Path) -> None:
    sink = JsonLinesSink(tmp_path / "out.jsonl")
    for call in (sink.load, sink.forget, lambda: sink.write(batch_of())):
        with pytest.raises(SetupError, match="is not open"):
            await call()
    for _ in range(2):
        async with sink:
            with pytest.raises(SetupError, match="is open already"):
                async with sink:
                    pytest.fail("it opened twice")
            await sink.write(batch_of())
            assert sink_threads()
        assert sink_threads() == []
    assert sink.name == f"jsonl:{tmp_path / 'out.jsonl'}"
    assert sink.guarantee == "exactly-once"


async def test_cancelled_in_a_write_the_batch_is_whole_and_the_thread_is_gone(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.jsonl"
    began, go_on = threading.Event(), threading.Event()

    class Slow(UserDict[str, Any]):
        def __iter__(self) -> Any:
            began.set()
            go_on.wait()
            return super().__iter__()

    async with JsonLinesSink(path) as sink, trio.open_nursery() as nursery:
        batch = batch_of([document("a"), document("b", metadata=Slow())])
        nursery.start_soon(sink.write, batch)
        await trio.to_thread.run_sync(began.wait)
        nursery.cancel_scope.cancel()
        go_on.set()
    assert sink_threads() == []
    assert ids_of(path) == ["a", "b"]
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == batch.delivered()


async def test_cancelled_before_a_write_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        with trio.CancelScope() as scope:
            scope.cancel()
            await sink.write(batch_of([document("a")]))
        assert await sink.load() is None
    assert path.read_bytes() == b""
