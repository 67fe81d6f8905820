"""A file of another shape is told by its first line, a mistyped field by the others."""

import pytest

from trio_ingest.adapters import BadLineError, JsonLinesAdapter, LineRecord


def why(data: bytes, line_number: int = 1) -> str:
    with pytest.raises(BadLineError) as caught:
        JsonLinesAdapter("articles.json").parse(LineRecord(line_number, data))
    return caught.value.reason


@pytest.mark.parametrize("data", [b"[", b'[{"id": 1},', b'[{"id": 1}]', b"  [  "])
def test_an_array_is_told_how_to_become_lines(data: bytes) -> None:
    assert "one JSON array; jq -c '.[]' FILE makes lines of it." in why(data)


def test_an_object_over_several_lines_is_told_how_to_become_one() -> None:
    assert "jq -c . FILE makes lines of it." in why(b"{ ")


@pytest.mark.parametrize(("data", "line"), [(b"[", 2), (b"{", 2), (b"nonsense", 1)])
def test_other_lines_say_only_what_is_wrong_with_them(data: bytes, line: int) -> None:
    assert "FILE" not in why(data, line)


def test_a_missing_id_shows_which_fields_there_are() -> None:
    assert why(b'{"pmid": 1, "title": "x"}') == (
        "the field 'id', the id, is missing; there are 'pmid', 'title'."
    )
    assert why(b"{}") == "the field 'id', the id, is missing; there is none at all."


def test_only_the_first_names_are_shown_and_none_at_length() -> None:
    many = b",".join(b'"%d%s": 1' % (n, b"x" * 100) for n in range(100))
    reason = why(b"{" + many + b"}")
    assert reason.endswith(", ….")
    assert len(reason) < 250
