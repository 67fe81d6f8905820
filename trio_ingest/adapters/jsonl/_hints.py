"""Hints for a line that is no document: the likely mistake, and the fields that are there."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

_NAMES_SHOWN: Final = 5
# Five of them and the sentence around them are about 200 characters, two lines of a terminal.
_NAME_CHARACTERS: Final = 28

# The start of a file is there, and a line may be as long as the memory allows.
_INSPECTED_CHARACTERS: Final = 200


def other_shape(line_number: int, text: str) -> str:
    """Return a sentence on the form of the whole file, by its first line; "" if none shows."""
    if line_number != 1:
        return ""
    start = text[:_INSPECTED_CHARACTERS].strip()
    if start.startswith("["):
        return (
            " The file seems to be one JSON array; make lines of it: "
            "jq -c '.[]' FILE > FILE.jsonl."
        )
    if start == "{":
        return (
            " The file seems to be JSON over several lines; make one of each: "
            "jq -c . FILE > FILE.jsonl."
        )
    return ""


def fields_there(names: Iterable[str]) -> str:
    """Return a clause with the fields that the line has instead of the missing one."""
    shown = [_short_name(name) for name in islice(names, _NAMES_SHOWN + 1)]
    if not shown:
        return "; the line has no fields"
    if len(shown) > _NAMES_SHOWN:
        shown[-1] = "…"
    return f"; the line has {', '.join(shown)}"


def _short_name(name: str) -> str:
    # Cut after it is quoted: one character may be ten of an escape.
    quoted = repr(name[:_NAME_CHARACTERS])
    if len(name) <= _NAME_CHARACTERS and len(quoted) <= _NAME_CHARACTERS:
        return quoted
    return f"{quoted[: _NAME_CHARACTERS - 1]}…"
