"""JSON of many small values."""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable
from typing import Any


def encode_with(encoder: json.JSONEncoder) -> Callable[[Any], str]:
    """Return ``encoder.encode`` with CPython's own encoder made once.

    ``encode`` makes that anew for each value, which costs as much as a small value does.

    Args:
        encoder: one without indentation that neither sorts nor skips keys. A value that
            contains itself is nested too deeply for the result: ``RecursionError``.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    text = (
        json.encoder.encode_basestring_ascii
        if encoder.ensure_ascii
        else json.encoder.encode_basestring
    )
    pieces = make(
        # No memory of what it is inside of: that would be kept after a failure.
        None,
        encoder.default,
        text,
        None,
        encoder.key_separator,
        encoder.item_separator,
        encoder.sort_keys,
        encoder.skipkeys,
        encoder.allow_nan,
    )
    return lambda value: (
        "".join(pieces(value, 0)) if type(value) is dict else encoder.encode(value)
    )
