"""Documents and dead letters as lines of JSON."""

from __future__ import annotations

import json
from typing import Any, Final

import attrs

from trio_ingest import Document
from trio_ingest.delivery import Batch, Rejection
from trio_ingest.sinks._json import encode, reason_without_json

_PLAIN_JSON: Final = json.JSONEncoder(ensure_ascii=False)


@attrs.frozen
class Lines:
    """The lines of a batch, as they are appended.

    Args:
        documents: a line for each document that has one.
        dead_letters: a line for each failed record and each rejected document.
        rejections: the documents that have no line.

    Memory: the text of one batch.
    """

    documents: bytearray
    dead_letters: bytearray
    rejections: list[Rejection]


def lines_of(batch: Batch, *, keep_raw: bool) -> Lines:
    """Return the lines of a batch; nothing in a document makes it raise.

    Args:
        batch: the batch to commit.
        keep_raw: True for lines with the field ``raw``.
    """
    documents, rejections = bytearray(), list[Rejection]()
    for event in batch.completed:
        try:
            documents += line_of(event.document, keep_raw=keep_raw)
        except MemoryError:
            # Nothing is wrong with the document.
            raise
        except Exception as error:  # noqa: BLE001 -- a mapping of the user's may raise anything
            rejections.append(Rejection(event.document, _reason(error)))
    dead_letters = bytearray()
    for dead_letter in batch.dead_letters(rejections):
        # Half of a surrogate pair is an escape in JSON, spelled as Python spells it.
        text = _PLAIN_JSON.encode(attrs.asdict(dead_letter))
        dead_letters += text.encode(errors="backslashreplace") + b"\n"
    return Lines(documents, dead_letters, rejections)


def line_of(document: Document, *, keep_raw: bool) -> bytes:
    """Return the line for ``document``, with its line feed.

    Raises:
        Exception: it has none.
    """
    texts: tuple[Any, Any, Any] = (document.doc_id, document.source, document.content)
    doc_id, source, content = texts
    if not (isinstance(doc_id, str) and isinstance(source, str) and isinstance(content, str)):
        raise _NotTextError(_not_text(document))
    fields: dict[str, Any] = {"doc_id": doc_id, "source": source, "content": content}
    if keep_raw:
        raw = document.raw
        fields["raw"] = raw.decode() if isinstance(raw, bytes | bytearray) else raw
    fields["metadata"] = document.metadata
    return f"{encode(fields)}\n".encode()


def _not_text(document: Document) -> str:
    names = ("doc_id", "source", "content")
    return next(name for name in names if not isinstance(getattr(document, name), str))


class _NotTextError(Exception):
    """A field that must be text is something else."""


def _reason(error: Exception) -> str:
    match error:
        case _NotTextError():
            return f"Its {error} is not text."
        case UnicodeEncodeError():
            half = f"\\u{ord(error.object[error.start]):04x}"
            return f"It holds half of a surrogate pair ({half}), which UTF-8 has no form for."
        case UnicodeDecodeError():
            return "Its raw is bytes that are not UTF-8; keep_raw=False leaves raw out."
    return reason_without_json("Its raw or metadata", error)
