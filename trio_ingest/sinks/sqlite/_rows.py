"""Documents as rows, and the reasons of those that have none."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from trio_ingest import Document
from trio_ingest.sinks._json import article, encode, reason_without_json

Value: TypeAlias = str | bytes | int | float | None
Row: TypeAlias = tuple[str, str, str, Value, str]

COLUMNS: Final = ("doc_id", "source", "content", "raw", "metadata")

_TEXTS: Final = COLUMNS[:3]

# An INTEGER of SQLite has 64 bits.
_LARGEST: Final = 2**63 - 1


class _UnfitError(Exception):
    """The document has no row; the message says why."""


def rows_of(documents: Sequence[Document]) -> tuple[list[Row], dict[int, str]]:
    """Return the rows of those documents that have one, in order.

    Text, bytes, numbers and None stay what they are as ``raw``; any other ``raw`` and
    the metadata become JSON.

    Returns:
        the rows; and the reason for each other document, by its index.

    Memory: O(documents); their texts are shared.
    """
    rows: list[Row] = []
    unfit: dict[int, str] = {}
    # An ordinary document costs a fifth of a microsecond here, and fifteen times that in
    # SQLite: what it may be besides is asked in functions.
    add, to_json = rows.append, encode
    for place, document in enumerate(documents):
        try:
            doc_id, source, content = document.doc_id, document.source, document.content
            raw, metadata = document.raw, document.metadata
            if type(doc_id) is not str or type(source) is not str or type(content) is not str:
                _check_texts(document)
            if raw is not None and type(raw) is not str:
                raw = _raw_value(raw)
            if type(metadata) is not dict:
                metadata = _mapping(metadata)
            add((doc_id, source, content, raw, to_json(metadata) if metadata else "{}"))
        except _UnfitError as error:
            unfit[place] = str(error)
        except MemoryError:
            # Nothing is wrong with the document.
            raise
        except Exception as error:  # noqa: BLE001 -- whatever a user's mapping raises
            unfit[place] = reason_without_json("its metadata", error)
    return rows, unfit


def reason_of(error: Exception, row: Row, limit: int) -> str:
    """Return the reason why the database did not take a row, as a sentence.

    Args:
        error: the exception that it raised.
        row: the row.
        limit: the most bytes that a value or a row may have.
    """
    if isinstance(error, UnicodeEncodeError):
        name = next(
            (name for name, value in zip(COLUMNS, row, strict=True) if value is error.object),
            "text",
        )
        half = ord(error.object[error.start])
        return (
            f"its {name} holds half of a surrogate pair (\\u{half:04x}), which no UTF-8 text "
            f"can."
        )
    if isinstance(error, sqlite3.DataError | OverflowError):
        return f"it is too long: this database holds {limit:,} bytes a row at most ({error})."
    return f"the table does not take it: {error}."


def _check_texts(document: Document) -> None:
    for name in _TEXTS:
        value = getattr(document, name)
        if not isinstance(value, str):
            raise _UnfitError(f"its {name} is {article(value)}, and must be text.")


def _raw_value(raw: Any) -> Value:
    if isinstance(raw, str | bytes):
        return raw
    if isinstance(raw, float):
        if math.isnan(raw):
            raise _UnfitError("its raw is NaN, of which SQLite would keep NULL.")
        return raw
    if isinstance(raw, int):
        if not -_LARGEST - 1 <= raw <= _LARGEST:
            raise _UnfitError("its raw is a whole number too large for SQLite's 64 bits.")
        return raw
    try:
        return encode(raw)
    except MemoryError:
        raise
    except Exception as error:
        raise _UnfitError(reason_without_json("its raw", error)) from error


def _mapping(metadata: Any) -> dict[Any, Any]:
    if not isinstance(metadata, Mapping):
        raise _UnfitError(f"its metadata is {article(metadata)}, and must be a mapping.")
    return dict(metadata)
