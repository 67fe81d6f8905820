"""The hooks of a codec's converter for any value: what JSON lacks gets a tag, in ``$``."""

import enum
import json
import numbers
import operator
import pathlib
import re
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sized
from dataclasses import is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any, Final, TypeAlias
from uuid import UUID

import attrs
import cattrs
from cattrs.errors import BaseValidationError

from trio_ingest import PipelineEvent
from trio_ingest._core.reprs import class_name

from ._registry import ClassRegistry
from ._text import dumps, is_unicode, loads
from .errors import Mismatch, UnregisteredType, read_each, shown

Write: TypeAlias = Callable[[Any], Any]

_DEEPEST: Final = 100  # levels of JSON, of which orjson takes 254
MOST_PARTS: Final = 1_000_000  # of one value: those that are shared have no end to speak of
_MOST_ITEMS: Final = 100_000  # of a mapping not Python's own, which may make them for ever


@attrs.frozen
class OpaqueValue:
    """A value that JSON has no form for, as it was described.

    Args:
        type_name: its class, with its module unless built in.
        text: its ``repr``, at most 1,000 characters of it, or why it was not written.
    """

    type_name: str
    text: str


@attrs.frozen(kw_only=True, repr=False)
class UnknownEvent(PipelineEvent):
    """An event whose type or version the reader does not know, kept as it came.

    Args:
        fields: the whole line, as JSON values; its stamps are the event's as well.
    """

    fields: Mapping[str, Any]

    @property
    def type_name(self) -> str:
        """The type that the line gives."""
        return str(self.fields["type"])


class _State(threading.local):
    """A thread's way to read and whether tags are resolved; its depth, and the ids around."""

    def __init__(self) -> None:
        self.mode, self.depth = ("quick", False), 0
        self.parts_left, self.around = 0, set[int]()


