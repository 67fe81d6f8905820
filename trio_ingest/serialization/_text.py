"""JSON values as text: by orjson, or by the standard library, with the same outcome."""

from __future__ import annotations

import json
from typing import Any

from cattrs.preconf import json as standard

from trio_ingest import MissingExtraError, SetupError

from .errors import Mismatch


def back_end(choice: str) -> tuple[Any, Any, Any]:
    """Return what makes a converter of cattrs for a JSON library, and its dumps and loads."""
    if choice not in {"auto", "orjson", "json"}:
        raise SetupError(f"json must be 'auto', 'orjson' or 'json'; got {choice!r:.80}.")
    try:
        if choice != "json":
            import orjson  # noqa: PLC0415 -- an extra
            from cattrs.preconf.orjson import make_converter  # noqa: PLC0415 -- the same

            return make_converter, orjson.dumps, orjson.loads
    except ImportError as error:
        if choice == "orjson":
            why = "json='orjson' needs the orjson package: pip install 'trio-ingest[json]'"
            raise MissingExtraError(why) from error
    return standard.make_converter, dumps, loads


def dumps(form: Any) -> bytes:
    """Return JSON values as UTF-8; numbers of any size, but neither NaN nor surrogates."""
    text = json.dumps(form, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode()


def loads(data: bytes | str) -> Any:
    """Return the JSON values of a text, or say more of what is wrong than orjson does."""
    try:
        text = str.__str__(data) if isinstance(data, str) else bytes(data).decode()
        value = json.loads(text, parse_constant=dict[str, float]().__getitem__)
        # Halves of surrogate pairs are no text, whether they are spelled out or not.
        if not text.isascii() or "\\ud" in text.lower():
            dumps([text, value])
    except (TypeError, ValueError, LookupError, RecursionError) as error:
        raise Mismatch(f"is no JSON: {error}; it begins with {data!r:.40}") from error
    return value


def is_unicode(text: str) -> bool:
    """Return whether there is no half of a surrogate pair in a text."""
    return text.isascii() or text.encode(errors="ignore").decode() == text
