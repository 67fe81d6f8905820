"""What is no line of ours is refused, with the line and the path to what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from tests.serialization.values import CODEC, CODECS, completed, failed
from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    DocumentStarted,
    IngestError,
    PipelineEvent,
    Position,
)
from trio_ingest.serialization import DecodeError

STARTED = DocumentStarted(doc_id="a", adapter="feed", parameters={}, record_number=1)
STATE = AdapterStateChange(
    adapter="feed", old_state="pending", new_state="running", reason=None
)
CHECKPOINT = Checkpoint((Position("feed", "{}", 5, ((7, 9),), {"page": 1}, 5),))
PROGRESS = BatchProgress(
    completed=1,
    failed=0,
    in_flight=0,
    estimated_total=None,
    eta_seconds=None,
    skipped=0,
    queue_depth=0,
    buffer_size=1,
    fetch_seconds=0.0,
    parse_seconds=0.0,
    consumer_seconds=0.0,
    throttle_seconds=0.0,
    checkpoint=CHECKPOINT,
)
ANY_CODEC = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)


def changed(event: Any, path: str, value: Any = ...) -> bytes:
    """The line with one part of it changed, or left out."""
    form = CODEC.to_dict(event)
    *around, last = path.split(".")
    part: Any = form
    for key in around:
        part = part[int(key) if isinstance(part, list) else key]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return json.dumps(form).encode()


@ANY_CODEC
@pytest.mark.parametrize(
    ("event", "path"),
    [
        (completed(), "document.doc_id"),
        (completed(), "timestamp"),
        (STARTED, "doc_id"),
        (failed(), "error"),
        (completed(b"x"), "document.raw.value"),
    ],
)
def test_a_missing_field_is_named_with_its_path_and_line(
    codec: Any, event: PipelineEvent, path: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode(changed(event, path), line=12)
    where = f"{type(event).__name__}.{path}"
    assert str(caught.value).startswith(f"line 12: {where} is missing. ")


@ANY_CODEC
@pytest.mark.parametrize(
    ("event", "path", "value", "why"),
    [
        (completed(), "timestamp", "1", "is '1', not float"),
        (completed(), "timestamp", True, "is true, not float"),
        (completed(), "sequence", 1.0, "is 1.0, not int"),
        (completed(), "sequence", True, "is true, not int"),
        (completed(), "retry_count", None, "is null, not int"),
        (completed(), "document", None, "is null, not Document"),
        (completed(), "document", "x", "is 'x', not Document"),
        (completed(), "document.content", 5, "is 5, not str"),
        (completed(), "document.metadata", [], "is [], not Mapping"),
        (completed(), "document.doc_id", {"$": "bytes", "value": ""}, "not str"),
        (STARTED, "parameters", None, "is null, not Mapping"),
        (STATE, "new_state", "asleep", "asleep not in literal"),
        (STATE, "reason", 5, "is 5, not str"),
        (failed(), "error", 1, "is 1, not str"),
        (failed(), "is_retryable", 1, "is 1, not bool"),
        (failed(), "doc_id", 1, "is 1, not str"),
        (PROGRESS, "eta_seconds", "x", "is 'x', not float"),
        (PROGRESS, "checkpoint", 5, "is 5, not Checkpoint"),
        (PROGRESS, "checkpoint.version", 0, "has the version 0, not one from 1 to 1"),
        (PROGRESS, "checkpoint.positions", 5, "is refused by its class: CheckpointError"),
        (
            PROGRESS,
            "checkpoint.positions.0.watermark",
            -1,
            "is refused by its class: CheckpointError",
        ),
        (
            CHECKPOINT,
            "positions.0.ended",
            [[1, 2]],
            "is refused by its class: CheckpointError",
        ),
        (STARTED, "version", "1", "has the version '1', not one from 1 to 1"),
        (STARTED, "version", 0, "has the version 0, not one from 1 to 1"),
        (STARTED, "version", True, "has the version true, not one from 1 to 1"),
        (STARTED, "type", 5, "is 5, not the name of an event"),
        (completed([{}]), "document.raw.0.$", "hex", "has the tag 'hex', which there is not"),
        (completed([{}]), "document.raw.0.$", [], "has the tag [], which there is not"),
    ],
)
def test_a_wrong_value_is_named_with_its_path(
    codec: Any, event: Any, path: str, value: Any, why: str
) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode(changed(event, path, value), line=3)
    message = str(caught.value)
    assert message.startswith("line 3: ")
    assert why in message
    if "checkpoint" not in message and path != "type":
        assert path.replace(".0.$", "[0]") in message


@pytest.mark.parametrize(
    "tag",
    [
        {"$": "bytes", "value": "?"},
        {"$": "bytes", "value": 5},
        {"$": "float", "value": "1.5"},
        {"$": "int", "value": "x"},
        {"$": "str", "value": "\\x"},
        {"$": "str", "value": "\\"},
        {"$": "datetime", "value": "yesterday"},
        {"$": "datetime", "value": "2026-01-01", "fold": 2},
        {"$": "date", "value": "2026-13-01"},
        {"$": "timedelta", "value": [1, 2]},
        {"$": "timedelta", "value": [1, 2, True]},
        {"$": "Decimal", "value": "one"},
        {"$": "UUID", "value": "1"},
        {"$": "Path", "value": 1},
        {"$": "tuple", "value": {}},
        {"$": "set", "value": [[]]},
        {"$": "dict", "value": [[1]]},
        {"$": "dict", "value": [[1, 2], [1, 3]]},
        {"$": "dict", "value": [[[], 1]]},
        {"$": "tuple"},
        {"$": "tuple", "value": [], "more": 1},
        {"$": "date", "value": "2026-01-01", "fold": 1},
        {"$": "error", "type": "x", "message": "y", "notes": "z"},
        {"$": "opaque", "class": "x", "text": 1},
        {"$": "object", "class": "Place", "value": {}},
        {"$": "object", "class": "Place", "value": 1},
        {"$": None},
    ],
    ids=str,
)
def test_a_damaged_tag_is_refused(tag: Any) -> None:
    for codec in CODECS.values():
        with pytest.raises(DecodeError, match=r"^line 3: DocumentCompleted\.document\.raw"):
            codec.decode(changed(completed(), "document.raw", tag), line=3)


@ANY_CODEC
@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nonsense",
        b"\xff",
        b'{"type": "\xff"}',
        CODEC.encode(completed())[:-7],
        CODEC.encode(completed()) * 2,
        b'{"type": NaN}',
        b'"\\ud800"',
        b'"\\uD800"',
        b"[" * 100_000,
        "\ud800",
        "",
    ],
)
def test_what_is_no_json_is_refused(codec: Any, data: bytes | str) -> None:
    with pytest.raises(DecodeError, match=r"^line 7: this is no JSON: "):
        codec.decode(data, line=7)


@ANY_CODEC
def test_without_a_line_the_message_begins_with_the_path(codec: Any) -> None:
    with pytest.raises(DecodeError, match=r"^DocumentStarted\.doc_id is missing\."):
        codec.decode(changed(STARTED, "doc_id"))
    for data in (b"[]", b"null", b"5"):
        with pytest.raises(DecodeError, match=r"^the line is .*, not a JSON object"):
            codec.decode(data)
    for key in ("type", "version"):
        with pytest.raises(DecodeError, match=rf"^{key} is missing"):
            codec.decode(changed(STARTED, key))


def test_a_number_in_plain_digits_beyond_64_bits_is_read_where_a_number_belongs() -> None:
    for codec in CODECS.values():
        assert codec.decode(changed(STARTED, "record_number", 2**70)).record_number == 2**70


def test_a_key_that_is_spelled_out_is_the_same_key() -> None:
    line = CODEC.encode(completed(b"x")).replace(b'"$"', b'"\\u0024"')
    for codec in CODECS.values():
        assert codec.decode(line).document.raw == b"x"


def every_part(form: Any) -> list[Callable[[Any], None]]:
    """What damages each part of a line in turn: to leave it out, or to make it another."""
    found: list[Callable[[Any], None]] = []
    if isinstance(form, dict):
        for key, part in form.items():
            found.append(lambda f, key=key: f.pop(key))  # type: ignore[misc]
            found.append(lambda f, key=key: f.__setitem__(key, [{}]))  # type: ignore[misc]
            inner = every_part(part)
            found += [lambda f, key=key, one=one: one(f[key]) for one in inner]  # type: ignore[misc]
    return found


@hypothesis.given(st.sampled_from([STARTED, STATE, PROGRESS, failed()]), st.data())
def test_no_damage_gives_anything_but_an_error_of_ours(
    event: Any, data: st.DataObject
) -> None:
    form = CODEC.to_dict(event)
    data.draw(st.sampled_from(every_part(form)))(form)
    line = json.dumps(form)
    outcomes = []
    for codec in CODECS.values():
        try:
            outcomes.append(repr(codec.decode(line)))
        except IngestError as error:
            outcomes.append(str(error))
    assert len(set(outcomes)) == 1


@hypothesis.given(st.binary() | st.text())
def test_no_data_gives_anything_but_an_error_of_ours(data: bytes | str) -> None:
    for codec in CODECS.values():
        with pytest.raises(IngestError):
            codec.decode(data)


@ANY_CODEC
def test_a_checkpoint_without_positions_is_none(codec: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        codec.decode(changed(PROGRESS, "checkpoint.positions"), line=12)
    assert str(caught.value).startswith(
        "line 12: BatchProgress.checkpoint is refused by its class: CheckpointError"
    )
