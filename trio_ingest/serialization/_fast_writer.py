"""Writing the fast way: one function, with the code for each class that one writes by hand.

The function looks whether all that an event holds is plain JSON, and if so hands it to the
back end as it is. Otherwise, or when that refuses it, the forms of ``_classes`` write it,
which find a form for anything. What has to be looked for is what the back end would write
as something else, silently: NaN, tuples, UUIDs, members of enumerations, our own key ``$``,
and values of the wrong type.

It is written out, loops and all, since the budget is half of what a dict literal and a call of
orjson take: that is no more than a few calls of Python functions.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final

from trio_ingest import Checkpoint

from ._backends import BackEnd
from ._classes import CheckpointForm, ClassForm, Known
from ._described import RecordedError, error_parts
from ._fast_reader import holds_itself
from ._plain import KEYS, SCALARS, is_plain
from ._shapes import ErrorShape, KindShape, LiteralShape, ObjectShape, OptionalShape, Shape
from ._values import Writer

# One mapping for all events of an adapter run: looked at once, and then compared.
_SHARED: Final = frozenset({"parameters", "adapter_metadata"})
_LARGEST_SHARED: Final = 100
_MOST_SHARED: Final = 64

# Equal to no value at all, None included.
_NOTHING: Final = object()

# A class within a class within a class: what is deeper, or makes too much code, is written
# by its form. Python has a limit to levels of indentation.
_DEEPEST: Final = 12
_MOST_LINES: Final = 5000

_INDENT: Final = "    "
_NAMES: Final[dict[type, str]] = {str: "STR", int: "INT", bool: "BOOL", float: "FLOAT"}


class _Unfit(Exception):
    """This is not for the fast way."""


def fast_encode(
    known: Known, back_end: BackEnd, slow: Callable[[Any], bytes]
) -> Callable[[Any], bytes]:
    """The function that makes a line of an event.

    Args:
        known: the classes that it is written for.
        back_end: makes the text.
        slow: does it for everything else.
    """
    return _Source(known, back_end).function(slow)


def _checkpoint_fields(value: Any) -> dict[str, Any]:
    if type(value) is not Checkpoint:
        raise _Unfit
    form: dict[str, Any] = value.to_dict()
    for position in form["positions"]:
        cursor = position["cursor"]
        if type(cursor) not in SCALARS and not is_plain(cursor):
            raise _Unfit
    return form


def _error_fields(error: Any) -> dict[str, Any]:
    if type(error) is RecordedError and "__notes__" not in vars(error):
        name, message = error.type_name, error.message
        if type(name) is type(message) is str:
            return {"type": name, "message": message, "notes": []}
    if not issubclass(type(error), BaseException):
        raise _Unfit
    name, message, notes = error_parts(error)
    return {"type": name, "message": message, "notes": list(notes)}


class _Shared:
    """The shared mappings that were looked at, as they were then."""

    def __init__(self) -> None:
        self._seen: dict[int, Any] = {}

    def looked_at(self, value: Any) -> Any:
        """A copy of a mapping, when it is plain JSON: what equals it is plain as well.

        For what equals a JSON value and is none, the back end writes the same value, or
        refuses it.
        """
        seen = self._seen.get(id(value))
        if seen is not None and seen == value:
            return seen
        if value.__class__ is not dict or not is_plain(value):
            raise _Unfit
        copy = _copy(value)
        if _size(copy) > _LARGEST_SHARED:
            return _NOTHING
        if len(self._seen) >= _MOST_SHARED:
            self._seen.clear()
        self._seen[id(value)] = copy
        return copy


def _copy(value: Any) -> Any:
    if value.__class__ is dict:
        return {key: _copy(part) for key, part in value.items()}
    return [_copy(part) for part in value] if value.__class__ is list else value


def _size(value: Any) -> int:
    if value.__class__ is dict:
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if value.__class__ is list else 1


class _Source:
    """Collects the source of the function, and what it names."""

    def __init__(self, known: Known, back_end: BackEnd) -> None:
        self.known = known
        self.back_end = back_end
        # A closure's variables are found faster than a module's.
        self.given: dict[str, Any] = {
            **{name: kind for kind, name in _NAMES.items()},
            "type": type,
            "DICT": dict,
            "LIST": list,
            "SCALARS": SCALARS,
            "KEYS": KEYS,
            "UNFIT": _Unfit,
            "NOTHING": _NOTHING,
            "isfinite": isfinite,
            "is_plain": is_plain,
            "error_fields": _error_fields,
            "checkpoint_fields": _checkpoint_fields,
            "looked_at": _Shared().looked_at,
            "dumps": back_end.dumps,
            "options": back_end.options,
        }
        self.shared: list[str] = []
        self.lines: list[str] = []
        self.variables = 0

    def function(self, slow: Callable[[Any], bytes]) -> Callable[[Any], bytes]:
        """The function."""
        self.given["slow"] = slow
        for form in self.known.by_type.values():
            if form.version is not None:
                self.branch(form)
        body = ["try:", *self.lines, "except MemoryError:", f"{_INDENT}raise"]
        body += ["except Exception:", f"{_INDENT}pass", "return slow(item)"]
        own = [f"nonlocal {', '.join(self.shared)}"] if self.shared else []
        own += ["kind = item.__class__"]
        source = [
            f"def make({', '.join(self.given)}):",
            *(f"{_INDENT}{name} = NOTHING" for name in self.shared),
            f"{_INDENT}def encode(item):",
            *(f"{_INDENT * 2}{line}" for line in [*own, *body]),
            f"{_INDENT}return encode",
        ]
        scope: dict[str, Any] = {}
        exec(compile("\n".join(source), "<encode, by trio_ingest>", "exec"), scope)
        made: Callable[[Any], bytes] = scope["make"](**self.given)
        return made

    def branch(self, form: ClassForm) -> None:
        """What is done for one class."""
        # The same names again: a frame with a hundred variables takes longer to make.
        self.variables = 0
        self.add(1, f"if kind is {self.named(form.cls)}:")
        if isinstance(form, CheckpointForm):
            made = f"{{'type': {form.name!r}, **checkpoint_fields(item)}}"
        else:
            first = f"'type': {form.name!r}, 'version': {form.version!r}, "
            made = f"{{{first}{self.fields(form, 'item', 2)}}}"
        call = (
            f"dumps({made})"
            if self.back_end.options is None
            else f"dumps({made}, None, options)"
        )
        self.add(2, f"return {call}")

    def add(self, level: int, line: str) -> None:
        """One line."""
        self.lines.append(_INDENT * level + line)

    def named(self, value: Any) -> str:
        """A name for a value that the function needs."""
        name = f"given_{len(self.given)}"
        self.given[name] = value
        return name

    def variable(self) -> str:
        """A name that is not taken."""
        self.variables += 1
        return f"v{self.variables}"

    def fields(self, form: ClassForm, holder: str, level: int) -> str:
        """The items of a dict literal; the lines before it see whether they may be so."""
        variables = [self.variable() for _ in form.fields]
        for field, name in zip(form.fields, variables, strict=True):
            self.add(level, f"{name} = {holder}.{field.name}")
        self.simple(zip((field.shape for field in form.fields), variables, strict=True), level)
        items = [
            f"{field.name!r}: {self.written(field.name, field.shape, name, level)}"
            for field, name in zip(form.fields, variables, strict=True)
        ]
        return ", ".join(items)

    def simple(self, fields: Any, level: int) -> None:
        """See to the strings and numbers, all at once."""
        wrong, floats = [], []
        for shape, name in fields:
            kind = _simple_kind(shape)
            if kind is None:
                continue
            is_wrong = f"type({name}) is not {_NAMES[kind]}"
            if isinstance(shape, OptionalShape):
                if kind is float:
                    is_wrong = f"({is_wrong} or not isfinite({name}))"
                wrong.append(f"{name} is not None and {is_wrong}")
            else:
                wrong.append(is_wrong)
                floats += [name] if kind is float else []
        if floats:
            wrong.append(f"not isfinite({' + '.join(floats)})")
        if wrong:
            self.add(level, f"if {' or '.join(wrong)}:")
            self.add(level + 1, "raise UNFIT")

    def written(self, field: str, shape: Shape, name: str, level: int) -> str:
        """The expression that writes a variable."""
        if _simple_kind(shape) is not None:
            return name
        if not isinstance(shape, OptionalShape):
            return self.whole(field, shape, name, level)
        if type(shape.inner) is Shape:
            return self.whole(field, shape.inner, name, level)
        made = self.variable()
        self.add(level, f"{made} = None")
        self.add(level, f"if {name} is not None:")
        self.add(level + 1, f"{made} = {self.whole(field, shape.inner, name, level + 1)}")
        return made

    def whole(  # noqa: PLR0911 -- a case for each kind
        self, field: str, shape: Shape, name: str, level: int
    ) -> str:
        """The expression for a value that is not None; before it, the lines that it needs."""
        if type(shape) is Shape:
            self.anything(name, level)
            return name
        if isinstance(shape, KindShape) and shape.kinds == {dict}:
            if field in _SHARED:
                self.shared_mapping(name, level)
            else:
                self.refuse_if(f"type({name}) is not DICT", level)
                self.mapping(name, level)
            return name
        if isinstance(shape, KindShape) and shape.kinds == {list}:
            self.refuse_if(f"type({name}) is not LIST or not is_plain({name})", level)
            return name
        if isinstance(shape, LiteralShape) and {*map(type, shape.choices)} == {str}:
            choices = self.named(frozenset(shape.choices))
            self.refuse_if(f"type({name}) is not STR or {name} not in {choices}", level)
            return name
        if isinstance(shape, ErrorShape):
            return f"error_fields({name})"
        if isinstance(shape, ObjectShape) and isinstance(shape.form, CheckpointForm):
            return f"checkpoint_fields({name})"
        if isinstance(shape, ObjectShape) and self.has_room(shape.form, level):
            self.refuse_if(f"type({name}) is not {self.named(shape.form.cls)}", level)
            return f"{{{self.fields(shape.form, name, level)}}}"
        known = self.known
        return f"{self.named(lambda value: shape.write(Writer(known), value, 1))}({name})"

    def has_room(self, form: ClassForm, level: int) -> bool:
        """Whether the code of a class within can stand there."""
        fits = level < _DEEPEST and len(self.lines) < _MOST_LINES
        return fits and not holds_itself(form)

    def refuse_if(self, condition: str, level: int) -> None:
        """Leave the fast way."""
        self.add(level, f"if {condition}:")
        self.add(level + 1, "raise UNFIT")

    def shared_mapping(self, name: str, level: int) -> None:
        """See to a mapping that is most often the same as last time."""
        last = f"last_{len(self.shared)}"
        self.shared.append(last)
        self.add(level, f"if {name} != {last}:")
        self.add(level + 1, f"{last} = looked_at({name})")

    def anything(self, name: str, level: int) -> None:
        """See to a value that may be anything."""
        kind = self.variable()
        self.add(level, f"{kind} = type({name})")
        self.add(level, f"if {kind} is DICT:")
        self.mapping(name, level + 1)
        self.add(level, f"elif {kind} not in SCALARS and not is_plain({name}):")
        self.add(level + 1, "raise UNFIT")

    def mapping(self, name: str, level: int) -> None:
        """See to a dict, with a list of strings in it at no great cost."""
        part, kind, inner = self.variable(), self.variable(), self.variable()
        self.refuse_if(f"'$' in {name}", level)
        if self.back_end.takes_any_key:
            self.refuse_if(f"not KEYS.issuperset(map(type, {name}))", level)
        self.add(level, f"for {part} in {name}.values():")
        self.add(level + 1, f"if type({part}) is not STR:")
        self.add(level + 2, f"{kind} = type({part})")
        self.add(level + 2, f"if {kind} is LIST:")
        self.add(level + 3, f"for {inner} in {part}:")
        self.add(level + 4, f"if type({inner}) is not STR and not is_plain({inner}):")
        self.add(level + 5, "raise UNFIT")
        self.add(level + 2, f"elif {kind} is FLOAT:")
        self.add(level + 3, f"if {part} - {part} != 0.0:")
        self.add(level + 4, "raise UNFIT")
        self.add(level + 2, f"elif {kind} is not INT and not is_plain({part}):")
        self.add(level + 3, "raise UNFIT")


def _simple_kind(shape: Shape) -> type | None:
    """The type of a string or a number, with or without None."""
    inner = shape.inner if isinstance(shape, OptionalShape) else shape
    if not isinstance(inner, KindShape):
        return None
    if inner.kinds == {int, float}:
        return float
    [*kinds] = inner.kinds
    return kinds[0] if len(kinds) == 1 and kinds[0] in _NAMES else None
