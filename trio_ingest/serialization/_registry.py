"""The classes that a codec was told of, and what their fields hold."""

from __future__ import annotations

import functools
import sys
import typing
from collections.abc import Iterable
from typing import Any, Final

import attrs

from trio_ingest import Checkpoint, Cursor, Document, EngineEvent, PipelineEvent, SetupError

_OWN: Final = (*typing.get_args(EngineEvent), Checkpoint, Cursor, Document)


@attrs.frozen(eq=False)
class Key:
    """The key of the hooks for the fields of a line alone, or for an annotated field."""

    of: Any
    is_field: bool = False


class ClassRegistry:
    """The classes that a codec was told of; two of one name are a ``SetupError``."""

    def __init__(self, extra: Iterable[type]) -> None:
        self.by_name, self.names = dict[str, Any](), dict[Any, str]()
        for cls in (*_OWN, *map(_checked, extra)):
            if other := self.by_name.get(cls.__name__):
                two = f"Two classes are called {cls.__name__}: {other!r} and {cls!r}"
                raise SetupError(f"{two}. A line names its class, so rename one of them.")
            self.by_name[cls.__name__], self.names[cls] = cls, cls.__name__
        self.key_of: Any = functools.cache(lambda c: Key(c) if self.version_of(c) else c)

    def version_of(self, cls: Any) -> int:
        """Return the version of a line of a class; 0 for what is only a part of one."""
        if isinstance(cls, type) and issubclass(cls, PipelineEvent):
            # A field of this name hides what the class says.
            return cls.version if type(cls.version) is int else 1
        return Checkpoint(()).version if cls is Checkpoint else int(cls is Cursor)

    def fields_of(self, cls: Any) -> list[Any]:
        """Return the fields of a class that are written, with keys for their annotations."""
        fields = [field for field in attrs.fields(cls) if field.init]
        return [f.evolve(type=Key(self._hint_of(cls, f), is_field=True)) for f in fields]

    def _hint_of(self, cls: Any, field: Any) -> Any:
        # Each by itself, as one may name what is imported for type checkers only.
        bases = [c for c in cls.__mro__ if field.name in vars(c).get("__annotations__", ())]
        owner = [*bases, cls][0]
        local = {**vars(sys.modules.get(owner.__module__, typing)), **vars(owner)}
        holder = type("Holder", (), {"__annotations__": {"it": field.type or Any}})
        try:
            hints = typing.get_type_hints(holder, {**self.by_name}, local, include_extras=True)
            hash(hints["it"])  # as cattrs looks hooks up by it
        except Exception:  # noqa: BLE001 -- whatever an annotation names
            return Any
        hint, origin = hints["it"], typing.get_origin(hints["it"])
        if isinstance(hint, typing.TypeVar):
            return Any
        return origin if origin in self.names else hint


def _checked(cls: Any) -> type:
    if not isinstance(cls, type) or not attrs.has(cls):
        raise SetupError(f"extra must hold classes made with attrs.frozen; got {cls!r:.80}.")
    if issubclass(cls, PipelineEvent):
        for name in {"type", "version"} & {field.name for field in attrs.fields(cls)}:
            why = "which a line needs for itself; give the field another name"
            raise SetupError(f"{cls.__name__} has a field {name!r}, {why}.")
        if type(cls.version) is not int or cls.version < 1:
            must = f"{cls.__name__}.version must be a whole number from 1"
            raise SetupError(f"{must}; got {cls.version!r:.80}.")
    return cls
