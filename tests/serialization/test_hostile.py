"""Whatever is in a record: an event is a line, and the line can be read."""

from __future__ import annotations

import collections.abc
from collections.abc import Iterator
from typing import Any

import attrs
import pytest

from tests.serialization.values import CODECS, PageRead, Place, completed, failed
from trio_ingest import Checkpoint, Cursor, Document, Position
from trio_ingest.serialization import OpaqueValue


class Stubborn:
    def __str__(self) -> str:
        raise RuntimeError("no text of me")

    __repr__ = __str__


class Endless(collections.abc.Mapping[str, Any]):
    """Makes new parts for ever."""

    def __getitem__(self, key: str) -> Any:
        return Endless()

    def __iter__(self) -> Iterator[str]:
        n = 0
        while True:
            n += 1
            yield str(n)

    def __len__(self) -> int:
        return 1


class Deeper(Endless):
    def __iter__(self) -> Iterator[str]:
        yield from "ab"

    def __getitem__(self, key: str) -> Any:
        return Deeper()


class Raises(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError("no items of me")

    values = keys = __iter__ = items


class Twin:
    """Equal to nothing and hashed like everything."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("not to be compared")

    def __hash__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return "a twin"


class HashableList(list[int]):
    def __hash__(self) -> int:  # type: ignore[override]
        return 1


class Liar:
    @property
    def __class__(self) -> Any:
        return str


deep: list[Any] = []
for _ in range(100_000):
    deep = [deep]
cyclic: dict[str, Any] = {}
cyclic["self"] = cyclic
twofold: list[Any] = []
twofold.extend([twofold, twofold])
shared: list[Any] = [1]
for _ in range(60):
    shared = [shared, shared]
keyed: Any = 1
for _ in range(60):
    keyed = {1: keyed, 2: 3}
place = Place("x", None, [])
place.inside.append(place)
wide: list[Any] = []
wide.extend([wide] * 1000)


def read(codec: Any, value: Any) -> Any:
    """The value as it comes back, by the line of an event in which it is twice."""
    event = codec.decode(codec.encode(completed(value, value=value)))
    again = codec.encode(event)
    assert (
        codec.encode(codec.decode(again))
        == again
        == codec.encode(completed(value, value=value))
    )
    return event.document.raw


@pytest.fixture(autouse=True)
def _few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_ingest.serialization._values._MOST_ITEMS", 1000)


CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


@CODEC
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Stubborn(), "its repr failed with RuntimeError"),
        (object(), "<object object at 0x...>"),
        ("x".join, "<built-in method join of str object at 0x...>"),
        (range(3), "range(0, 3)"),
        (1j, "1j"),
        (Twin(), "a twin"),
        (Endless(), "with too many items>"),
        (type("Long", (), {"__repr__": lambda _: "y" * 5000})(), "y" * 997 + "..."),
    ],
    ids=lambda value: type(value).__name__,
)
def test_any_object_is_described(codec: Any, value: Any, text: str) -> None:
    found = read(codec, value)
    assert type(found) is OpaqueValue
    assert found.text.endswith(text)
    assert len(found.text) <= 1000


@CODEC
@pytest.mark.parametrize(
    ("value", "why"),
    [
        (deep, "nested too deep"),
        (cyclic, "which holds itself"),
        # Walked to any depth, it would double with each level.
        (twofold, "which holds itself"),
        (wide, "which holds itself"),
        (place, "which holds itself"),
    ],
    ids=["deep", "cyclic", "twofold", "wide", "object"],
)
def test_what_has_no_end_is_cut(codec: Any, value: Any, why: str) -> None:
    line = codec.encode(completed(value))
    assert why.encode() in line
    assert len(line) < 1_000_000
    read(codec, value)


@pytest.mark.parametrize("value", [shared, Deeper()], ids=["shared", "deeper"])
def test_what_is_too_much_is_cut(value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_ingest.serialization._values.MOST_PARTS", 1000)
    for codec in CODECS.values():
        line = codec.encode(completed(value))
        assert b"with too many parts around it" in line
        assert len(line) < 1_000_000


@CODEC
@pytest.mark.parametrize("levels", [39, 41, 60, 99])
def test_what_is_nested_to_a_hundred_levels_is_written(codec: Any, levels: int) -> None:
    value: Any = [1.5]
    for _ in range(levels - 10):
        value = [value, {"a": value}] if value == [1.5] else {"a": value}
    assert read(codec, value) == value
    assert type(read(codec, keyed)) is dict


@CODEC
def test_a_key_that_could_not_be_read_as_one_is_described(codec: Any) -> None:
    name = f"{__name__}.HashableList"
    described = OpaqueValue(name, f"<{name}, which cannot be written>")
    assert read(codec, {HashableList([1]): 2}) == {described: 2}
    assert read(codec, {HashableList([1])}) == {described}


@CODEC
def test_keys_that_would_be_read_as_one_are_not_lost_silently(codec: Any) -> None:
    found = read(codec, {object(): 1, object(): 2})
    assert found == OpaqueValue("dict", "<dict, which cannot be written>")
    assert len(read(codec, {object(), object()})) == 1


@CODEC
def test_a_mapping_that_fails_is_described(codec: Any) -> None:
    assert read(codec, Raises(a=1)) == {"a": 1}
    event = completed()
    document = Document("a", "feed", "x", None, Endless())
    found = codec.decode(codec.encode(attrs.evolve(event, document=document)))
    assert type(found.document.metadata) is OpaqueValue


@CODEC
def test_an_object_that_lies_about_its_class_is_described(codec: Any) -> None:
    assert type(read(codec, Liar())) is OpaqueValue
    document = Document("a", "feed", Liar(), Liar(), {})  # type: ignore[arg-type]
    found = codec.decode(codec.encode(attrs.evolve(completed(), document=document)))
    assert type(found.document.content) is type(found.document.raw) is OpaqueValue


@CODEC
def test_an_error_of_any_text_is_written(codec: Any) -> None:
    found = codec.decode(codec.encode(failed("half \ud800", raw=Stubborn())))
    assert found.error == "half \ud800"
    assert type(found.raw) is OpaqueValue
    nothing = failed(None)  # type: ignore[arg-type]
    assert type(codec.decode(codec.encode(nothing)).error) is OpaqueValue


@CODEC
def test_a_cursor_in_a_checkpoint_may_be_anything(codec: Any) -> None:
    for value in (b"x", {"$": 1}, cyclic, Stubborn()):
        checkpoint = Checkpoint((Position("feed", "{}", 5, (), value, 5),))
        found = codec.decode(codec.encode(checkpoint))
        assert found.positions[0].watermark == 5
        assert codec.encode(found) == codec.encode(checkpoint)
        assert codec.encode(codec.decode(codec.encode(Cursor(value))))


@CODEC
def test_what_memory_there_is_not_is_no_matter_of_the_codec(codec: Any) -> None:
    class Large:
        def __repr__(self) -> str:
            raise MemoryError

    # It is caught where it was raised: the program has no less memory for it.
    assert type(read(codec, Large())) is OpaqueValue

    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        codec.encode(PageRead(page=1, notes=Interrupted()))
