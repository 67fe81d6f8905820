"""Whose fault it was can be told by the class, and every message stays a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trio_ingest
from trio_ingest import IngestError
from trio_ingest._core.errors import abbreviated, add_note, described, with_closing_error


class Hostile:
    def __repr__(self) -> str:
        raise ZeroDivisionError


class Wordless(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


class Sealed(Exception):
    """Cannot be changed."""

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(name)

    def add_note(self, note: str) -> None:
        raise AttributeError(note)


def notes_of(error: BaseException) -> list[str]:
    return list(getattr(error, "__notes__", []))


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("SetupError", ValueError),
        ("CheckpointError", IngestError),
        ("StreamClosedError", IngestError),
        ("StreamBusyError", IngestError),
        ("UnknownEventError", IngestError),
        ("MissingExtraError", ImportError),
        ("EngineBug", IngestError),
    ],
)
def test_every_error_of_ours_is_one_of_ours_and_what_else_it_is(
    name: str, also: type[Exception]
) -> None:
    error = getattr(trio_ingest, name)("text")
    assert isinstance(error, IngestError)
    assert isinstance(error, also)
    assert str(error) == "text"


@given(st.text() | st.lists(st.integers()) | st.binary())
def test_value_in_a_message_has_eighty_characters_at_most(value: object) -> None:
    text = abbreviated(value)
    assert len(text) <= 80
    assert text == repr(value) if len(repr(value)) <= 80 else text.endswith("...")


def test_value_whose_repr_fails_is_named_by_its_class() -> None:
    assert abbreviated(Hostile()) == "<Hostile, whose repr failed>"


@given(st.text())
def test_error_is_described_by_its_class_and_its_first_line(text: str) -> None:
    line = described(ValueError(text))
    assert line.startswith("ValueError")
    assert len(line) <= 200
    assert "\n" not in line


def test_error_without_words_is_named_by_its_class() -> None:
    assert described(Wordless()) == "Wordless, whose text failed"


def test_note_is_added_once() -> None:
    error = ValueError()
    for note in ("a", "b", "a"):
        add_note(error, note)
    assert notes_of(error) == ["a", "b"]


def test_error_that_cannot_be_changed_is_left_alone() -> None:
    add_note(Sealed(), "note")


def test_failure_is_raised_with_a_note_of_what_closing_raised_after_it() -> None:
    failure, closing = ValueError("first"), OSError("second")
    assert with_closing_error(None, None) is None
    assert with_closing_error(failure, None) is failure
    assert with_closing_error(None, closing) is closing
    assert notes_of(failure) == notes_of(closing) == []
    assert with_closing_error(failure, closing) is failure
    assert notes_of(failure) == ["Besides, closing the adapter failed: OSError: second"]