class ValueHooks:
    """The hooks of a converter for any value."""

    def __init__(self, converter: cattrs.Converter, registry: ClassRegistry) -> None:
        self._converter, self._registry = converter, registry
        # How many levels of JSON a hook of ours adds; -1 is for one around events only.
        self.state, self.levels = _State(), dict[Write, int]()
        converter.register_unstructure_hook_factory(
            lambda kind: isinstance(kind, type) and kind is not Any, self._default_hook
        )
        tags: dict[Any, Write] = {TAGS[name][0]: partial(_tagged, name) for name in TAGS}
        tags |= {**_PLAIN, numbers.Integral: _PLAIN[int]}
        none = {**tags, bytearray: tags[bytes], OpaqueValue: opaque}
        one: dict[Any, Write] = {dict: self._mapping, Mapping: self._mapping}
        one[enum.Enum] = lambda member: self.unstructure(member._value_)
        one[list] = lambda value: [*map(self.unstructure, list.__iter__(value))]
        two: dict[Any, Write] = {tuple: self._tuple, set: self._set, frozenset: self._set}
        for level, hooks in enumerate((none, one, two)):
            for kind, hook in hooks.items():
                converter.register_unstructure_hook(kind, hook)
                self.levels[hook] = level

    def unstructure(self, value: Any) -> Any:
        """Return a value as JSON values, whatever it is."""
        kind = type(value)
        try:
            if kind in _PLAIN:
                return _PLAIN[kind](value)
            if kind not in self._registry.names:
                return self._by_hook(value, self._converter.get_unstructure_hook(kind))
            form = self.fields_of(value, kind)
        except Exception:  # noqa: BLE001 -- whatever a user's methods raise
            return opaque(value)
        is_cut = type(form) is dict and form.get("$") == "opaque"
        return form if is_cut else {"$": "object", "class": kind.__name__, "value": form}

    def fields_of(self, value: Any, cls: Any) -> Any:
        """Return an object as the fields of a registered class, without a tag."""
        hook_of, key = self._converter.get_unstructure_hook, self._registry.key_of(cls)
        return self._by_hook(value, hook_of(key))

    def structure(self, form: Any, _: object = None) -> Any:
        """Return what JSON values stand for; raises what ``explained`` explains."""
        if form.__class__ is dict:
            if "$" in form:
                return self._untagged(form)
            return dict(zip(form, read_each(form.items(), self.structure), strict=True))
        return read_each(enumerate(form), self.structure) if form.__class__ is list else form

    def _default_hook(self, kind: type) -> Write:
        made = self._converter.gen_unstructure_attrs_fromdict
        hook: Write = partial(opaque) if is_value(kind) else made(kind)
        self.levels[hook] = -1
        return hook

    def _by_hook(self, value: Any, hook: Write) -> Any:
        levels, state = self.levels.get(hook), self.state
        if levels is None:
            # The user's own: it says what the form is, which must be one that can be read.
            form = loads(dumps(hook(value)))
            self.structure(form)
            return form
        if levels <= 0:
            return opaque(value) if levels else hook(value)
        if id(value) in state.around:
            # Before it is too deep: what holds itself twice doubles with each level.
            return opaque(value, "which holds itself")
        depth = state.depth + levels
        if depth > _DEEPEST:
            return opaque(value, "nested too deep")
        size = len(value) if isinstance(value, Sized) else 1
        state.parts_left = (state.parts_left if state.depth else MOST_PARTS) - size
        if state.parts_left < 0:
            return opaque(value, "with too many parts around it")
        try:
            state.depth = depth
            state.around.add(id(value))
            return hook(value)
        finally:
            state.depth = depth - levels
            state.around.discard(id(value))

    def _tuple(self, value: Any) -> Any:
        return {"$": "tuple", "value": [*map(self.unstructure, tuple.__iter__(value))]}

    def _set(self, value: Any) -> Any:
        kind = set if isinstance(value, set) else frozenset
        forms = map(self._key, list(kind.__iter__(value)))
        found = {json.dumps(form, sort_keys=True): form for form in forms}
        # In an order that the next run has as well.
        return {"$": kind.__name__, "value": [found[text] for text in sorted(found)]}

    def _key(self, value: Any) -> Any:
        form = self.unstructure(value)
        try:
            hash(self.structure(form))
        except TypeError:  # a list that has a hash of its own will be one that has none
            return opaque(value)
        return form

    def _mapping(self, value: Any) -> Any:
        # By a dict's own method: a subclass may have another idea of its items.
        is_dict = isinstance(value, dict)
        items = list(dict.items(value) if is_dict else islice(value.items(), _MOST_ITEMS + 1))
        if len(items) > _MOST_ITEMS and not is_dict:
            return opaque(value, "with too many items")
        if _are_names(items) and len(dict(items)) == len(items):
            return {name: self.unstructure(part) for name, part in items}
        pairs = [[self._key(key), self.unstructure(part)] for key, part in items]
        form = dict(pairs) if _are_names(pairs) else {"$": "dict", "value": pairs}
        if len(self.structure(form)) != len(items):
            raise ValueError("two keys would be read as one")
        return form

    def _untagged(self, form: dict[str, Any]) -> Any:
        name = form["$"]
        if type(name) is not str or name not in {**TAGS, **_OTHERS}:
            raise Mismatch(f"has the tag {shown(name)}, which there is not")
        try:
            keys = _OTHERS.get(name, "value").split()
            if form.keys() - {"$", "fold", *keys}:
                raise ValueError(form)
            parts = read_each(zip(keys, keys, strict=True), lambda k: self.structure(form[k]))
            if name in TAGS:
                return _of_tag(form, *parts)
            if name == "object":
                return self._object(*parts)
            if [*map(type, parts)] != [str, str, list][: len(parts)]:
                raise TypeError(form)
            return OpaqueValue(*parts[:2])  # an "error" is of 0.1
        except (Mismatch, BaseValidationError, RecursionError):
            raise
        except Exception as error:
            raise Mismatch(f"is no {name}: {shown(form)}") from error

    def _object(self, name: Any, fields: Any) -> Any:
        cls = self._registry.by_name.get(name)
        if cls is None:
            raise UnregisteredType(f"is of the class {shown(name)}, which is not known here")
        hook = self._converter.get_structure_hook(self._registry.key_of(cls))
        before = self.state.mode
        try:
            self.state.mode = before[0], True
            return hook(fields, cls)
        finally:
            self.state.mode = before


def is_value(kind: Any) -> bool:
    """Return whether it is a class, and not of the fields that cattrs writes and reads."""
    return isinstance(kind, type) and not (attrs.has(kind) or is_dataclass(kind))


