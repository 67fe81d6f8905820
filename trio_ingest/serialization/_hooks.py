"""The hooks of a codec's converter for lines whose tags are resolved, and for their fields."""

from __future__ import annotations

import contextlib
import enum
import functools
import operator
import pathlib
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import attrs
import cattrs
from cattrs.gen import make_dict_structure_fn_from_attrs, make_dict_unstructure_fn_from_attrs
from cattrs.strategies import configure_tagged_union, include_subclasses

from trio_ingest import Checkpoint, DocumentFailed, DocumentRetrying, PipelineEvent

from ._registry import ClassRegistry, Key
from ._text import dumps, loads
from ._values import TAGS, OpaqueValue, UnknownEvent, ValueHooks, Write, is_value, opaque
from .errors import DecodeError, Mismatch, UnregisteredType, shown

UNIONS: Final = {typing.Union, types.UnionType}
# The classes of what is in a line, with those whose values are read as one of them.
KINDS: Final[dict[Any, set[type]]] = {
    **{kind: {kind} for kind, _, _ in TAGS.values()},
    **{kind: {kind} for kind in (bool, type(None), list)},
    float: {float, int},
    Mapping: {dict},
    Sequence: {list},
    pathlib.PurePath: set(),
}


class Hooks:
    """The hooks of a converter; ``read`` is the one for a line."""

    def __init__(self, converter: cattrs.Converter, registry: ClassRegistry) -> None:
        self.converter, self.registry = converter, registry
        self.values = ValueHooks(converter, registry)
        for kind in (*KINDS, enum.Enum):
            converter.register_structure_hook(kind, _read_class)

        def register(of: Callable[[Any], bool], write: Any, read: Any) -> None:
            converter.register_unstructure_hook_factory(of, write)
            converter.register_structure_hook_factory(of, read)

        converter.register_structure_hook_factory(is_value, lambda _: _read_class)
        register(registry.names.__contains__, self._write_fields, self._read_fields)
        register(lambda cls: registry.version_of(cls) > 0, self._write_line, self._read_line)
        register(lambda key: key.__class__ is Key, self._write_fields, self._read_fields)
        register(lambda key: key.is_field, self._write_field, self._read_field)
        tag_by_type = functools.partial(configure_tagged_union, tag_name="type")
        lines = [cls for cls in registry.names if registry.version_of(cls)]
        events = tuple(cls for cls in lines if issubclass(cls, PipelineEvent))
        include_subclasses(PipelineEvent, converter, events, tag_by_type)
        union = functools.reduce(operator.or_, lines)
        tag_by_type(union, converter)
        self.read: Any = converter.get_structure_hook(union)
        self.values.levels[converter.get_unstructure_hook(events[0])] = -1

    def _write_line(self, cls: Any) -> Write:
        # Not under a name that would be read as something else.
        is_taken = self.registry.by_name.get(cls.__name__, cls) is not cls
        name = f"{cls.__module__}.{cls.__qualname__}" if is_taken else cls.__name__
        first = {"type": name, "version": self.registry.version_of(cls)}

        def write(item: Any) -> dict[str, Any]:
            if cls is UnknownEvent:
                return self._write_unknown(item.fields)
            fields = self.converter.get_unstructure_hook(self.registry.key_of(cls))(item)
            for name in first.keys() & fields.keys() if cls is not Checkpoint else ():
                # Of a class that was not told: a line says for itself what it is.
                fields[f"{name}_"] = fields.pop(name)
            return {**first, **fields}

        self.values.levels[write] = -1  # in an event it is opaque, if it cannot be read
        return write

    def _write_unknown(self, line: Any) -> dict[str, Any]:
        with contextlib.suppress(Exception):
            # As it came: what is in it has its tags already. Unless a program has made it up.
            if type(line["type"]) is str and loads(dumps(line)) == line:
                return {"type": line["type"], "version": line["version"], **line}
        return {"type": "UnknownEvent", "version": 1, "fields": self.values.unstructure(line)}

    def _read_line(self, cls: Any) -> Any:
        name, current, state = cls.__name__, self.registry.version_of(cls), self.values.state
        key, has_error = self.registry.key_of(cls), cls in {DocumentFailed, DocumentRetrying}

        def read(line: Any, _: object) -> Any:
            if type(line) is not dict:
                return _read_class(line, cls)
            if (given := line.get("type", name)) != name:
                raise DecodeError(f"This is a {given}, where a {name} should be.")
            version = line.get("version", current)
            if type(version) is not int or not 1 <= version <= current:
                is_newer = type(version) is int and version > current
                wrong = UnregisteredType if is_newer else Mismatch
                raise wrong(f"has the version {shown(version)}, not one from 1 to {current}")
            way, is_resolved = before = state.mode
            fields = line if is_resolved else self.values.structure(line)
            fields.pop("type", None)
            if cls is not Checkpoint:
                fields.pop("version", None)
            if has_error and type(fields.get("error")) is dict:
                fields["error"] = fields["error"].get("message")  # of three parts in 0.1
            state.mode = "older" if version < current else way, True
            try:
                return self.converter.get_structure_hook(key)(fields, cls)
            finally:
                state.mode = before

        return read

    def _write_fields(self, key: Any) -> Write:
        cls = key.of if isinstance(key, Key) else key
        fields = self.registry.fields_of(cls)
        write: Write = make_dict_unstructure_fn_from_attrs(fields, cls, self.converter)
        if cls is Checkpoint:
            # The form that it gives itself, of which only the cursors may need tags.
            write = lambda item: self.values.unstructure(item.to_dict())  # noqa: E731
        self.values.levels[write] = 2
        return write

    def _read_fields(self, key: Any) -> Any:
        cls = key.of if isinstance(key, Key) else key
        state, count = self.values.state, len(self.registry.fields_of(cls))

        @functools.cache  # and not yet, as a class may have a field of its own class
        def made(way: str) -> Any:
            fields, is_quick = self.registry.fields_of(cls), way == "quick"
            if way != "older":
                # For cattrs, a field with a default may be missing.
                fields = [field.evolve(default=attrs.NOTHING) for field in fields]
            names = ("_cattrs_forbid_extra_keys", "_cattrs_detailed_validation")
            options: Any = dict.fromkeys(names, not is_quick)
            parts = getattr(cls, "__parameters__", ())  # of a generic class: any
            options["typevar_map"] = {part.__name__: Any for part in parts}
            hook = make_dict_structure_fn_from_attrs(fields, cls, self.converter, **options)
            return self._read_checkpoint if cls is Checkpoint else hook

        def read(form: Any, _: object) -> Any:
            if form.__class__ is not dict:
                return _read_class(form, cls)
            way = state.mode[0]
            if len(form) != count and way == "quick":
                raise Mismatch("does not have the fields that there are")
            return made(way)(form, cls)

        return read

    def _read_checkpoint(self, form: dict[str, Any], _: object) -> Checkpoint:
        checkpoint = Checkpoint.from_dict(form)
        if checkpoint.to_dict() != form:
            raise Mismatch(f"has more than a checkpoint has: {shown(form)}")
        return checkpoint

    def _exact(self, annotation: Any) -> set[Any]:
        origin = typing.get_origin(annotation)
        if origin in UNIONS:
            return set().union(*map(self._exact, typing.get_args(annotation)))
        kind = origin if origin in {dict, Mapping} else annotation
        classes = self.registry.names if isinstance(kind, type) else ()
        found = {cls for cls in classes if issubclass(cls, kind)}
        return {OpaqueValue, *KINDS.get(kind, found)}

    def _read_field(self, key: Key) -> Any:
        exact, origin = self._exact(key.of), typing.get_origin(key.of)
        # The keys and the parts of a mapping may be any, as they are in a record.
        annotation = origin if origin in {dict, Mapping} else key.of
        try:
            hook: Any = self.converter.get_structure_hook(annotation)
        except Exception:  # noqa: BLE001 -- cattrs has none, so it may hold anything
            hook = _read_class

        def read(value: Any, _: object) -> Any:
            if value.__class__ in exact:
                return value
            if origin in KINDS and isinstance(value, str | dict):
                raise Mismatch(f"is {shown(value)}, not {annotation}")  # but has parts
            found = hook(value, annotation)  # in which cattrs makes a tuple of a Sequence
            fits = isinstance(origin, type) and isinstance(value, origin)
            return type(value)(found) if fits and type(value) in KINDS else found

        return read

    def _write_field(self, key: Key) -> Write:
        read, values, exact = self._read_field(key), self.values, self._exact(key.of)
        classes = [cls for cls in exact if cls in self.registry.names]

        def write(value: Any) -> Any:
            kind = type(value)
            try:
                if len(classes) == 1 and isinstance(value, classes[0]):
                    return values.fields_of(value, classes[0])
                form = values.unstructure(value)
                if kind not in KINDS or kind not in exact:
                    read(values.structure(form), None)  # so whatever is written can be read
            except Exception:  # noqa: BLE001 -- the field may not hold it
                return opaque(value)
            return form

        return values.unstructure if key.of is Any else write


def _read_class(value: Any, kind: Any) -> Any:
    is_asked = isinstance(kind, type) and (kind in KINDS or attrs.has(kind))
    kinds: Any = {float: (float, int)}.get(kind, kind) if is_asked else object
    is_bool = type(value) is bool and kinds not in {bool, object}
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        member: Any = kind(value)
        # Since True equals 1, and 1 equals 1.0.
        value, is_bool = member, type(member._value_) is not type(value)
    if type(value) is not OpaqueValue and (is_bool or not isinstance(value, kinds)):
        raise Mismatch(f"is {shown(value)}, not {kind.__name__}")
    return value
