"""What a field holds by its annotation: how it is written, read and described in a schema."""

from __future__ import annotations

import collections.abc
import datetime
import decimal
import enum
import pathlib
import types
import typing
import uuid
from typing import TYPE_CHECKING, Any, Final

from ._described import opaque
from ._tags import Mismatch, Reader, shown
from ._values import Writer, error_form

if TYPE_CHECKING:
    from ._classes import ClassForm

Schema = dict[str, Any]


class Shape:
    """Anything; also the base of what is more particular."""

    words = "any value"

    def accepts(self, form: Any) -> bool:  # noqa: ARG002 -- others look at it
        """Whether a JSON value is of this shape; what is only described always is."""
        return True

    def write(self, writer: Writer, value: Any, depth: int) -> Any:
        """The value as JSON values; described when it is none that the field may hold."""
        form = writer.value(value, depth)
        return form if is_opaque(form) or self.accepts(form) else _described(writer, value)

    def read(self, reader: Reader, form: Any, path: str) -> Any:
        """The inverse.

        Raises:
            Mismatch: it is no value of this shape.
        """
        if not (is_opaque(form) or self.accepts(form)):
            raise Mismatch(path, f"is {shown(form)}, not {self.words}")
        return reader.value(form, path)

    def schema(self) -> Schema:
        """What a JSON Schema says of it."""
        return {"$ref": "#/$defs/json.value"}


class KindShape(Shape):
    """A value of certain types.

    Args:
        words: what it is, in an error.
        kinds: the types of Python that it has when it needs no tag.
        tags: what it may have else.
    """

    def __init__(self, words: str, kinds: frozenset[type], tags: frozenset[str]) -> None:
        self.words = words
        self.kinds = kinds
        self.tags = tags

    def accepts(self, form: Any) -> bool:
        """As above."""
        if type(form) is dict and "$" in form:
            return type(form["$"]) is str and form["$"] in self.tags
        return type(form) in self.kinds

    def schema(self) -> Schema:
        """As above."""
        options: list[Schema] = [
            _JSON_TYPES[kind] for kind in _JSON_TYPES if kind in self.kinds
        ]
        options += [{"$ref": f"#/$defs/tag.{tag}"} for tag in sorted(self.tags)]
        return {"anyOf": [*options, OPAQUE]}


class LiteralShape(Shape):
    """One of some strings, numbers or words."""

    def __init__(self, choices: tuple[Any, ...]) -> None:
        self.choices = choices
        self.words = "one of " + ", ".join(map(shown, choices))

    def accepts(self, form: Any) -> bool:
        """As above."""
        return any(type(form) is type(one) and form == one for one in self.choices)

    def schema(self) -> Schema:
        """As above."""
        return {"anyOf": [{"enum": list(self.choices)}, OPAQUE]}


class EnumShape(Shape):
    """A member of an enumeration, by its value."""

    def __init__(self, cls: type[enum.Enum]) -> None:
        self.cls = cls
        self.words = f"a value of {cls.__name__}"

    def read(self, reader: Reader, form: Any, path: str) -> Any:
        """As above."""
        value = reader.value(form, path)
        if is_opaque(form):
            return value
        try:
            return self._member(value)
        except Exception as error:
            raise Mismatch(path, f"is {shown(form)}, not {self.words}") from error

    def _member(self, value: Any) -> Any:
        """The member of this value; raises whatever the class raises for none."""
        member = self.cls(value)
        for kind in (bool, float):
            # Since True equals 1, and 1 equals 1.0.
            if isinstance(value, kind) is not isinstance(member._value_, kind):
                raise ValueError(value)
        return member

    def write(self, writer: Writer, value: Any, depth: int) -> Any:
        """As above."""
        if issubclass(type(value), self.cls):
            form = writer.value(value, depth)
            try:
                if self._member(Reader(writer.known).value(form, "")) is value:
                    return form
            except Exception:  # noqa: BLE001, S110 -- its value is one that does not come back
                pass
        return _described(writer, value)


