"""A failed record or a rejected document, kept with its error in a form that is plain text.

What failed may be anything: bytes, an object, a text that no database can hold. Whoever
keeps dead letters must be able to keep every one of them, so all that cannot be written
as JSON in UTF-8 is described here instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_ingest import Document, DocumentCompleted, DocumentFailed

# A whole record is kept up to here; a longer one is cut, since a sink that cannot
# hold the letter would have to stop the run for it.
RAW_CHARACTERS: Final = 1024 * 1024

_ERROR_CHARACTERS: Final = 2000
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=repr)


@attrs.frozen(kw_only=True)
class DeadLetter:
    """Why one record is in no sink, and the record.

    Args:
        doc_id: the document's id, as far as it was known.
        adapter: the source of the adapter.
        record_number: in the adapter run.
        stage: ``parse`` for a failed record, ``sink`` for a rejected document.
        error_type: the class of the error; ``Rejected`` for a rejected document.
        error: its message.
        retry_count: attempts minus one.
        is_retryable: whether another attempt may cure it.
        traceback: of a failed record, as text.
        raw: the record, or what the document kept of it, as JSON text; the record as
            text, cut at a million characters, when it is longer than that.
        timestamp: when it ended, in seconds since the epoch.
    """

    __module__ = "trio_ingest.delivery"

    doc_id: str | None
    adapter: str
    record_number: int
    stage: str
    error_type: str
    error: str
    retry_count: int
    is_retryable: bool
    traceback: str | None
    raw: str
    timestamp: float

    @classmethod
    def of_failure(cls, event: DocumentFailed) -> DeadLetter:
        """The dead letter of a record that became no document."""
        return cls(
            doc_id=None if event.doc_id is None else writable(event.doc_id),
            adapter=writable(event.adapter),
            record_number=event.record_number,
            stage="parse",
            error_type=writable(event.error_type),
            error=_message(event.error),
            retry_count=event.retry_count,
            is_retryable=event.is_retryable,
            traceback=_cut(event.traceback),
            raw=_text_of(event.raw),
            timestamp=event.timestamp,
        )

    @classmethod
    def of_rejection(
        cls, event: DocumentCompleted, document: Document, reason: str
    ) -> DeadLetter:
        """The dead letter of a document that a sink did not take.

        Args:
            event: what brought the document.
            document: as the sink was given it.
            reason: why, as a sentence.
        """
        return cls(
            doc_id=writable(document.doc_id),
            adapter=writable(event.adapter_metadata["adapter"]),
            record_number=event.record_number,
            stage="sink",
            error_type="Rejected",
            error=writable(reason)[:_ERROR_CHARACTERS],
            retry_count=event.retry_count,
            is_retryable=False,
            traceback=None,
            raw=_text_of(document.raw),
            timestamp=event.timestamp,
        )


def writable(text: str) -> str:
    """The text with what UTF-8 and SQL text cannot hold spelled out."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _message(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception as problem:  # noqa: BLE001 -- whatever a user's __str__ does
        text = f"its text failed with {type(problem).__name__}"
    return writable(text)[:_ERROR_CHARACTERS]


def _cut(traceback: str | None) -> str | None:
    """Its end, where the error is, when the message of the error makes it long."""
    return None if traceback is None else writable(traceback[-RAW_CHARACTERS:])


def _text_of(raw: Any) -> str:
    try:
        text = writable(_JSON.encode(_plain(raw)))
    except Exception:  # noqa: BLE001 -- a user's mapping or repr may raise anything
        text = _JSON.encode(f"<{type(raw).__name__}, which has no JSON form>")
    if len(text) <= RAW_CHARACTERS:
        return text
    # Still JSON: the start of the text, as a string.
    return _JSON.encode(text[: RAW_CHARACTERS - 2])


def _plain(value: Any) -> Any:  # noqa: PLR0911 -- a case for each kind
    """The value in JSON's own types at its top; bytes as text where they are UTF-8."""
    if isinstance(value, bytes | bytearray):
        return _plain_bytes(bytes(value))
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(part) for name, part in value._asdict().items()}
    if attrs.has(type(value)):
        return {f.name: _plain(getattr(value, f.name)) for f in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return value


def _plain_bytes(data: bytes) -> Any:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="backslashreplace")
