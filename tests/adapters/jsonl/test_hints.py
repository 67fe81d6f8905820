"""A file of another shape is told by its first line, a mistyped field by the others."""

import json

import pytest

from trio_ingest.adapters import BadLineError, JsonLinesAdapter, LineRecord

ARRAY = "one JSON array; make lines of it: jq -c '.[]' FILE > FILE.jsonl."


def why(data: bytes, line_number: int = 1, full_length: int | None = None) -> str:
    with pytest.raises(BadLineError) as caught:
        JsonLinesAdapter("articles.json").parse(LineRecord(line_number, data, full_length))
    return caught.value.reason


@pytest.mark.parametrize(
    "data",
    [
        b"[",
        b'[{"id": 1},',
        b'[{"id": 1}]',
        b"  [  ",
        b'[{"id": 1, "x": NaN}]',
        b"[" + b"9" * 6000 + b"]",
        b"[" * 100_000,
    ],
)
def test_an_array_is_told_how_to_become_lines(data: bytes) -> None:
    assert why(data).endswith(ARRAY)


def test_an_array_longer_than_a_line_may_be_is_not_told_to_be_read_as_one() -> None:
    reason = why(b'[{"id": "caf\xc3', full_length=30_000_000)
    assert reason.endswith(ARRAY)
    assert "Raise it" not in reason
    assert why(b"[", 2, 30_000_000).endswith("Raise it to read the line.")


def test_an_object_over_several_lines_is_told_how_to_become_one() -> None:
    assert why(b"{ ").endswith("make one of each: jq -c . FILE > FILE.jsonl.")


@pytest.mark.parametrize(
    ("data", "line"), [(b"[", 2), (b"{", 2), (b"nonsense", 1), (b'{"id": 1, ', 1)]
)
def test_other_lines_say_only_what_is_wrong_with_them(data: bytes, line: int) -> None:
    assert "FILE" not in why(data, line)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"id": "a\0b"}', "Invalid control character at position 10."),
        (b'{"id": "a', "Unterminated string starting at position 8."),
        (b'{"id" 1}', "Expecting ':' delimiter at position 7."),
    ],
)
def test_the_place_in_the_line_reads_as_a_sentence(data: bytes, reason: str) -> None:
    assert why(data) == f"the line is not valid JSON: {reason}"


def test_a_missing_id_shows_which_fields_there_are() -> None:
    assert why(b'{"pmid": 1, "title": "x"}') == (
        "the field 'id', the id, is missing; the line has 'pmid', 'title'."
    )
    assert why(b"{}") == "the field 'id', the id, is missing; the line has no fields."


@pytest.mark.parametrize("character", ["x", "'", "\n", "\0", "\U000e0001"])
def test_only_the_first_names_are_shown_and_none_at_length(character: str) -> None:
    fields = {f"{number}{character * 100}": 1 for number in range(100)}
    reason = why(json.dumps(fields).encode())
    assert reason.endswith("…, ….")
    assert len(reason) <= 210
    assert reason.count(", ") == 5 + 2


def test_a_name_that_is_shown_whole_is_not_marked_as_cut() -> None:
    name = "x" * 26
    assert why(b'{"%s": 1}' % name.encode()).endswith(f"has '{name}'.")
    assert why(b'{"%sy": 1}' % name.encode()).endswith(f"has '{name}….")
