"""What a line that is no document may be instead, said so that a person sees the mistake."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

_NAMES_SHOWN: Final = 5
_NAME_CHARACTERS: Final = 30


def other_shape(line_number: int, text: str) -> str:
    """What the whole file seems to be, told by its first line; empty where nothing shows."""
    if line_number != 1:
        return ""
    start = text.strip()
    if start.startswith("["):
        return " The file seems to be one JSON array; jq -c '.[]' FILE makes lines of it."
    if start == "{":
        return " The file seems to be JSON over several lines; jq -c . FILE makes lines of it."
    return ""


def fields_there(names: Iterable[str]) -> str:
    """Which fields there are instead of the one that is missing."""
    shown = [repr(name[:_NAME_CHARACTERS]) for name in islice(names, _NAMES_SHOWN + 1)]
    if not shown:
        return "; there is none at all"
    if len(shown) > _NAMES_SHOWN:
        shown[-1] = "…"
    return f"; there are {', '.join(shown)}"