def opaque(value: Any, why: str = "") -> dict[str, Any]:
    """Return the tag of a value that is only opaque, with why; never raises."""
    kind, name = type(value), class_name(type(value))
    try:
        if issubclass(kind, dict | list | tuple | set | frozenset | Mapping):
            why = why or "which cannot be written"  # its repr may have as little end as itself
        text = f"<{name}, {why}>" if why else str.__str__(repr(value))
        if kind is OpaqueValue and type(value.type_name) is type(value.text) is str:
            name, text = value.type_name, value.text
    except Exception as problem:  # noqa: BLE001 -- whatever a user's __repr__ does
        text = f"its repr failed with {class_name(type(problem))}"
    # Where an object was in memory says nothing to a reader, and differs from run to run.
    text = re.sub(r"(?<= at 0x)[0-9a-fA-F]+", "...", text)
    text = text if len(text) <= 1000 else text[:997] + "..."
    return {"$": "opaque", "class": _PLAIN[str](name), "text": _PLAIN[str](text)}


def _are_names(items: list[Any]) -> bool:
    """Return whether the keys can be those of a JSON object, and none is ours."""
    keys = [key for key, _ in items]
    return {*map(type, keys)} <= {str} and "$" not in keys and is_unicode("".join(keys))


def _tagged(name: str, value: Any) -> dict[str, Any]:
    _, write, read = TAGS[name]
    form = {"$": name, "value": write(value)}  # type: ignore[misc]
    if hasattr(value, "utcoffset") and read(form["value"]).utcoffset() != value.utcoffset():
        raise ValueError(value)  # releases of Python read one of less than a second as none
    return {**form, "fold": 1} if getattr(value, "fold", 0) else form


def _of_tag(form: dict[str, Any], contents: Any) -> Any:
    name = form["$"]
    kind, write, read = TAGS[name]
    if type(contents) is not (list if write is None or name == "timedelta" else str):
        raise TypeError(contents)
    found = read(contents)
    found = found.replace(fold=form["fold"]) if "fold" in form else found
    if name == "dict" and (len(found) != len(contents) or {*map(type, contents)} - {list}):
        raise ValueError(form)
    if write is not None and not issubclass(kind, pathlib.PurePath):
        # But for case, each value has one spelling: another one no codec has written.
        again: Write = _PLAIN.get(kind, partial(_tagged, name))
        if len({json.dumps(one, sort_keys=True).lower() for one in (form, again(found))}) > 1:
            raise ValueError(form)
    return found


_PLAIN: Final[dict[type, Write]] = {
    **dict.fromkeys((bool, type(None)), lambda value: value),
    str: lambda v: v if is_unicode(v := str.__str__(v)) else _tagged("str", v),
    # Beyond, not in digits, of which Python reads and writes so many and no more.
    int: lambda v: v if -(2**63) <= (v := int(v)) < 2**64 else _tagged("int", v),
    float: lambda v: v if (v := float.__pos__(v)) - v == 0.0 else _tagged("float", v),
}
_TIMES: Final[Any] = (datetime, date, time)
_PARTS: Final = operator.attrgetter("days", "seconds", "microseconds")
_PATHS: Final = (pathlib.Path, pathlib.PurePosixPath, pathlib.PureWindowsPath)
_CHARACTER: Final = re.compile(r"\\(?:(\\)|u([0-9a-f]{4}))")

# By tag: the class of a value, what makes of it what is under ``value``, and the inverse.
TAGS: Final[dict[str, tuple[type, Write | None, Callable[[Any], Any]]]] = {
    "str": (
        *(str, lambda v: v.replace("\\", r"\\").encode(errors="backslashreplace").decode()),
        lambda text: _CHARACTER.sub(lambda f: f[1] or chr(int(f[2], 16)), text),
    ),
    "int": (int, hex, lambda text: int(text, 16)),
    "float": (float, float.__repr__, float),
    "bytes": (bytes, lambda v: b64encode(v).decode(), partial(b64decode, validate=True)),
    **{kind.__name__: (kind, kind.isoformat, kind.fromisoformat) for kind in _TIMES},
    "timedelta": (timedelta, lambda v: [*_PARTS(v)], lambda parts: timedelta(*parts)),
    **{kind.__name__: (kind, kind.__str__, kind) for kind in (Decimal, UUID)},
    **{kind.__name__: (kind, lambda path: _PLAIN[str](str(path)), kind) for kind in _PATHS},
    **{kind.__name__: (kind, None, kind) for kind in (tuple, set, frozenset, dict)},
}
_OTHERS: Final = {
    "object": "class value",
    "opaque": "class text",
    "error": "type message notes",
}
