"""JSON of many small values, and the reasons of those that have none."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable, Mapping
from typing import Any, Final


def _plain(value: Any) -> Any:
    # The encoder knows dict alone; a Mapping of another kind is as good.
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{article(value)} is no JSON value")


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain)


def _fast_encoder() -> Callable[[Any], str]:
    """Return ``_ENCODER.encode`` with CPython's own encoder made once.

    ``encode`` makes that anew for each value, which costs as much as a small value does.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return _ENCODER.encode
    # The first argument is a memory of what a value is inside of: it would be kept after a
    # failure, so there is none, and a value that contains itself is nested too deeply.
    pieces = make(
        *(None, _plain, json.encoder.encode_basestring, None),
        *(_ENCODER.key_separator, _ENCODER.item_separator),
        *(_ENCODER.sort_keys, _ENCODER.skipkeys, _ENCODER.allow_nan),
    )
    return lambda value: (
        "".join(pieces(value, 0)) if type(value) is dict else _ENCODER.encode(value)
    )


encode: Final = _fast_encoder()


def reason_without_json(name: str, error: Exception) -> str:
    """Return the reason why a value has no JSON form, as a sentence.

    Args:
        name: what the value is of a document, like "its raw".
        error: the exception that ``encode`` raised.
    """
    if isinstance(error, RecursionError):
        return f"{name} nests values too deeply, or holds itself."
    try:
        text = f"{error}"[:200]
    except Exception:  # noqa: BLE001 -- the exception may be the user's own
        text = type(error).__name__
    return f"{name} has no JSON form: {text}."


def article(value: object) -> str:
    """Return the type of a value, behind an article."""
    if value is None:
        return "None"
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