class ErrorShape(Shape):
    """An exception."""

    words = "an exception"

    def accepts(self, form: Any) -> bool:
        """As above."""
        return type(form) is dict and form.keys() == {"type", "message", "notes"}

    def write(self, writer: Writer, value: Any, depth: int) -> Any:  # noqa: ARG002 -- as others
        """As above."""
        if issubclass(type(value), BaseException):
            return error_form(value)
        return _described(writer, value)

    def read(self, reader: Reader, form: Any, path: str) -> Any:
        """As above."""
        if is_opaque(form):
            return reader.value(form, path)
        if type(form) is not dict:
            raise Mismatch(path, f"is {shown(form)}, not {self.words}")
        check_keys(reader, form, ("type", "message", "notes"), path)
        return reader.error(form, path)

    def schema(self) -> Schema:
        """As above."""
        return {"anyOf": [{"$ref": "#/$defs/json.error"}, OPAQUE]}


class ObjectShape(Shape):
    """An object of a class that the codec was told of, without a tag.

    Args:
        form: of its class.
    """

    def __init__(self, form: ClassForm) -> None:
        self.form = form
        self.words = f"an object with the fields of {form.name}"

    def write(self, writer: Writer, value: Any, depth: int) -> Any:
        """As above."""
        if type(value) is self.form.cls:
            return writer.inside(value, depth, self.form.write)
        if isinstance(value, self.form.cls) and type(value) in writer.known.by_type:
            return writer.value(value, depth)
        return _described(writer, value)

    def read(self, reader: Reader, form: Any, path: str) -> Any:
        """As above."""
        if type(form) is not dict:
            raise Mismatch(path, f"is {shown(form)}, not {self.words}")
        if "$" not in form:
            return self.form.read(reader, form, path)
        value = reader.value(form, path)
        if not is_opaque(form) and not isinstance(value, self.form.cls):
            raise Mismatch(path, f"is {shown(form)}, not {self.words}")
        return value

    def schema(self) -> Schema:
        """As above."""
        tagged = {"$ref": "#/$defs/tag.object"}
        return {"anyOf": [{"$ref": f"#/$defs/{self.form.name}.fields"}, tagged, OPAQUE]}


class OptionalShape(Shape):
    """None, or what another shape says."""

    def __init__(self, inner: Shape) -> None:
        self.inner = inner
        self.words = f"{inner.words} or null"

    def accepts(self, form: Any) -> bool:
        """As above."""
        return form is None or self.inner.accepts(form)

    def write(self, writer: Writer, value: Any, depth: int) -> Any:
        """As above."""
        return None if value is None else self.inner.write(writer, value, depth)

    def read(self, reader: Reader, form: Any, path: str) -> Any:
        """As above."""
        if form is None:
            return None
        try:
            return self.inner.read(reader, form, path)
        except Mismatch as error:
            if error.path != path or not error.why.endswith(self.inner.words):
                raise
            raise Mismatch(path, f"{error.why} or null") from error

    def schema(self) -> Schema:
        """As above."""
        return {
            "anyOf": [
                {"type": "null"},
                *self.inner.schema().get("anyOf", [self.inner.schema()]),
            ]
        }


