"""Whatever failed, its dead letter is plain text that SQLite and UTF-8 JSON can hold."""

from __future__ import annotations

import collections
import dataclasses
import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.delivery.test_batch_and_totals import POINT, completed, failed
from trio_ingest import Document
from trio_ingest._core.errors import message_of
from trio_ingest.delivery import Batch, DeadLetter, Rejection
from trio_ingest.delivery._dead_letters import RAW_CHARACTERS


def letter_of(raw: Any, **changes: Any) -> DeadLetter:
    """The letter of a failed record, after it went through everything that may keep it."""
    (letter,) = Batch(
        checkpoint=POINT, failed=[attrs.evolve(failed(3, raw), **changes)]
    ).dead_letters()
    check_storable(letter)
    return letter


def check_storable(letter: DeadLetter) -> None:
    fields = attrs.asdict(letter)
    text = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
    assert json.loads(text) == fields
    with closing(sqlite3.connect(":memory:")) as db:
        marks = ", ".join("?" * len(fields))
        row = db.execute(f"SELECT {marks}", tuple(fields.values())).fetchone()
        # Also as SQL text sees it, which ends at a NUL.
        lengths = db.execute(
            f"SELECT {', '.join(['length(?)'] * 3)}",
            (letter.raw, letter.error, letter.error_type),
        ).fetchone()
    assert row == tuple(fields.values())
    assert lengths == (len(letter.raw), len(letter.error), len(letter.error_type))
    json.loads(letter.raw)


class Line(NamedTuple):
    number: int
    text: bytes


@attrs.define
class Page:
    url: str
    body: Any = None


@dataclasses.dataclass
class Item:
    name: str


class Mute:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class Trap(Mapping[str, Any]):
    def __getitem__(self, key: str) -> Any:
        raise KeyError(key)

    def __iter__(self) -> Iterator[str]:
        return iter(["a"])

    def __len__(self) -> int:
        return 1


class Unfilled:
    __slots__ = ("url",)


UnfilledAttrs = attrs.make_class("UnfilledAttrs", {"url": attrs.field(init=False)}, slots=True)


# -- the record ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        (None, None),
        ("text", "text"),
        (b'{"id": 1', '{"id": 1'),
        (bytearray(b"abc"), "abc"),
        (b"caf\xe9", "caf\\xe9"),
        ("nul \0", "nul \0"),
        ("lone \ud800", "lone \ud800"),
        ({"a": [1, 2.5, True, None]}, {"a": [1, 2.5, True, None]}),
        ({1: "a", None: b"b"}, {"1": "a", "None": "b"}),
        ((1, (b"x", "y")), [1, ["x", "y"]]),
        (Line(7, b"{"), {"number": 7, "text": "{"}),
        (
            Page("u", [Line(1, b"\xff")]),
            {"url": "u", "body": [{"number": 1, "text": "\\xff"}]},
        ),
        (collections.OrderedDict(a=1), {"a": 1}),
        ({"score": float("nan"), "text": "kept"}, {"score": "nan", "text": "kept"}),
        ([float("inf"), float("-inf")], ["inf", "-inf"]),
        ({"tags": {"one"}}, {"tags": "{'one'}"}),
        (Item("a"), "Item(name='a')"),
        ("line\u2028 \U0001f600", "line\u2028 \U0001f600"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_record_is_kept_as_json_text(raw: Any, kept: Any) -> None:
    assert json.loads(letter_of(raw).raw) == kept


def endless() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


def deep() -> list[Any]:
    nest: list[Any] = []
    for _ in range(100_000):
        nest = [nest]
    return nest


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (Mute(), "Mute"),
        ([Mute()], "list"),
        (Trap(), "Trap"),
        (endless(), "list"),
        (deep(), "list"),
        (UnfilledAttrs(), "UnfilledAttrs"),
        ({"n": 10**5000}, "dict"),
    ],
    ids=["mute", "list of mute", "trap", "endless", "deep", "unfilled", "huge number"],
)
def test_record_without_any_form_is_named_by_its_type(raw: Any, kind: str) -> None:
    assert json.loads(letter_of(raw).raw) == f"<{kind}, which has no JSON form>"


@pytest.mark.parametrize(
    "raw",
    ["x" * 3 * RAW_CHARACTERS, b'"' * 2 * RAW_CHARACTERS, ["\u00e9\\"] * RAW_CHARACTERS],
    ids=["text", "quotes", "list"],
)
def test_huge_record_is_cut_and_still_json(raw: Any) -> None:
    letter = letter_of(raw)
    start = json.loads(letter.raw)
    assert isinstance(start, str)
    assert len(start) <= RAW_CHARACTERS
    assert len(letter.raw) <= 2 * RAW_CHARACTERS
    assert (
        json.dumps(raw.decode() if isinstance(raw, bytes) else raw, ensure_ascii=False)[:1000]
        == start[:1000]
    )


def test_record_that_just_fits_is_whole() -> None:
    raw = "x" * (RAW_CHARACTERS - 2)
    assert json.loads(letter_of(raw).raw) == raw


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None))
    | st.binary()
    | st.dates()
    | st.complex_numbers()
    | st.decimals()
    | st.uuids()
    | st.builds(Mute)
    | st.builds(Unfilled),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.binary(), inner, max_size=3)
        | st.builds(Line, st.integers(), inner)
        | st.builds(Page, st.text(), inner)
        | st.builds(Item, inner)
    ),
    max_leaves=12,
)


@given(ANYTHING)
def test_letter_of_any_record_can_be_stored(raw: Any) -> None:
    letter_of(raw)


# -- everything else -----------------------------------------------------------------------

TEXT = st.text(st.characters(codec=None))


@given(TEXT, TEXT, TEXT, st.none() | TEXT, st.none() | TEXT)
def test_letter_of_any_texts_can_be_stored(
    message: str, kind: str, source: str, doc_id: str | None, traceback: str | None
) -> None:
    letter = letter_of(
        None,
        error=message,
        error_type=kind,
        adapter=source,
        doc_id=doc_id,
        traceback=traceback,
    )
    assert (letter.doc_id is None, letter.traceback is None) == (
        doc_id is None,
        traceback is None,
    )
    if message.isascii() and "\0" not in message:
        assert letter.error == message


@given(TEXT, TEXT, ANYTHING)
def test_letter_of_any_rejection_can_be_stored(doc_id: str, reason: str, raw: Any) -> None:
    event = completed(1, Document(doc_id, "feed", "text", raw=raw))
    batch = Batch(checkpoint=POINT, completed=[event])
    (letter,) = batch.dead_letters([Rejection(event.document, reason)])
    check_storable(letter)


class Silent(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Silent(), "its text failed with ZeroDivisionError"),
        (ValueError(), ""),
        (ExceptionGroup("two", [ValueError(1), OSError(2)]), "two (2 sub-exceptions)"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), "'utf-8' codec can't decode"),
    ],
    ids=["silent", "empty", "group", "decode"],
)
def test_error_is_kept_by_its_text(error: Exception, text: str) -> None:
    assert letter_of(None, error=message_of(error)).error.startswith(text)


def test_huge_messages_are_cut() -> None:
    text = "\0\ud800x" * RAW_CHARACTERS
    letter = letter_of(None, error=text, traceback="first\n" + text + "last")
    assert len(letter.error) == 2000
    assert letter.traceback is not None
    assert len(letter.traceback) <= 6 * RAW_CHARACTERS
    assert letter.traceback.endswith("last")
