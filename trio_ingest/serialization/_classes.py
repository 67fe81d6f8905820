"""One form for each class: how its objects are written and read, in all their fields."""

from __future__ import annotations

import sys
import typing
from collections.abc import Iterable
from typing import Any, ClassVar, Final

import attrs

from trio_ingest import (
    AdapterStateChange,
    BatchProgress,
    Checkpoint,
    CheckpointError,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    PipelineEvent,
    Position,
    SetupError,
)

from ._shapes import Shape, check_keys, shape_of
from ._tags import Mismatch, Reader, Untold, shown
from ._values import Writer

EVENTS: Final[tuple[type[PipelineEvent], ...]] = (
    DocumentStarted,
    DocumentCompleted,
    DocumentFailed,
    DocumentSkipped,
    DocumentRetrying,
    BatchProgress,
    AdapterStateChange,
)

POSITION: Final = frozenset(field.name for field in attrs.fields(Position))


class Field(typing.NamedTuple):
    """One field of a class.

    Args:
        name: in Python and in JSON.
        alias: what the constructor calls it.
        shape: what it holds.
        has_default: whether an older version may lack it.
    """

    name: str
    alias: str
    shape: Shape
    has_default: bool


class ClassForm:
    """How the objects of an attrs class are written and read.

    Args:
        cls: the class.
        name: what JSON calls it.
        version: of its fields; None for one that has none, being no event.
    """

    def __init__(self, cls: type, name: str, version: int | None) -> None:
        self.cls = cls
        self.name = name
        self.version = version
        self.fields: tuple[Field, ...] = ()
        self._names: tuple[str, ...] = ()

    @property
    def is_line(self) -> bool:
        """Whether its objects can be lines of their own, and not only parts of one."""
        return self.version is not None

    def settle(self, told: dict[type, ClassForm]) -> None:
        """Find what the fields hold, once all classes are told."""
        self.fields = tuple(
            Field(
                field.name,
                field.alias,
                self._shape(field, told),
                field.default is not attrs.NOTHING,
            )
            for field in attrs.fields(self.cls)
            if field.init
        )
        self._names = tuple(field.name for field in self.fields)

    def _shape(self, field: Any, told: dict[type, ClassForm]) -> Shape:
        return shape_of(_hint_of(self.cls, field, told), told)

    def write(self, writer: Writer, value: Any, depth: int) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            name: shape.write(writer, getattr(value, name, None), depth + 1)
            for name, _, shape, _ in self.fields
        }

    def read(self, reader: Reader, form: Any, path: str, *, is_older: bool = False) -> Any:
        """The inverse.

        Args:
            reader: reads the values.
            form: the fields as JSON values.
            path: which part of the line it is.
            is_older: an older version of the class was written, which may lack what has a
                default.

        Raises:
            Mismatch: it is none of these.
        """
        if type(form) is not dict:
            raise Mismatch(path, f"is {shown(form)}, not an object with its fields")
        lacking = {f.name for f in self.fields if is_older and f.has_default} - form.keys()
        names = [name for name in self._names if name not in lacking]
        check_keys(reader, form, names, path)
        given = {
            alias: shape.read(reader, form[name], f"{path}.{name}")
            for name, alias, shape, _ in self.fields
            if name not in lacking
        }
        return self.made(given, path)

    def made(self, given: dict[str, Any], path: str) -> Any:
        """The object of these arguments.

        Raises:
            Mismatch: the class itself refuses them.
        """
        try:
            return self.cls(**given)
        except Exception as error:
            raise Mismatch(path, f"is refused by its class: {error!r:.80}") from error


