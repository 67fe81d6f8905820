"""Reading the fast way: for each class the code that one would write by hand.

A function of these either makes the whole object or raises something, whatever it is; then
the forms of ``_classes`` read the line, or say what is wrong with it. It is for lines without
tags alone, whose values are what they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NoReturn

from trio_ingest import Checkpoint

from ._classes import POSITION, CheckpointForm, ClassForm, Known
from ._described import RecordedError
from ._shapes import ErrorShape, KindShape, LiteralShape, ObjectShape, OptionalShape, Shape
from ._tags import Reader

_NUMBERS: Final = frozenset({int, float})


class _Unfit(Exception):
    """This is not for the fast way."""


def fast_reader(form: ClassForm, known: Known) -> Callable[[dict[str, Any]], Any]:
    """A function that makes an object of a line, as the back end has read it."""
    if isinstance(form, CheckpointForm):
        return _line_as_checkpoint
    return _Source(known, {}).reader(form, {"version": form.version})


def holds_itself(
    form: ClassForm, around: tuple[ClassForm, ...] = (), clear: set[ClassForm] | None = None
) -> bool:
    """Whether a class has a field of its own class, at whatever depth."""
    clear = set() if clear is None else clear
    if form in around or form in clear:
        return form in around
    shapes = [field.shape for field in form.fields]
    shapes = [shape.inner if isinstance(shape, OptionalShape) else shape for shape in shapes]
    inner = [shape.form for shape in shapes if isinstance(shape, ObjectShape)]
    found = any(holds_itself(one, (*around, form), clear) for one in inner)
    if not found:
        clear.add(form)
    return found


def _refuse() -> NoReturn:
    raise _Unfit


def _as_checkpoint(form: Any) -> Checkpoint:
    if len(form) != 2 or type(form["positions"]) is not list:
        _refuse()
    for position in form["positions"]:
        if not POSITION.issuperset(position):
            _refuse()
    return Checkpoint.from_dict(form)


def _line_as_checkpoint(form: dict[str, Any]) -> Checkpoint:
    del form["type"]
    return _as_checkpoint(form)


def _as_error(form: Any) -> RecordedError:
    name, message, notes = form["type"], form["message"], form["notes"]
    if len(form) != 3 or not name.__class__ is message.__class__ is str:
        _refuse()
    if notes.__class__ is not list or (notes and {*map(type, notes)} != {str}):
        _refuse()
    return RecordedError(name, message, tuple(notes))


class _Source:
    """Collects the source of one function, and what it names."""

    def __init__(self, known: Known, made: dict[ClassForm, Callable[[Any], Any]]) -> None:
        self.known = known
        # For the classes within this one, each of which needs one function only.
        self.made = made
        self.scope: dict[str, Any] = {
            "refuse": _refuse,
            "NUMBERS": _NUMBERS,
            "as_error": _as_error,
            "as_checkpoint": _as_checkpoint,
        }
        self.checks: list[str] = []
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
        lines += [f"if not ({check}): refuse()" for check in self.all_checks()]
        twin = _twin_of(form.cls)
        if twin is None:
            given = ", ".join(f"{field.alias}={expression}" for field, expression in parts)
            lines.append(f"return {self.named(form.cls)}({given})")
        else:
            lines.append(f"made = {self.named(object.__new__)}({self.named(twin)})")
            lines += [f"made.{field.name} = {expression}" for field, expression in parts]
            lines += [f"made.__class__ = {self.named(form.cls)}", "return made"]
        return self.compiled(form, lines)

    def all_checks(self) -> list[str]:
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

    def read_parts(  # noqa: PLR0911 -- a case for each kind
        self, shape: Shape, name: str
    ) -> tuple[str | None, str]:
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
        if isinstance(shape, ObjectShape) and not holds_itself(shape.form):
            if shape.form not in self.made:
                source = _Source(self.known, self.made)
                self.made[shape.form] = source.reader(shape.form, {})
            return None, f"{self.named(self.made[shape.form])}({name})"
        known = self.known
        return None, f"{self.named(lambda form: shape.read(Reader(known), form, ''))}({name})"


def _twin_of(cls: type) -> type | None:
    """A class of the same layout whose fields can be set; None for a user's class.

    As in the engine: a frozen ``__init__`` costs three times what setting the fields does.
    """
    # Of our own classes alone: a user's may notice that it is subclassed.
    if cls.__module__.partition(".")[0] != "trio_ingest":
        return None
    unset = object.__setattr__, object.__delattr__
    names = {"__slots__": (), "__setattr__": unset[0], "__delattr__": unset[1]}
    return type(cls.__name__, (cls,), names)
