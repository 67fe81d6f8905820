"""A failed record or a rejected document, kept with its error in a form that is plain text.

The record may be anything: bytes, an object, a text that no database can hold. A sink must
be able to keep every dead letter, so all that cannot be written as JSON in UTF-8 is
described here instead.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_ingest import Document, DocumentCompleted, DocumentFailed

# A whole record is kept up to here; a longer one is cut, since a sink that cannot hold the
# dead letter would have to stop the run for it.
RAW_CHARACTERS: Final = 1024 * 1024

_ERROR_CHARACTERS: Final = 2000
_JSON: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=repr)


@attrs.frozen(kw_only=True)
class DeadLetter:
    """A record that is in no sink, and the error that kept it out.

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
        """Return the dead letter of a record that became no document.

        Args:
            event: the end of the record.
        """
        return cls(
            doc_id=None if event.doc_id is None else escaped(event.doc_id),
            adapter=escaped(event.adapter),
            record_number=event.record_number,
            stage="parse",
            error_type=escaped(event.error_type),
            error=escaped(event.error)[:_ERROR_CHARACTERS],
            retry_count=event.retry_count,
            is_retryable=event.is_retryable,
            traceback=_shortened(event.traceback),
            raw=_json_text(event.raw),
            timestamp=event.timestamp,
        )

    @classmethod
    def of_rejection(
        cls, event: DocumentCompleted, document: Document, reason: str
    ) -> DeadLetter:
        """Return the dead letter of a document that a sink did not take.

        Args:
            event: the event that brought the document.
            document: as the sink was given it.
            reason: the sink's reason, as a sentence.
        """
        return cls(
            doc_id=escaped(document.doc_id),
            adapter=escaped(event.adapter_metadata["adapter"]),
            record_number=event.record_number,
            stage="sink",
            error_type="Rejected",
            error=escaped(reason)[:_ERROR_CHARACTERS],
            retry_count=event.retry_count,
            is_retryable=False,
            traceback=None,
            raw=_json_text(document.raw),
            timestamp=event.timestamp,
        )


def escaped(text: str) -> str:
    """Return the text with escapes for what UTF-8 and SQL text cannot hold."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def _shortened(traceback: str | None) -> str | None:
    """Return the end of a long traceback, where the error is."""
    return None if traceback is None else escaped(traceback[-RAW_CHARACTERS:])


def _json_text(raw: Any) -> str:
    try:
        text = escaped(_JSON.encode(_plain(raw)))
    except Exception:  # noqa: BLE001 -- a user's mapping or repr may raise anything
        text = _JSON.encode(f"<{type(raw).__name__}, which has no JSON form>")
    if len(text) <= RAW_CHARACTERS:
        return text
    # Still JSON: the start of the text, as a string.
    return _JSON.encode(text[: RAW_CHARACTERS - 2])


def _plain(value: Any) -> Any:  # noqa: PLR0911 -- a case for each kind
    """Return the value in JSON's own types at its top; bytes as text where they are UTF-8."""
    if isinstance(value, bytes | bytearray):
        return value.decode(errors="backslashreplace")
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