class CheckpointForm(ClassForm):
    """A checkpoint, in the form that it gives itself; only the cursors may need tags."""

    _KEYS: ClassVar = frozenset({"version", "positions"})

    def settle(self, told: dict[type, ClassForm]) -> None:
        """It knows its fields."""

    def write(self, writer: Writer, value: Any, depth: int) -> dict[str, Any]:
        """As above."""
        form: dict[str, Any] = value.to_dict()
        return {key: writer.value(part, depth + 1) for key, part in form.items()}

    def read(self, reader: Reader, form: Any, path: str, **_: bool) -> Any:
        """As above."""
        if type(form) is not dict:
            raise Mismatch(path, f"is {shown(form)}, not a checkpoint")
        check_keys(reader, form, self._KEYS, path)
        plain = {name: reader.value(form[name], f"{path}.{name}") for name in self._KEYS}
        if type(plain["positions"]) is not list:
            raise Mismatch(f"{path}.positions", f"is {shown(plain['positions'])}, not a list")
        for number, position in enumerate(plain["positions"]):
            if type(position) is dict:
                # Which from_dict would pass over.
                known = POSITION & position.keys()
                check_keys(reader, position, known, f"{path}.positions[{number}]")
        try:
            return Checkpoint.from_dict(plain)
        except CheckpointError as error:
            version = plain["version"]
            if type(version) is int and version > Checkpoint(()).version:
                raise Untold(
                    f"{path} is a checkpoint of version {version}, newer than is known here"
                ) from error
            raise Mismatch(path, f"is no checkpoint: {error.__cause__!r:.80}") from error


class Known:
    """The classes that a codec was told of, by class and by name."""

    def __init__(self) -> None:
        self.by_type: dict[type, ClassForm] = {}
        self.by_name: dict[str, ClassForm] = {}

    def tell(self, form: ClassForm) -> None:
        """Add one.

        Raises:
            SetupError: there is another one of that name.
        """
        other = self.by_name.get(form.name)
        if other is not None:
            raise SetupError(
                f"Two classes are called {form.name}: {other.cls!r} and {form.cls!r}. A line "
                f"names its class, so rename one of them."
            )
        self.by_type[form.cls] = self.by_name[form.name] = form

    def settle(self) -> None:
        """Find what all their fields hold."""
        for form in self.by_type.values():
            form.settle(self.by_type)


def _hint_of(cls: type, field: Any, told: dict[type, ClassForm]) -> Any:
    """The annotation of a field; anything, when it cannot be resolved.

    Each by itself: one that names what is imported for type checkers only says nothing of
    the others. What the module of the class calls by a name is that, and no class of ours.
    """
    owner = next((base for base in cls.__mro__ if _has_own(base, field.name)), cls)
    names = {form.name: form.cls for form in told.values()}
    module = vars(sys.modules.get(owner.__module__, typing))
    holder = type("Holder", (), {"__annotations__": {field.name: field.type}})
    try:
        hints = typing.get_type_hints(holder, names, {**module, **vars(owner)})
    except Exception:  # noqa: BLE001 -- whatever an annotation names
        return Any
    return Any if field.type is None else hints[field.name]


def _has_own(cls: type, name: str) -> bool:
    fields = vars(cls).get("__attrs_attrs__", ())
    return any(field.name == name and not field.inherited for field in fields)


def known_of(extra: Iterable[type]) -> Known:
    """Our own classes, and these.

    Raises:
        SetupError: two have one name, or one is no attrs class.
    """
    known = Known()
    for event in EVENTS:
        known.tell(ClassForm(event, event.__name__, event.version))
    known.tell(CheckpointForm(Checkpoint, "Checkpoint", Checkpoint(()).version))
    known.tell(ClassForm(Cursor, "Cursor", 1))
    known.tell(ClassForm(Document, "Document", None))
    known.tell(ClassForm(Position, "Position", None))
    for cls in extra:
        known.tell(_form_of_extra(cls))
    known.settle()
    return known


def _form_of_extra(cls: Any) -> ClassForm:
    if not isinstance(cls, type) or not attrs.has(cls):
        raise SetupError(
            f"extra must hold attrs classes, events or others; got {cls!r:.80}. Decorate it "
            f"with attrs.frozen, or leave it out."
        )
    if not issubclass(cls, PipelineEvent):
        return ClassForm(cls, cls.__name__, None)
    taken = {"type", "version"} & {field.name for field in attrs.fields(cls)}
    if taken:
        raise SetupError(
            f"{cls.__name__} has a field {min(taken)!r}, which a line needs for itself; give "
            f"the field another name."
        )
    if type(cls.version) is not int or cls.version < 1:
        raise SetupError(
            f"{cls.__name__}.version must be a whole number from 1; got {cls.version!r:.80}."
        )
    return ClassForm(cls, cls.__name__, cls.version)
