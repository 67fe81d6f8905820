"""What the SQLite sink stores and rejects, and how it is opened and left."""

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import anyio
import pytest
import trio
import trio.testing

from tests.sinks.batches import batch_of, document, in_database
from trio_ingest import Document, SetupError
from trio_ingest.delivery import ResumableSink, Sink, Totals
from trio_ingest.sinks import SqliteSink
from trio_ingest.sinks.sqlite._rows import rows_of


def stored_in(path: Path, columns: str = "*") -> list[tuple[Any, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(
            f"SELECT {columns} FROM documents ORDER BY doc_id"
        ).fetchall()
    finally:
        connection.close()


def owner_threads() -> list[str]:
    return [
        thread.name for thread in threading.enumerate() if thread.name.startswith("sqlite:")
    ]


async def test_it_is_a_sink_that_remembers(tmp_path: Path) -> None:
    sink: Sink = SqliteSink(tmp_path / "a.db")
    assert isinstance(sink, ResumableSink)
    assert sink.guarantee == "exactly-once"
    assert sink.name == f"sqlite:{tmp_path / 'a.db'}"
    assert SqliteSink("a.db", job="nightly").name == "sqlite:a.db#nightly"


async def test_a_document_is_a_row(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        first = document("a", "On cats.", raw="{}", metadata={"größe": [1, None]})
        assert await sink.write(batch_of([first, document("b")])) == []
    assert stored_in(path) == [
        (1, "a", "feed", "On cats.", "{}", '{"größe": [1, null]}'),
        (2, "b", "feed", "text", None, "{}"),
    ]


class Whole(int):
    pass


class Words(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("raw", "stored"),
    [
        (None, None),
        ("text", "text"),
        (Words("words"), "words"),
        (b"\xff\x00", b"\xff\x00"),
        (7, 7),
        (Whole(7), 7),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        (1.5, 1.5),
        (float("-inf"), float("-inf")),
        ({"a": [1]}, '{"a": [1]}'),
        (MappingProxyType({"a": MappingProxyType({})}), '{"a": {}}'),
        (("x",), '["x"]'),
        ("nul\0inside", "nul\0inside"),
    ],
)
async def test_raw_is_stored_as_it_is_or_as_json(
    tmp_path: Path, raw: Any, stored: Any
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        assert await sink.write(batch_of([document("a", raw=raw)])) == []
    assert stored_in(path, "raw") == [(stored,)]


@pytest.mark.parametrize(
    ("metadata", "stored"),
    [
        ({}, "{}"),
        (MappingProxyType({}), "{}"),
        (MappingProxyType({"a": (1,)}), '{"a": [1]}'),
        ({"nul": "\0"}, '{"nul": "\\u0000"}'),
    ],
)
async def test_metadata_is_any_mapping_and_stored_as_json(
    tmp_path: Path, metadata: Mapping[str, Any], stored: str
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        assert await sink.write(batch_of([document("a", metadata=metadata)])) == []
    assert stored_in(path, "metadata") == [(stored,)]


async def test_text_with_nul_characters_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write(batch_of([document("a\0", "x\0y"), document("a", "z")]))
    assert stored_in(path, "doc_id, content") == [("a", "z"), ("a\0", "x\0y")]


class Hostile(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise LookupError(key)

    def __iter__(self) -> Iterator[str]:
        raise OSError("the mapping is gone")

    def __len__(self) -> int:
        return 1


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Muted(Hostile):
    def __iter__(self) -> Iterator[str]:
        raise Mute


def odd(
    doc_id: Any = "x", source: Any = "feed", content: Any = "text", **rest: Any
) -> Document:
    return Document(doc_id, source, content, **rest)


BAD_DOCUMENTS: list[tuple[str, Document, str]] = [
    (
        "half a pair in the id",
        odd("\ud800"),
        r"its doc_id holds half of a surrogate pair (\ud",
    ),
    ("half a pair in the content", odd(content="\udc00"), "its content holds half"),
    ("half a pair in the metadata", odd(metadata={"a": "\ud800"}), "its metadata holds half"),
    ("half a pair in the raw", odd(raw="\ud800"), "its raw holds half"),
    ("metadata without a JSON form", odd(metadata={"a": {1}}), "its metadata has no JSON"),
    ("metadata with odd keys", odd(metadata={(1,): 1}), "its metadata has no JSON form"),
    ("metadata that is infinite", odd(metadata={"a": 1e999}), "its metadata has no JSON form"),
    ("metadata that fails", odd(metadata=Hostile()), "no JSON form: the mapping is gone."),
    ("metadata that fails without a word", odd(metadata=Muted()), "no JSON form: Mute."),
    ("no metadata", odd(metadata=None), "its metadata is None, and must be a mapping"),
    ("metadata in a list", odd(metadata=[]), "its metadata is a list, and must be a mapping"),
    ("raw without a JSON form", odd(raw=object()), "its raw has no JSON form: an object is"),
    ("raw that fails", odd(raw=Hostile()), "its raw has no JSON form: the mapping is gone."),
    ("raw beyond 64 bits", odd(raw=2**63), "too large for SQLite's 64 bits"),
    ("raw below 64 bits", odd(raw=-(2**63) - 1), "too large for SQLite's"),
    ("raw that is not a number", odd(raw=float("nan")), "its raw is NaN"),
    ("no content", odd(content=None), "its content is None, and must be text"),
    ("content of no type", odd(content=object()), "its content is an object, and must be"),
    ("content in bytes", odd(content=b"x"), "its content is a bytes, and must be text"),
    ("no source", odd(source=None), "its source is None, and must be text"),
]


@pytest.mark.parametrize(
    ("bad", "why"),
    [case[1:] for case in BAD_DOCUMENTS],
    ids=[case[0] for case in BAD_DOCUMENTS],
)
@pytest.mark.parametrize("duplicates", ["replace", "keep", "fail", "allow"])
async def test_a_bad_document_is_rejected_and_its_batch_is_kept(
    tmp_path: Path, bad: Document, why: str, duplicates: Any
) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path, duplicates=duplicates) as sink:
        [rejection] = await sink.write(batch_of([document("a"), bad, document("b")]))
        delivered = await sink.load()
    # Not compared: NaN equals nothing, and a hostile mapping raises.
    assert rejection.document is bad
    assert why in rejection.reason
    assert rejection.reason.endswith(".")
    assert stored_in(path, "doc_id") == [("a",), ("b",)]
    assert delivered is not None
    assert delivered.totals == Totals(completed=3, rejected=1)


def test_an_id_that_is_no_text_is_no_row() -> None:
    # The engine lets none through, so no dead letter has to name one.
    rows, unfit = rows_of([document("a"), odd(7)])
    assert [row[0] for row in rows] == ["a"]
    assert unfit == {1: "its doc_id is an int, and must be text."}


async def test_bad_documents_of_both_kinds_are_told_apart(tmp_path: Path) -> None:
    # Some are found while rows are made, others by SQLite, which has fewer rows to count.
    path = tmp_path / "documents.db"
    bad = {
        "1": document("1", metadata={"a": {1}}),
        "3": document("3", "\ud800"),
        "4": document("4", raw=float("nan")),
        "6": document("6", "\ud800"),
    }
    documents = [bad.get(name, document(name)) for name in "01234567"]
    async with SqliteSink(path) as sink:
        rejections = await sink.write(batch_of(documents))
    assert {r.document.doc_id: r.reason[:8] for r in rejections} == {
        "1": "its meta",
        "3": "its cont",
        "4": "its raw ",
        "6": "its cont",
    }
    assert stored_in(path, "doc_id") == [("0",), ("2",), ("5",), ("7",)]


async def test_metadata_nested_too_deeply_is_rejected(tmp_path: Path) -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    async with SqliteSink(tmp_path / "documents.db") as sink:
        [rejection] = await sink.write(batch_of([document("x", metadata={"deep": deep})]))
        assert "its metadata nests values too deeply" in rejection.reason
    while deep:
        # Taken apart by hand: comparing or freeing it would recurse as well.
        [deep] = deep


async def test_a_value_too_long_for_sqlite_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        # The limit belongs to the connection, which only the sink has.
        await in_database(sink, lambda c: c.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000))
        batch = batch_of([document("a"), document("b", "x" * 2000)])
        [rejection] = await sink.write(batch)
    assert "too long: this database holds 1,000 bytes a row at most" in rejection.reason
    assert stored_in(path, "doc_id") == [("a",)]


async def test_others_can_read_while_the_sink_is_open(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    async with SqliteSink(path) as sink:
        await sink.write(batch_of([document("a")]))
        assert stored_in(path, "doc_id") == [("a",)]


@pytest.mark.parametrize("name", [":memory:", "file:x.db?mode=memory"])
async def test_a_name_is_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    async with SqliteSink(name) as sink:
        await sink.write(batch_of([document("a")]))
    assert len(stored_in(tmp_path / name)) == 1


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"duplicates": "ignore"}, "duplicates must be 'replace', 'keep', 'fail' or 'allow'"),
        ({"duplicates": ["keep"]}, "duplicates must be"),
        ({"job": ""}, "job must be a text of at least one printable character; got ''"),
        ({"job": "\ud800"}, "job must be a text"),
        ({"job": None}, "job must be a text"),
        ({"busy_timeout_seconds": -1}, "busy_timeout_seconds must be a number between 0 and"),
        ({"busy_timeout_seconds": float("nan")}, "busy_timeout_seconds must be"),
        ({"busy_timeout_seconds": 1e10}, "busy_timeout_seconds must be"),
        ({"busy_timeout_seconds": "5"}, "busy_timeout_seconds must be"),
    ],
)
def test_a_wrong_argument_is_a_setup_error(arguments: dict[str, Any], why: str) -> None:
    with pytest.raises(SetupError) as caught:
        SqliteSink("a.db", **arguments)
    assert why in str(caught.value)


async def test_the_connection_is_only_touched_by_its_own_thread(tmp_path: Path) -> None:
    # sqlite3 itself raises when a second thread touches a connection.
    async with SqliteSink(tmp_path / "documents.db") as sink, trio.open_nursery() as nursery:
        for number in range(20):
            nursery.start_soon(sink.write, batch_of([document(str(number))]))
    assert len(stored_in(tmp_path / "documents.db")) == 20


async def test_a_cancelled_write_is_committed_whole_or_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "documents.db"
    batch = batch_of([document(str(number)) for number in range(5000)])
    async with SqliteSink(path) as sink:
        with trio.CancelScope() as scope:
            scope.cancel()
            await sink.write(batch)
        assert stored_in(path) == []
        assert await sink.load() is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(sink.write, batch)
            # The write is in its thread once it has run up to its first wait.
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert len(stored_in(path)) == 5000
        # The sink knows that it was committed: the next batch builds on it.
        await sink.write(batch_of([document("x")], before=Totals(completed=5000)))
        delivered = await sink.load()
    assert delivered is not None
    assert delivered.totals == Totals(completed=5001)
    assert owner_threads() == []


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError, trio.Cancelled])
async def test_no_thread_and_no_lock_is_left_however_the_block_ends(
    tmp_path: Path, end: type[BaseException]
) -> None:
    path = tmp_path / "documents.db"
    with trio.CancelScope() as scope, pytest.raises(end):
        async with SqliteSink(path) as sink:
            await sink.write(batch_of([document("a")]))
            assert owner_threads() != []
            if end is trio.Cancelled:
                scope.cancel()
                await trio.sleep_forever()
            raise end
    assert owner_threads() == []
    assert os.listdir(tmp_path) == ["documents.db"]  # noqa: PTH208 - the names are all


async def test_a_sink_that_is_not_open_says_how_to_open_it(tmp_path: Path) -> None:
    sink = SqliteSink(tmp_path / "documents.db")
    for call in (lambda: sink.write(batch_of()), sink.load, sink.forget):
        with pytest.raises(SetupError, match="async with SqliteSink"):
            await call()
    async with sink:
        with pytest.raises(SetupError, match="open already"):
            await sink.__aenter__()
        await sink.write(batch_of([document("a")]))
    with pytest.raises(SetupError, match="async with SqliteSink"):
        await sink.write(batch_of())


async def test_a_batch_without_documents_still_brings_its_checkpoint(tmp_path: Path) -> None:
    async with SqliteSink(tmp_path / "documents.db") as sink:
        batch = batch_of()
        assert await sink.write(batch) == []
        assert await sink.load() == batch.delivered()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_both_event_loops(tmp_path: Path, backend: str) -> None:
    path = tmp_path / "documents.db"

    async def store() -> None:
        async with SqliteSink(path) as sink:
            await sink.write(batch_of([document("a")]))

    anyio.run(store, backend=backend)
    assert stored_in(path, "doc_id") == [("a",)]