OPAQUE: Final[Schema] = {"$ref": "#/$defs/tag.opaque"}
ANY: Final = Shape()
_JSON_TYPES: Final[dict[type, Schema]] = {
    type(None): {"type": "null"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    str: {"type": "string"},
    list: {"type": "array", "items": {"$ref": "#/$defs/json.value"}},
    dict: {"$ref": "#/$defs/json.mapping"},
}


def is_opaque(form: Any) -> bool:
    """Whether a value was only described, which every field may hold."""
    return type(form) is dict and form.get("$") == "opaque"


def check_keys(
    reader: Reader, form: dict[str, Any], names: collections.abc.Collection[str], path: str
) -> None:
    """That the fields are these.

    Raises:
        Mismatch: one is missing, or one is unknown and the reader does not put it apart.
    """
    for name in names:
        if name not in form:
            raise Mismatch(f"{path}.{name}", "is missing")
    for name in form.keys() - names if len(form) != len(names) else ():
        if reader.apart is None:
            raise Mismatch(f"{path}.{name}", "is a field that there is not")
        reader.apart[f"{path}.{name}".partition(".")[2]] = form[name]


def _described(writer: Writer, value: Any) -> Any:
    if type(value) in {dict, list, tuple, set, frozenset}:
        return writer.described(value)
    return writer.value(opaque(value), 0)


def _kind(words: str, *kinds: type, tags: str = "") -> KindShape:
    return KindShape(words, frozenset(kinds), frozenset(tags.split()))


_SIMPLE: Final[dict[Any, KindShape]] = {
    type(None): _kind("null", type(None)),
    None: _kind("null", type(None)),
    str: _kind("a string", str, tags="str"),
    int: _kind("a whole number", int, tags="int"),
    bool: _kind("true or false", bool),
    float: _kind("a number", int, float, tags="float int"),
    bytes: _kind("bytes", tags="bytes"),
    datetime.datetime: _kind("a datetime", tags="datetime"),
    datetime.date: _kind("a date", tags="date datetime"),
    datetime.time: _kind("a time", tags="time"),
    datetime.timedelta: _kind("a timedelta", tags="timedelta"),
    decimal.Decimal: _kind("a Decimal", tags="Decimal"),
    uuid.UUID: _kind("a UUID", tags="UUID"),
    pathlib.Path: _kind("a Path", tags="Path"),
    pathlib.PurePath: _kind("a path", tags="Path PurePosixPath PureWindowsPath"),
    list: _kind("a list", list),
    tuple: _kind("a tuple", tags="tuple"),
    set: _kind("a set", tags="set"),
    frozenset: _kind("a frozenset", tags="frozenset"),
    dict: _kind("a mapping", dict, tags="dict"),
    collections.abc.Mapping: _kind("a mapping", dict, tags="dict"),
    collections.abc.Sequence: _kind("a list or tuple", list, str, tags="tuple bytes str"),
}


def shape_of(  # noqa: PLR0911 -- a case for each kind
    annotation: Any, told: dict[type, ClassForm]
) -> Shape:
    """What a field holds that is annotated so; anything, when that cannot be told.

    Args:
        annotation: the annotation, resolved.
        told: the classes that the codec was told of.
    """
    if typing.get_origin(annotation) is typing.Annotated:
        return shape_of(typing.get_args(annotation)[0], told)
    origin = typing.get_origin(annotation)
    if origin in {typing.Union, types.UnionType}:
        return _union(typing.get_args(annotation), told)
    if origin is typing.Literal:
        return _literal(typing.get_args(annotation))
    kind = origin or annotation
    if not isinstance(kind, type | None):
        return ANY
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if kind in told:
        return ObjectShape(told[kind])
    if isinstance(kind, type) and issubclass(kind, BaseException):
        return ErrorShape()
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return EnumShape(kind)
    return ANY


def _literal(choices: tuple[Any, ...]) -> Shape:
    kinds = {*map(type, choices)}
    if kinds <= {str, int, bool, type(None)}:
        return LiteralShape(choices)
    [kind, *others] = kinds
    return EnumShape(kind) if not others and issubclass(kind, enum.Enum) else ANY


def _union(options: tuple[Any, ...], told: dict[type, ClassForm]) -> Shape:
    rest = [option for option in options if option is not type(None)]
    shapes = [shape_of(option, told) for option in rest]
    shape: Shape = shapes[0]
    if len(shapes) > 1:
        if not all(isinstance(one, KindShape) for one in shapes):
            return ANY
        simple = [one for one in shapes if isinstance(one, KindShape)]
        shape = KindShape(
            " or ".join(one.words for one in simple),
            frozenset().union(*(one.kinds for one in simple)),
            frozenset().union(*(one.tags for one in simple)),
        )
    return OptionalShape(shape) if len(rest) < len(options) else shape
