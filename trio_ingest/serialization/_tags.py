"""The inverse: JSON values with tags, and what they stand for."""

from __future__ import annotations

import base64
import datetime
import decimal
import pathlib
import re
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NoReturn

from ._described import OpaqueValue, RecordedError

if TYPE_CHECKING:
    from ._classes import Known

_ESCAPED: Final = re.compile(r"\\(\\|ud[89a-f][0-9a-f]{2})")
_NUMBERS: Final = frozenset({"nan", "inf", "-inf"})
_SHOWN: Final = 60


class Mismatch(Exception):
    """A part of a line is not what it should be.

    Args:
        path: which part.
        why: the rest of the sentence.
    """

    def __init__(self, path: str, why: str) -> None:
        super().__init__(path, why)
        self.path = path
        self.why = why


class Untold(Exception):
    """A line has a type or a version that the codec was not told of; its text says which."""


class Reader:
    """Reads the values of one event.

    Args:
        known: the classes that the codec was told of.
        apart: takes the unknown fields by their paths; None refuses them.
    """

    def __init__(self, known: Known, apart: dict[str, Any] | None = None) -> None:
        self.known = known
        self.apart = apart

    def value(self, form: Any, path: str) -> Any:
        """What a JSON value stands for.

        Raises:
            Mismatch: a tag in it is damaged.
        """
        kind = type(form)
        if kind is dict:
            if "$" in form:
                return self._tagged(form, path)
            return {key: self.value(part, f"{path}.{key}") for key, part in form.items()}
        if kind is list:
            return [self.value(part, f"{path}[{n}]") for n, part in enumerate(form)]
        return form

    def _tagged(self, form: dict[str, Any], path: str) -> Any:
        tag = form["$"]
        read = _TAGS.get(tag) if type(tag) is str else None
        if read is None:
            raise Mismatch(path, f"has the tag {shown(tag)}, which there is not")
        keys, function = read
        if form.keys() - keys - {"$", *(("fold",) if tag in _FOLDED else ())}:
            raise Mismatch(path, f"has more than the tag {tag!r} has")
        for key in keys:
            if key not in form:
                raise Mismatch(f"{path}.{key}", "is missing")
        try:
            return function(self, form, path)
        except (Mismatch, Untold, RecursionError):
            raise
        except Exception as error:
            raise Mismatch(path, f"is no {tag}: {shown(form)}") from error

    def text(self, form: Any, path: str) -> str:
        """A text, with or without a tag."""
        text = self.value(form, path)
        if type(text) is not str:
            raise Mismatch(path, f"is {shown(form)}, not a string")
        return text

    def error(self, form: Mapping[str, Any], path: str) -> RecordedError:
        """An exception, as it was recorded."""
        notes = self.value(form["notes"], f"{path}.notes")
        if type(notes) is not list or not {*map(type, notes)} <= {str}:
            raise Mismatch(f"{path}.notes", f"is {shown(notes)}, not a list of strings")
        return RecordedError(
            self.text(form["type"], f"{path}.type"),
            self.text(form["message"], f"{path}.message"),
            tuple(notes),
        )


def shown(form: Any) -> str:
    """A JSON value in a sentence."""
    text = {True: "true", False: "false", None: "null"}.get(form) if _is_word(form) else None
    try:
        text = text or repr(form)
    except Exception:  # noqa: BLE001 -- nested too deep, say
        text = f"a {type(form).__name__}"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."


def _is_word(form: Any) -> bool:
    return form is None or form is True or form is False


def _refuse() -> NoReturn:
    raise ValueError


def _string(form: Any) -> str:
    value = form["value"]
    return value if type(value) is str else _refuse()


def _parts(reader: Reader, form: Any, path: str) -> list[Any]:
    value = form["value"]
    if type(value) is not list:
        _refuse()
    found: list[Any] = reader.value(value, path)
    return found


def _str(_: Reader, form: Any, _path: str) -> str:
    text = _string(form)
    if "\\" in _ESCAPED.sub("", text) or "\\u" not in text:
        _refuse()
    return _ESCAPED.sub(lambda f: "\\" if f[1] == "\\" else chr(int(f[1][1:], 16)), text)


def _float(_: Reader, form: Any, _path: str) -> float:
    text = _string(form)
    return float(text) if text in _NUMBERS else _refuse()


