"""Any value as JSON values: what JSON has no form for becomes a mapping with the key ``$``."""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import json
import numbers
import pathlib
import re
import uuid
from collections.abc import Callable, Mapping
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from ._backends import LEAST, MOST
from ._described import OpaqueValue, error_parts, name_of, opaque
from ._tags import Reader

if TYPE_CHECKING:
    from ._classes import Known

# In levels of JSON, of which orjson takes 254: what is deeper is described.
_DEEPEST: Final = 100

# Parts of one event; a value whose parts are shared again and again has no end to speak of.
_MOST_PARTS: Final = 1_000_000

# Of a mapping that is not Python's own, which may make new ones for ever.
_MOST_ITEMS: Final = 100_000

_TO_ESCAPE: Final = re.compile("[\\\\\ud800-\udfff]")

_Form: TypeAlias = Callable[["Writer", Any, int], Any]


class Writer:
    """Writes the values of one event.

    Args:
        known: the classes that the codec was told of.

    Never raises, but for ``MemoryError``: what cannot be written is described.
    """

    def __init__(self, known: Known) -> None:
        self.known = known
        self._left = _MOST_PARTS
        # The ids of all that hold the value being written.
        self._around: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        """A value as JSON values.

        Args:
            value: anything.
            depth: how many levels of JSON are around it.
        """
        kind = type(value)
        self._left -= 1
        if self._left < 0:
            return cut(value, "with too many parts around it")
        if value is None or kind is bool:
            return value
        try:
            form = _FORMS.get(kind) or self._form_of(kind)
            if form in _CONTAINERS:
                return self.inside(value, depth, form)
            return form(self, value, depth)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 -- whatever a user's methods raise
            return self.described(value)

    def inside(self, value: Any, depth: int, form: _Form) -> Any:
        """What ``form`` makes of a value with parts, unless that would have no end."""
        if id(value) in self._around:
            # Before it is too deep: what holds itself twice doubles with each level.
            return cut(value, "which holds itself")
        if depth >= _DEEPEST:
            return cut(value, "nested too deep")
        self._around.add(id(value))
        try:
            return form(self, value, depth)
        finally:
            self._around.discard(id(value))

    def described(self, value: Any) -> Any:
        """The tag of a value that is only described."""
        kind = type(value)
        if issubclass(kind, dict | list | tuple | set | frozenset | Mapping):
            # Not by its repr, which may have as little end as the value.
            return cut(value, "which cannot be written")
        return _opaque(self, opaque(value), 0)

    def _form_of(self, kind: type) -> _Form:  # noqa: PLR0911 -- a case for each kind
        if kind in self.known.by_type:
            return _object
        if issubclass(kind, enum.Enum):
            return _enum
        for base in kind.__mro__[1:]:
            if base in _FORMS and base is not OpaqueValue:
                return _FORMS[base]
        if issubclass(kind, BaseException):
            return _error
        if issubclass(kind, Mapping):
            return _mapping
        if issubclass(kind, numbers.Integral):
            return _integral
        return _described


def cut(value: Any, why: str) -> dict[str, Any]:
    """The tag of a value with parts that are not written."""
    name = name_of(type(value))
    return {"$": "opaque", "class": text_form(name), "text": f"<{text_form(name)}, {why}>"}


