"""The options of a kind, declared as fields of an attrs class."""

import re
import types
import typing
from functools import cache
from typing import Any, Final, Literal

import attrs

from trio_ingest import SetupError

_METADATA: Final = "trio_ingest.connectors.option"


def option(
    default: Any,
    *,
    help: str,  # noqa: A002 -- what attrs and every command line call it
    metavar: str | None = None,
    unit: str | None = None,
    minimum: float | None = None,
) -> Any:
    """Declare a field of an options class: an option that users may give.

    Args:
        default: the value when it is not given.
        help: what it does, as a sentence.
        metavar: the word for its value in help; N for numbers and TEXT for texts when None.
        unit: of a number, such as ``"bytes"``.
        minimum: the smallest number allowed.

    Returns:
        a field of attrs; its annotation is ``bool``, ``int``, ``float``, ``str`` or a
        ``Literal`` of texts, or one of these ``| None``.
    """
    described = {"help": help, "metavar": metavar, "unit": unit, "minimum": minimum}
    return attrs.field(default=default, metadata={_METADATA: described})


@attrs.frozen
class NoOptions:
    """The options of a kind that has none."""

    __module__ = "trio_ingest.connectors"


@attrs.frozen(kw_only=True)
class Option:
    """One option of a kind, as its options class declares it.

    Args:
        name: the name of the field.
        type: ``bool``, ``int``, ``float`` or ``str``.
        default: the value when it is not given.
        help: what it does, as a sentence.
        metavar: the word for its value in help.
        unit: of a number, or None.
        minimum: the smallest number allowed, or None.
        choices: the texts allowed; empty when any is.
    """

    __module__ = "trio_ingest.connectors"

    name: str
    type: type
    default: Any
    help: str
    metavar: str
    unit: str | None
    minimum: float | None
    choices: tuple[str, ...]

    @property
    def flag(self) -> str:
        """The spelling on the command line."""
        return f"--{self.name.replace('_', '-')}"


@cache
def options_of(cls: type) -> tuple[Option, ...]:
    """Return the options that an options class declares, in its order.

    Args:
        cls: an attrs class whose fields are made by ``option``.

    Raises:
        SetupError: a field is of a type that no option can have, or is no option.
    """
    return tuple(_option_of(cls, field) for field in attrs.fields(attrs.resolve_types(cls)))


def _option_of(cls: type, field: Any) -> Option:
    hint: Any = field.type
    choices: tuple[Any, ...] = ()
    if typing.get_origin(hint) in {typing.Union, types.UnionType}:
        hint, *more = [one for one in typing.get_args(hint) if one is not type(None)]
        hint = object if more else hint
    if typing.get_origin(hint) is Literal:
        choices = typing.get_args(hint)
        hint = str if all(isinstance(choice, str) for choice in choices) else object
    if hint not in {bool, int, float, str} or _METADATA not in field.metadata:
        raise SetupError(
            f"{cls.__qualname__}.{field.name} is no option: declare it with option(...), as "
            f"bool, int, float, str or a Literal of texts, or one of these | None."
        )
    is_plain = re.fullmatch(r"[a-z][a-z0-9_]*", field.name) and field.init
    fits = field.default is None or isinstance(field.default, hint)
    if not is_plain or field.alias != field.name or not fits:
        raise SetupError(
            f"{cls.__qualname__}.{field.name} cannot be an option: its name must be of small "
            f"letters, digits and underscores, and its default of its type, or None."
        )
    described = dict(field.metadata[_METADATA])
    word = described.pop("metavar") or ("|".join(choices) or ("TEXT" if hint is str else "N"))
    return Option(
        name=field.name,
        type=hint,
        default=field.default,
        metavar=word,
        choices=choices,
        **described,
    )
