"""Errors of reading: what is wrong with which part of a line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from cattrs import errors, transform_error

from trio_ingest import IngestError


class DecodeError(IngestError, ValueError):
    """A line is no JSON, or its fields are not those of its type; the message says where."""


class Mismatch(Exception):
    """A part of a line is not what it should be; the text goes on after the part's path."""


class UnregisteredType(Mismatch):
    """A part of a line has a type or a version that is not registered."""


def shown(form: Any) -> str:
    """Return a JSON value for a sentence."""
    text = {"True": "true", "False": "false", "None": "null"}.get(repr(form), repr(form))
    return text if len(text) <= 60 else text[:57] + "..."


def read_each(pairs: Iterable[tuple[Any, Any]], read: Callable[[Any], Any]) -> list[Any]:
    """Read the parts of a list or a mapping, and tell cattrs which one is wrong."""
    found = []
    for key, part in pairs:
        try:
            found.append(read(part))
        except Exception as error:  # noqa: BLE001 -- whatever a hook of the user's own raises
            error.add_note(errors.IterableValidationNote("in a list or a mapping", key, Any))
            raise errors.IterableValidationError("A part is wrong", [error], list) from None
    return found


def explained(error: Exception, name: str) -> tuple[Exception, str]:
    """Return the first thing that is wrong with a line, and a sentence with its path."""
    why, _, path = transform_error(error, name, _why)[0].rpartition(" @ ")
    while isinstance(error, errors.BaseValidationError):
        error = error.exceptions[0]
    return error, re.sub(r"""\[['"](.*?)['"]\]""", r".\1", path) + " " + why


def _why(error: BaseException, _: type | None) -> str:
    match error:
        case Mismatch():
            return str(error)
        case KeyError():
            return "is missing"
        case RecursionError():
            return "is nested too deep to be read"
        case errors.ForbiddenExtraKeysError(extra_fields=names):
            return f"has a field {min(names)!r} that there is not"
        case _:
            return f"is refused by its class: {error!r:.80}"
