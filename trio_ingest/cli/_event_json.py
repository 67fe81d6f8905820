"""An event as a line of JSON, whatever is in it."""

from __future__ import annotations

import enum
import json
import math
from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_ingest import Checkpoint, DocumentFailed, PipelineEvent
from trio_ingest.delivery import DeadLetter

# Deeper than this an object of a user's is described: it may make new parts for ever.
_DEEPEST: Final = 30

# What is only described.
_CHARACTERS: Final = 1000

_fields_of: dict[type, tuple[str, ...]] = {}


def line_of(event: PipelineEvent) -> bytes:
    """The event as JSON in UTF-8: its type and version, then its fields.

    Args:
        event: any, an adapter's own as well.

    What JSON has no form for is described as text: bytes, dates, an error as its type and
    message, anything in ``raw``. The record of a failed document is a text, as in its dead
    letter.
    """
    kind = type(event)
    names = _fields_of.get(kind)
    if names is None:
        names = _fields_of[kind] = tuple(field.name for field in attrs.fields(kind))
    fields: dict[str, Any] = {"type": kind.__name__, "version": kind.version}
    for name in names:
        fields[name] = getattr(event, name)
    if kind is DocumentFailed:
        fields["raw"] = DeadLetter.of_failure(event).raw  # type: ignore[arg-type]
    try:
        return _ENCODER.encode(fields).encode()
    except Exception:  # noqa: BLE001 -- whatever is in a record, and whatever its methods raise
        return _ENCODER.encode(_plain(fields, ())).encode()


def _described(value: Any) -> Any:  # noqa: PLR0911 -- a case for each kind
    """What the encoder does not know, in what it knows."""
    if isinstance(value, Checkpoint):
        return value.to_dict()
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "message": _message(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if attrs.has(type(value)):
        return {f.name: getattr(value, f.name) for f in attrs.fields(type(value))}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, bytes | bytearray):
        return bytes(value).decode(errors="backslashreplace")
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    return str(value)[:_CHARACTERS]


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_described)


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # noqa: BLE001 -- whatever a user's __str__ does
        return f"its text failed with {type(problem).__name__}"


def _plain(value: Any, around: tuple[int, ...]) -> Any:  # noqa: PLR0911 -- a case for each kind
    """The slow way, for what the encoder refuses: each part by itself.

    Args:
        value: a part.
        around: the ids of all that hold it.
    """
    try:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return _text(value)
        if isinstance(value, int):
            return int(int.__repr__(value))  # more digits than Python writes are refused
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else repr(float(value))
        if id(value) in around:
            # Before it is too deep: what holds itself twice doubles with each level.
            return f"<{type(value).__name__}, which holds itself>"
        if len(around) > _DEEPEST:
            return f"<{type(value).__name__}, nested too deep>"
        inside = (*around, id(value))
        if isinstance(value, Mapping):
            return {_key(key): _plain(part, inside) for key, part in value.items()}
        if isinstance(value, list | tuple):
            return [_plain(part, inside) for part in value]
        return _plain(_described(value), inside)
    except Exception:  # noqa: BLE001 -- a user's method may raise anything
        return f"<{type(value).__name__}, which has no JSON form>"


def _key(key: Any) -> str:
    return _text(key if isinstance(key, str) else str(key))


def _text(text: str) -> str:
    """The text with halves of surrogate pairs spelled out."""
    # Not by its own methods: the text of an enum is not its value.
    return str.encode(text, errors="backslashreplace").decode()