def text_form(text: str) -> Any:
    """A text, tagged when it has halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        escaped = _TO_ESCAPE.sub(lambda found: _escape(found[0]), text)
        return {"$": "str", "value": escaped}
    return text


def _escape(character: str) -> str:
    return "\\\\" if character == "\\" else f"\\u{ord(character):04x}"


def _text(_: Writer, value: Any, _depth: int) -> Any:
    return text_form(str.__str__(value))


def _int(_: Writer, value: Any, _depth: int) -> Any:
    number = int.__index__(value)
    if LEAST <= number <= MOST:
        return number
    # Not in digits, of which Python reads and writes so many and no more.
    return {"$": "int", "value": hex(number)}


def _integral(writer: Writer, value: Any, depth: int) -> Any:
    return _int(writer, int(value), depth)


def _float(_: Writer, value: Any, _depth: int) -> Any:
    number = float.__pos__(value)
    if number - number == 0.0:
        return number
    return {"$": "float", "value": float.__repr__(number)}


def _enum(writer: Writer, value: Any, depth: int) -> Any:
    return (
        writer.value(value._value_, depth + 1) if depth < _DEEPEST else cut(value, "too deep")
    )


def _bytes(_: Writer, value: Any, _depth: int) -> Any:
    return {"$": "bytes", "value": base64.b64encode(value).decode("ascii")}


def _datetime(_: Writer, value: Any, _depth: int) -> Any:
    form: dict[str, Any] = {"$": "datetime", "value": datetime.datetime.isoformat(value)}
    if datetime.datetime.fromisoformat(form["value"]).utcoffset() != value.utcoffset():
        # Some releases of Python read an offset of less than a second as none.
        return _described(_, value, _depth)
    return {**form, "fold": 1} if value.fold else form


def _time(_: Writer, value: Any, _depth: int) -> Any:
    form: dict[str, Any] = {"$": "time", "value": datetime.time.isoformat(value)}
    datetime.time.fromisoformat(form["value"])
    return {**form, "fold": 1} if value.fold else form


def _date(_: Writer, value: Any, _depth: int) -> Any:
    return {"$": "date", "value": datetime.date.isoformat(value)}


def _timedelta(_: Writer, value: Any, _depth: int) -> Any:
    return {"$": "timedelta", "value": [value.days, value.seconds, value.microseconds]}


def _decimal(_: Writer, value: Any, _depth: int) -> Any:
    return {"$": "Decimal", "value": decimal.Decimal.__str__(value)}


def _uuid(_: Writer, value: Any, _depth: int) -> Any:
    return {"$": "UUID", "value": uuid.UUID.__str__(value)}


def _path(_: Writer, value: Any, _depth: int) -> Any:
    kind = "Path"
    if not isinstance(value, pathlib.Path):
        is_windows = isinstance(value, pathlib.PureWindowsPath)
        kind = "PureWindowsPath" if is_windows else "PurePosixPath"
    return {"$": kind, "value": text_form(str(value))}


def _list(writer: Writer, value: Any, depth: int) -> Any:
    return [writer.value(part, depth + 1) for part in list.__iter__(value)]


def _tuple(writer: Writer, value: Any, depth: int) -> Any:
    parts = [writer.value(part, depth + 2) for part in tuple.__iter__(value)]
    return {"$": "tuple", "value": parts}


def _set(writer: Writer, value: Any, depth: int) -> Any:
    kind = set if isinstance(value, set) else frozenset
    found = {}
    for part in list(kind.__iter__(value)):
        form = _hashable(writer, part, depth + 2)
        found[json.dumps(form, sort_keys=True)] = form
    # In an order that the next run has as well.
    return {"$": kind.__name__, "value": [found[text] for text in sorted(found)]}


def _hashable(writer: Writer, part: Any, depth: int) -> Any:
    """A part of a set, or a key, in a form that can be one again when it is read."""
    form = writer.value(part, depth)
    if isinstance(form, dict | list):
        try:
            hash(_read(writer, form))
        except Exception:  # noqa: BLE001 -- it cannot
            return _opaque(writer, opaque(part), depth)
    return form


def _read(writer: Writer, form: Any) -> Any:
    return Reader(writer.known).value(form, "")


def _dict(writer: Writer, value: Any, depth: int) -> Any:
    # By the dict's own method: a subclass may have another idea of its items.
    return _items(writer, value, list(dict.items(value)), depth)


def _mapping(writer: Writer, value: Any, depth: int) -> Any:
    found = list(islice(value.items(), _MOST_ITEMS + 1))
    if len(found) > _MOST_ITEMS:
        return cut(value, "with too many items")
    return _items(writer, value, found, depth)


def _items(writer: Writer, value: Any, items: list[Any], depth: int) -> Any:
    names = [key for key, _ in items]
    if not _are_names(names):
        names = [_hashable(writer, key, depth + 3) for key in names]
        if len({_read(writer, name) for name in names}) != len(names):
            return cut(value, "two keys of which would be read as one")
        if not _are_names(names):
            pairs = zip(names, items, strict=True)
            written = [[name, writer.value(part, depth + 3)] for name, (_, part) in pairs]
            return {"$": "dict", "value": written}
    return {
        name: writer.value(part, depth + 1)
        for name, (_, part) in zip(names, items, strict=True)
    }


def _are_names(keys: list[Any]) -> bool:
    """Whether they can be the keys of a JSON object, and none is ours."""
    if not {*map(type, keys)} <= {str} or "$" in keys:
        return False
    try:
        "".join(keys).encode()
    except UnicodeEncodeError:
        return False
    return True


def _error(_: Writer, value: Any, _depth: int) -> Any:
    return {"$": "error", **error_form(value)}


def error_form(error: BaseException) -> dict[str, Any]:
    """An exception as JSON values, without a tag."""
    type_name, message, notes = error_parts(error)
    return {
        "type": text_form(type_name),
        "message": text_form(message),
        "notes": [text_form(note) for note in notes],
    }


def _opaque(_: Writer, value: Any, _depth: int) -> Any:
    return {
        "$": "opaque",
        "class": text_form(value.type_name),
        "text": text_form(value.text),
    }


def _object(writer: Writer, value: Any, depth: int) -> Any:
    form = writer.known.by_type[type(value)]
    return {"$": "object", "class": form.name, "value": form.write(writer, value, depth + 1)}


def _described(writer: Writer, value: Any, depth: int) -> Any:
    return _opaque(writer, opaque(value), depth)


_FORMS: Final[dict[type, _Form]] = {
    str: _text,
    int: _int,
    float: _float,
    bytes: _bytes,
    bytearray: _bytes,
    # Before the date, which it is as well.
    datetime.datetime: _datetime,
    datetime.date: _date,
    datetime.time: _time,
    datetime.timedelta: _timedelta,
    decimal.Decimal: _decimal,
    uuid.UUID: _uuid,
    pathlib.PurePath: _path,
    list: _list,
    tuple: _tuple,
    set: _set,
    frozenset: _set,
    dict: _dict,
    MappingProxyType: _mapping,
    OpaqueValue: _described,
}
_CONTAINERS: Final = frozenset({_list, _tuple, _set, _dict, _mapping, _object, _enum})
