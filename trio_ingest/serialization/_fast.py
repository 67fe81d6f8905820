"""Writing faster, by an expression for each class, what is nothing but JSON to orjson too."""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final

from trio_ingest import Checkpoint, Document

from . import _values
from ._hooks import UNIONS, Hooks
from ._registry import ClassRegistry

_PLAIN: Final = frozenset({str, int, bool, type(None)})
# Where {0} is a field, given the name {1}.
_CHECKS: Final[dict[Any, str]] = {
    **{kind: f"{{0}}.__class__ is {kind.__name__}" for kind in (str, int, bool)},
    float: "{0}.__class__ is float and {1} - {1} == 0.0",
    Mapping: "{0}.__class__ is dict and (_PLAIN.issuperset(map(type, {1}.values())) "
    "and '$' not in {1} or _left({1}) >= 0)",
    Checkpoint: "type({0}) is Checkpoint and _left([p.cursor for p in {1}.positions]) >= 0",
    Any: "_left({0}) >= 0",
}


def writers(hooks: Hooks, dumps: Any) -> dict[type, Callable[[Any], Any]]:
    """Return, by class, what makes a line, or fails as orjson does with what it refuses."""
    registry, made = hooks.registry, dict[type, Callable[[Any], Any]]()
    own, hook_of = hooks.values.levels, hooks.converter.get_unstructure_hook
    for cls in filter(registry.version_of, registry.names):
        with contextlib.suppress(KeyError):  # of a field that only the hooks can write
            check, items = _parts(registry, cls, "item")
            items = f"'type': {cls.__name__!r}, 'version': {registry.version_of(cls)}, {items}"
            if own.keys() >= {hook_of(cls), hook_of(Document)}:
                source = f"lambda item: dumps({{{items}}} if {check} else ...)"
                made[cls] = eval(source, {**globals(), "dumps": dumps})  # noqa: S307 -- of names
    return made


def _parts(registry: ClassRegistry, cls: Any, holder: str) -> tuple[str, str]:
    checks, items = [], []
    for number, field in enumerate(registry.fields_of(cls)):
        origin, args = typing.get_origin(field.type.of), typing.get_args(field.type.of)
        is_optional = origin in UNIONS and args[1:] == (type(None),)
        kind = args[0] if is_optional else origin or field.type.of
        name = item = f"{holder}_{number}"
        given = f"({name} := {holder}.{field.name})"
        if kind is Document:
            inner, inside = _parts(registry, kind, name)
            check = f"{given}.__class__ is Document and {inner}"
            item = f"{name} and {{{inside}}}"
        else:
            check = _CHECKS[kind].format(given, name)
            item = f"{name} and {name}.to_dict()" if kind is Checkpoint else name
        if is_optional:
            check = f"({given} is None or {check.replace(given, name)})"
        checks.append(check)
        items.append(f"{field.name!r}: {item}")
    return " and ".join(checks), ", ".join(items)


def _left(value: Any, left: int | None = None, depth: int = 90) -> int:
    """Return how many parts more may be looked at; less than 0 if a value is no plain JSON."""
    left = _values.MOST_PARTS if left is None else left
    kind = value.__class__
    if kind is not list and (kind is not dict or "$" in value):
        is_plain = kind in _PLAIN or (kind is float and value - value == 0.0)
        return left if is_plain else -1
    parts = value if kind is list else value.values()
    left -= len(parts)
    for part in parts:
        if part.__class__ not in _PLAIN:
            left = _left(part, left, depth - 1) if depth else -1
        if left < 0:
            return -1
    return left
