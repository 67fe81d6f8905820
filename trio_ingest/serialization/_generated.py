"""The fast way: for each class the code that one would write by hand, made of its fields.

A function of these either does the whole work or raises something, whatever it is; then
the forms of ``_classes`` do it, which find a form for anything, or the words for what is
wrong. Writing hands values to the back end as they are, once it is seen that they are plain
JSON. Reading is for lines without tags alone, whose values are what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any, Final, NoReturn

from trio_ingest import Checkpoint

from ._classes import CheckpointForm, ClassForm, Known
from ._described import RecordedError, error_parts
from ._plain import SCALARS, is_plain
from ._shapes import (
    ErrorShape,
    KindShape,
    LiteralShape,
    ObjectShape,
    OptionalShape,
    Shape,
)
from ._tags import Reader
from ._values import Writer

_NUMBERS: Final = frozenset({int, float})


class _Unfit(Exception):
    """This is not for the fast way."""


def fast_writer(form: ClassForm, known: Known) -> Callable[[Any], dict[str, Any]]:
    """A function that makes a line of an object, ready for the back end."""
    if isinstance(form, CheckpointForm):
        return lambda value: {"type": form.name, **_checkpoint_fields(value)}
    return _Source(known).writer(form, {"type": form.name, "version": form.version})


def fast_reader(form: ClassForm, known: Known) -> Callable[[dict[str, Any]], Any]:
    """A function that makes an object of a line, as the back end has read it."""
    if isinstance(form, CheckpointForm):
        return _line_as_checkpoint
    return _Source(known).reader(form, {"version": form.version})


def _refuse() -> NoReturn:
    raise _Unfit


def _checkpoint_fields(value: Any) -> dict[str, Any]:
    if value.__class__ is not Checkpoint:
        _refuse()
    form: dict[str, Any] = value.to_dict()
    for position in form["positions"]:
        cursor = position["cursor"]
        if cursor.__class__ not in SCALARS and not is_plain(cursor):
            _refuse()
    return form


def _as_checkpoint(form: Any) -> Checkpoint:
    if len(form) != 2:
        _refuse()
    return Checkpoint.from_dict(form)


def _line_as_checkpoint(form: dict[str, Any]) -> Checkpoint:
    del form["type"]
    return _as_checkpoint(form)


def _error_fields(error: Any) -> dict[str, Any]:
    if not issubclass(type(error), BaseException):
        _refuse()
    name, message, notes = error_parts(error)
    return {"type": name, "message": message, "notes": list(notes)}


def _as_error(form: Any) -> RecordedError:
    name, message, notes = form["type"], form["message"], form["notes"]
    if len(form) != 3 or not name.__class__ is message.__class__ is str:
        _refuse()
    if notes.__class__ is not list or (notes and {*map(type, notes)} != {str}):
        _refuse()
    return RecordedError(name, message, tuple(notes))


class _Source:
    """Collects the source of one function, and what it names."""

    def __init__(self, known: Known) -> None:
        self.known = known
        self.scope: dict[str, Any] = {
            "refuse": _refuse,
            "isfinite": isfinite,
            "is_plain": is_plain,
            "SCALARS": SCALARS,
            "NUMBERS": _NUMBERS,
            "error_fields": _error_fields,
            "as_error": _as_error,
            "checkpoint_fields": _checkpoint_fields,
            "as_checkpoint": _as_checkpoint,
        }
        self.checks: list[str] = []
        self.steps: list[str] = []
        self.same: dict[type, list[str]] = {}

    def named(self, value: Any) -> str:
        """A name for a value that the function needs."""
        name = f"given_{len(self.scope)}"
        self.scope[name] = value
        return name

    def compiled(self, form: ClassForm, lines: list[str]) -> Callable[[Any], Any]:
        """The function of these lines."""
        source = "\n    ".join(["def made(value):", *lines])
        exec(compile(source, f"<{form.name}, by trio_ingest>", "exec"), self.scope)
        made: Callable[[Any], Any] = self.scope["made"]
        return made

    # -- writing ---------------------------------------------------------------------------

    def writer(self, form: ClassForm, first: dict[str, Any]) -> Callable[[Any], Any]:
        """A function of an object that gives its fields after these."""
        own = self.named(form.cls)
        lines = [f"if value.__class__ is not {own}: refuse()"]
        parts = [f"{key!r}: {part!r}" for key, part in first.items()]
        for number, field in enumerate(form.fields):
            lines.append(f"f{number} = value.{field.name}")
            parts.append(f"{field.name!r}: {self.written(field.shape, f'f{number}')}")
        lines += [f"if not ({check}): refuse()" for check in self.all_checks()]
        lines.append(f"return {{{', '.join(parts)}}}")
        return self.compiled(form, lines)

    def all_checks(self) -> list[str]:
        """What must hold of the fields."""
        checks = []
        for kind, names in self.same.items():
            classes = " is ".join(f"{name}.__class__" for name in names)
            checks.append(f"{classes} is {kind.__name__}")
            if kind is float:
                checks.append(f"isfinite({' + '.join(names)})")
        return [*checks, *self.checks]

    def written(self, shape: Shape, name: str) -> str:
        """The expression that writes a variable; what must hold of it is noted."""
        inner = shape.inner if isinstance(shape, OptionalShape) else shape
        check = self.written_check(inner, name)
        if isinstance(shape, OptionalShape) and check is not None:
            self.checks.append(f"{name} is None or {check}")
        elif isinstance(inner, KindShape) and len(inner.kinds - {int}) <= 1 and check:
            kind = float if float in inner.kinds else next(iter(inner.kinds))
            if kind in {str, int, float, bool}:
                self.same.setdefault(kind, []).append(name)
            else:
                self.checks.append(check)
        elif check is not None:
            self.checks.append(check)
        expression = self.written_expression(inner, name, is_checked=check is not None)
        if isinstance(shape, OptionalShape) and expression != name:
            return f"None if {name} is None else {expression}"
        return expression

    def written_check(self, shape: Shape, name: str) -> str | None:
        """What must hold for the value to be handed on as it is; None when it never is."""
        if type(shape) is Shape:
            return f"({name}.__class__ in SCALARS or is_plain({name}))"
        if isinstance(shape, LiteralShape) and {*map(type, shape.choices)} == {str}:
            return f"({name}.__class__ is str and {name} in {shape.choices!r})"
        if not isinstance(shape, KindShape) or len(shape.kinds) == 0:
            return None
        if shape.kinds == {int, float}:
            return f"({name}.__class__ in NUMBERS and isfinite({name}))"
        if len(shape.kinds) > 1:
            return None
        [kind] = shape.kinds
        if kind in {str, int, bool}:
            return f"{name}.__class__ is {kind.__name__}"
        if kind in {dict, list}:
            return f"({name}.__class__ is {kind.__name__} and (not {name} or is_plain({name})))"
        return None

    def written_expression(self, shape: Shape, name: str, *, is_checked: bool) -> str:
        """The expression that writes a value that is not None."""
        if is_checked:
            return name
        if isinstance(shape, ErrorShape):
            return f"error_fields({name})"
        if isinstance(shape, ObjectShape) and isinstance(shape.form, CheckpointForm):
            return f"checkpoint_fields({name})"
        if isinstance(shape, ObjectShape) and not _holds_itself(shape.form, ()):
            return f"{self.named(_Source(self.known).writer(shape.form, {}))}({name})"
        known = self.known
        return f"{self.named(lambda v: shape.write(Writer(known), v, 2))}({name})"

    # -- reading ---------------------------------------------------------------------------

    def reader(self, form: ClassForm, first: dict[str, Any]) -> Callable[[Any], Any]:
        """A function of a JSON object that gives the object of its fields.

        Args:
            form: of its class.
            first: what stands in it beside its fields; with it, a type.
        """
        count = len(form.fields) + len(first) + (1 if first else 0)
        lines = [f"if len(value) != {count}: refuse()"]
        if first:
            lines.append(f"if value['version'] != {first['version']!r}: refuse()")
            lines.append("if value['version'].__class__ is not int: refuse()")
        parts = []
        for number, field in enumerate(form.fields):
            lines.append(f"f{number} = value[{field.name!r}]")
            parts.append((field, self.read(field.shape, f"f{number}")))
        lines += [f"if not ({check}): refuse()" for check in self.all_read_checks()]
        twin = _twin_of(form.cls)
        if twin is None:
            given = ", ".join(f"{field.alias}={expression}" for field, expression in parts)
            lines.append(f"return {self.named(form.cls)}({given})")
        else:
            lines.append(f"made = {self.named(object.__new__)}({self.named(twin)})")
            lines += [f"made.{field.name} = {expression}" for field, expression in parts]
            lines += [f"made.__class__ = {self.named(form.cls)}", "return made"]
        return self.compiled(form, lines)

    def all_read_checks(self) -> list[str]:
        """What must hold of the fields."""
        checks = []
        for kind, names in self.same.items():
            if kind is float and len(names) > 1:
                classes = ", ".join(f"{name}.__class__" for name in names)
                checks.append(f"NUMBERS.issuperset(({classes}))")
            elif kind is float:
                checks.append(f"{names[0]}.__class__ in NUMBERS")
            else:
                classes = " is ".join(f"{name}.__class__" for name in names)
                checks.append(f"{classes} is {kind.__name__}")
        return [*checks, *self.checks]

    def read(self, shape: Shape, name: str) -> str:
        """The expression that reads a variable; what must hold of it is noted."""
        inner = shape.inner if isinstance(shape, OptionalShape) else shape
        check, expression = self.read_parts(inner, name)
        if isinstance(shape, OptionalShape):
            if check is not None:
                self.checks.append(f"{name} is None or {check}")
            return name if expression == name else f"None if {name} is None else {expression}"
        if check is not None and isinstance(inner, KindShape):
            kind = float if float in inner.kinds else next(iter(inner.kinds))
            self.same.setdefault(kind, []).append(name)
        elif check is not None:
            self.checks.append(check)
        return expression

    def read_parts(self, shape: Shape, name: str) -> tuple[str | None, str]:
        """What must hold of a value that is not None, and the expression that reads it."""
        if type(shape) is Shape:
            return None, name
        if isinstance(shape, LiteralShape) and {*map(type, shape.choices)} == {str}:
            return f"({name}.__class__ is str and {name} in {shape.choices!r})", name
        if isinstance(shape, KindShape) and shape.kinds == {int, float}:
            return f"{name}.__class__ in NUMBERS", name
        if isinstance(shape, KindShape) and len(shape.kinds) == 1:
            [kind] = shape.kinds
            if kind is not type(None):
                return f"{name}.__class__ is {kind.__name__}", name
        if isinstance(shape, ErrorShape):
            return None, f"as_error({name})"
        if isinstance(shape, ObjectShape) and isinstance(shape.form, CheckpointForm):
            return None, f"as_checkpoint({name})"
        if isinstance(shape, ObjectShape) and not _holds_itself(shape.form, ()):
            return None, f"{self.named(_Source(self.known).reader(shape.form, {}))}({name})"
        known = self.known
        return None, f"{self.named(lambda form: shape.read(Reader(known), form, ''))}({name})"


def _holds_itself(form: ClassForm, around: tuple[ClassForm, ...]) -> bool:
    """Whether a class has a field of its own class, at whatever depth."""
    if form in around:
        return True
    shapes = [f.shape.inner if isinstance(f.shape, OptionalShape) else f.shape for f in form.fields]
    inner = [shape.form for shape in shapes if isinstance(shape, ObjectShape)]
    return any(_holds_itself(one, (*around, form)) for one in inner)


def _twin_of(cls: type) -> type | None:
    """A class of the same layout whose fields can be set, when that is all its ``__init__`` does.

    As in the engine: a frozen ``__init__`` costs three times what setting the fields does.
    """
    # Of our own classes alone: a user's may notice that it is subclassed.
    if not cls.__module__.startswith("trio_ingest."):
        return None
    unset = object.__setattr__, object.__delattr__
    names = {"__slots__": (), "__setattr__": unset[0], "__delattr__": unset[1]}
    return type(cls.__name__, (cls,), names)