def _whole(_: Reader, form: Any, _path: str) -> int:
    number = int(_string(form), 16)
    return number if hex(number) == form["value"] else _refuse()


def _bytes(_: Reader, form: Any, _path: str) -> bytes:
    data = base64.b64decode(_string(form), validate=True)
    return data if base64.b64encode(data).decode() == form["value"] else _refuse()


def _moment(kind: Any) -> Callable[[Reader, Any, str], Any]:
    """Reads what ``isoformat`` gives, of whose other spellings each Python knows others."""

    def read(_: Reader, form: Any, _path: str) -> Any:
        found = kind.fromisoformat(_string(form))
        if found.isoformat() != form["value"]:
            _refuse()
        if "fold" not in form:
            return found
        return found.replace(fold=1) if _is_one(form["fold"]) else _refuse()

    return read


def _is_one(value: Any) -> bool:
    return type(value) is int and value == 1


def _decimal(_: Reader, form: Any, _path: str) -> decimal.Decimal:
    number = decimal.Decimal(_string(form))
    # An E may be written small: that is the context's to say.
    return number if str(number).lower() == form["value"].lower() else _refuse()


def _uuid(_: Reader, form: Any, _path: str) -> uuid.UUID:
    found = uuid.UUID(_string(form))
    return found if str(found) == form["value"] else _refuse()


def _timedelta(_: Reader, form: Any, _path: str) -> datetime.timedelta:
    days, seconds, microseconds = form["value"]
    if {type(days), type(seconds), type(microseconds)} != {int}:
        _refuse()
    found = datetime.timedelta(days, seconds, microseconds)
    is_same = [found.days, found.seconds, found.microseconds] == form["value"]
    return found if is_same else _refuse()


def _path(kind: type[pathlib.PurePath]) -> Callable[[Reader, Any, str], pathlib.PurePath]:
    return lambda reader, form, path: kind(reader.text(form["value"], f"{path}.value"))


def _dict(_reader: Reader, form: Any, path: str) -> dict[Any, Any]:
    if not all(type(pair) is list and len(pair) == 2 for pair in form["value"]):
        _refuse()
    pairs = _parts(_reader, form, path)
    found = dict(pairs)
    return found if len(found) == len(pairs) else _refuse()


def _opaque(reader: Reader, form: Any, path: str) -> OpaqueValue:
    name, text = (reader.text(form[key], f"{path}.{key}") for key in ("class", "text"))
    return OpaqueValue(name, text)


def _object(reader: Reader, form: Any, path: str) -> Any:
    name = form["class"]
    known = reader.known.by_name.get(name) if type(name) is str else None
    if known is None:
        raise Untold(f"{path} is of the class {shown(name)}, which is not known here")
    return known.read(reader, form["value"], path)


_VALUE: Final = frozenset({"value"})
_FOLDED: Final = frozenset({"datetime", "time"})
_TAGS: Final[dict[str, tuple[frozenset[str], Callable[[Reader, Any, str], Any]]]] = {
    "str": (_VALUE, _str),
    "int": (_VALUE, _whole),
    "float": (_VALUE, _float),
    "bytes": (_VALUE, _bytes),
    "datetime": (_VALUE, _moment(datetime.datetime)),
    "date": (_VALUE, _moment(datetime.date)),
    "time": (_VALUE, _moment(datetime.time)),
    "timedelta": (_VALUE, _timedelta),
    "Decimal": (_VALUE, _decimal),
    "UUID": (_VALUE, _uuid),
    "Path": (_VALUE, _path(pathlib.Path)),
    "PurePosixPath": (_VALUE, _path(pathlib.PurePosixPath)),
    "PureWindowsPath": (_VALUE, _path(pathlib.PureWindowsPath)),
    "tuple": (_VALUE, lambda reader, form, path: tuple(_parts(reader, form, path))),
    "set": (_VALUE, lambda reader, form, path: set(_parts(reader, form, path))),
    "frozenset": (_VALUE, lambda reader, form, path: frozenset(_parts(reader, form, path))),
    "dict": (_VALUE, _dict),
    "object": (frozenset({"class", "value"}), _object),
    "error": (
        frozenset({"type", "message", "notes"}),
        lambda reader, form, path: reader.error(form, path),
    ),
    "opaque": (frozenset({"class", "text"}), _opaque),
}
