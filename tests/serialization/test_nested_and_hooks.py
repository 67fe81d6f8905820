"""Lines within lines, hooks of the user's own, and reading while something is read."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import attrs
import pytest

from tests.serialization.values import BACK_ENDS
from trio_ingest import (
    BatchProgress,
    Checkpoint,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentFailed,
    PipelineEvent,
    Position,
)
from trio_ingest.serialization import DecodeError, EventCodec

BACK_END: Any = pytest.mark.parametrize("choice", BACK_ENDS)


@attrs.frozen(kw_only=True)
class Wrapped(PipelineEvent):
    inner: PipelineEvent
    other: DocumentFailed | None = None


@BACK_END
@pytest.mark.parametrize(
    "value", [{"$": "page", "n": 1}, {"$": "tuple", "value": [1]}, {"a": {"$": {"$": 2}}}]
)
def test_what_is_within_a_line_is_read_once(choice: Any, value: Any) -> None:
    codec = EventCodec([Wrapped], json=choice)
    point = Checkpoint((Position("feed", "{}", 5, (), value, 3),))
    progress = BatchProgress(completed=5, failed=0, in_flight=0, checkpoint=point)
    failed = DocumentFailed(
        doc_id="a", error="e", error_type="E", retry_count=0, is_retryable=False, raw=value
    )
    for item in (
        point,
        progress,
        Wrapped(inner=progress),
        Wrapped(inner=failed, other=failed),
    ):
        assert codec.decode(codec.encode(item)) == item


@attrs.frozen(kw_only=True)
class Secret(PipelineEvent):
    token: str


@BACK_END
def test_hooks_for_events_and_documents_are_asked(choice: Any) -> None:
    codec = EventCodec([Secret], json=choice)
    codec.converter.register_unstructure_hook(
        Secret, lambda event: {"type": "Secret", "version": 1, "token": "***"}
    )
    codec.converter.register_unstructure_hook(
        Document, lambda document: {"doc_id": document.doc_id}
    )
    assert b"hunter2" not in codec.encode(Secret(token="hunter2"))
    event = DocumentCompleted(
        document=Document("a", "feed", "secret"), duration=0.5, adapter_metadata={}
    )
    assert b"secret" not in codec.encode(event)


class Blob:
    def __init__(self, event: Any) -> None:
        self.event = event


@attrs.frozen
class Part:
    a: int
    b: int = 7


@attrs.frozen(kw_only=True)
class Holder(PipelineEvent):
    version: ClassVar[int] = 2
    blob: Blob
    part: Part


@BACK_END
def test_a_hook_may_read_a_line_of_its_own(choice: Any) -> None:
    codec = EventCodec([Holder, Part], json=choice)
    codec.converter.register_unstructure_hook(Blob, lambda b: codec.encode(b.event).decode())
    codec.converter.register_structure_hook(Blob, lambda text, _: Blob(codec.decode(text)))
    holder = Holder(blob=Blob(Cursor((1, b"x"))), part=Part(1))
    form = json.loads(codec.encode(holder))
    found: Any = codec.decode(json.dumps(form))
    assert (found.blob.event, found.part) == (Cursor((1, b"x")), Part(1))
    # An older line, whose part lacks what has a default: still so behind the hook.
    form["version"] = 1
    del form["part"]["b"]
    older: Any = codec.decode(json.dumps(form))
    assert older.part == Part(1)
    form["part"]["a"] = "x"
    with pytest.raises(DecodeError, match=r"^Holder\.part\.a is 'x', not int"):
        codec.decode(json.dumps(form))
