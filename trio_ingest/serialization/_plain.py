"""Whether a value can go to the back end as it is, found at the speed of C."""

from __future__ import annotations

from itertools import chain
from math import isfinite
from typing import Any, Final

# Which JSON has forms for, whatever their value (but for numbers and halves of surrogate
# pairs, which the back end refuses).
SCALARS: Final = frozenset({str, int, bool, type(None)})
KEYS: Final = frozenset({str})

_NUMBERS: Final = frozenset({float})
_PARTS: Final = frozenset({dict, list})
_ALL: Final = SCALARS | _NUMBERS | _PARTS

# The walk that tags has the last word about what is deeper or larger.
_LEVELS: Final = 40
_MANY: Final = 100_000


def is_plain(value: Any) -> bool:  # noqa: PLR0911 -- out at the first sign
    """Whether it is made of JSON values only, nowhere with a key that is ours.

    Numbers beyond 64 bits and halves of surrogate pairs are not looked for.
    """
    kind = type(value)
    if kind in SCALARS:
        return True
    if kind is dict:
        if "$" in value:
            return False
        for key in value:
            if type(key) is not str:
                return False
        parts: Any = value.values()
    elif kind is list:
        parts = value
    else:
        return kind is float and isfinite(value)
    # A loop, since most have a few parts only, for which a set of their types takes longer.
    for part in parts:
        if type(part) not in SCALARS:
            break
    else:
        return True
    kinds = {*map(type, parts)}
    if not kinds <= _ALL or not _are_finite(parts, kinds):
        return False
    return kinds.isdisjoint(_PARTS) or _is_plain_below(parts)


def _are_finite(parts: Any, kinds: set[type]) -> bool:
    return float not in kinds or all(isfinite(part) for part in parts if type(part) is float)


def _is_plain_below(parts: Any) -> bool:
    """The same, level by level: what holds itself has more levels than we follow."""
    seen = 0
    for _ in range(_LEVELS):
        mappings = [part for part in parts if type(part) is dict]
        parts = [part for part in parts if type(part) is list]
        seen += sum(map(len, mappings)) + sum(map(len, parts))
        if seen > _MANY:
            return False
        for mapping in mappings:
            if "$" in mapping or not KEYS.issuperset(map(type, mapping)):
                return False
        parts = list(
            chain(*(mapping.values() for mapping in mappings), chain.from_iterable(parts))
        )
        kinds = {*map(type, parts)}
        if not kinds <= _ALL or not _are_finite(parts, kinds):
            return False
        if kinds.isdisjoint(_PARTS):
            return True
    return False
