"""What stands for a value that JSON, or the reader, has no form for."""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from trio_ingest import PipelineEvent

# Of what is only described.
CHARACTERS: Final = 1000

# Where an object was in memory says nothing to a reader, and differs from run to run.
_ADDRESS: Final = re.compile(r"(?<= at 0x)[0-9a-fA-F]+")


class RecordedError(Exception):
    """An exception as it was recorded: equal to another one with the same three.

    Args:
        type_name: its class, with its module unless built in.
        message: its text.
        notes: what was noted on it.
    """

    __module__ = "trio_ingest.serialization"

    def __init__(self, type_name: str, message: str, notes: tuple[str, ...] = ()) -> None:
        super().__init__(type_name, message, notes)
        self.type_name = type_name
        self.message = message
        if notes:
            self.__notes__ = list(notes)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was noted on it."""
        return tuple(getattr(self, "__notes__", ()))

    @property
    def _parts(self) -> tuple[str, str, tuple[str, ...]]:
        return self.type_name, self.message, self.notes

    def __str__(self) -> str:
        return f"{self.type_name}: {self.message}"

    def __repr__(self) -> str:
        return f"RecordedError({self.type_name!r}, {self.message!r}, {self.notes!r})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RecordedError):
            return NotImplemented
        return self._parts == other._parts

    def __hash__(self) -> int:
        # Without the notes, which can still be added to.
        return hash((self.type_name, self.message))

    def __reduce__(self) -> tuple[Any, ...]:
        return RecordedError, self._parts


@attrs.frozen
class OpaqueValue:
    """A value that JSON has no form for, as it was described.

    Args:
        type_name: its class, with its module unless built in.
        text: its ``repr``, at most 1,000 characters of it, or why it was not written.
    """

    __module__ = "trio_ingest.serialization"

    type_name: str
    text: str


@attrs.frozen(kw_only=True, repr=False)
class UnknownEvent(PipelineEvent):
    """An event whose type or version the reader does not know, kept as it came.

    Its ``timestamp``, ``pipeline_id`` and ``sequence`` are those that the line gives.

    Args:
        fields: the whole line, as JSON values.
    """

    __module__ = "trio_ingest.serialization"

    fields: Mapping[str, Any]

    @property
    def type_name(self) -> str:
        """What the line calls its type."""
        return str(self.fields["type"])

    def _details(self) -> str:
        return f" of type {self.type_name!r}"


def name_of(kind: type) -> str:
    """A class by its name, with its module unless built in; never raises."""
    try:
        module, name = kind.__module__, kind.__qualname__
    except Exception:  # noqa: BLE001 -- a metaclass may do anything
        return "object"
    if not type(module) is type(name) is str:
        return "object"
    return name if module == "builtins" else f"{module}.{name}"


def error_parts(error: BaseException) -> tuple[str, str, tuple[str, ...]]:
    """The class, the message and the notes of an exception; never raises."""
    if type(error) is RecordedError and type(error.type_name) is type(error.message) is str:
        return error.type_name, error.message, _notes_of(error)
    try:
        message = str.__str__(str(error))
    except Exception as problem:  # noqa: BLE001 -- whatever a user's __str__ does
        message = f"its text failed with {name_of(type(problem))}"
    return name_of(type(error)), message, _notes_of(error)


def _notes_of(error: BaseException) -> tuple[str, ...]:
    try:
        noted: Any = error.__notes__
        if not isinstance(noted, list | tuple):
            # Which may have no end, or be used up by looking at it.
            return ()
        return tuple(str.__str__(note) for note in noted if isinstance(note, str))
    except Exception:  # noqa: BLE001 -- there are none, or whatever a user put there
        return ()


def opaque(value: object) -> OpaqueValue:
    """A value, described by its ``repr``; never raises."""
    if type(value) is OpaqueValue and type(value.type_name) is type(value.text) is str:
        return value
    try:
        text = str.__str__(repr(value))
    except Exception as problem:  # noqa: BLE001 -- whatever a user's __repr__ does
        text = f"its repr failed with {name_of(type(problem))}"
    if len(text) > CHARACTERS:
        text = text[: CHARACTERS - 3] + "..."
    return OpaqueValue(name_of(type(value)), _ADDRESS.sub("...", text))
