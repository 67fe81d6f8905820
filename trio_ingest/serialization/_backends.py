"""The two that make text of JSON values: orjson, and the standard library."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple, NoReturn, TypeAlias

from trio_ingest import MissingExtraError, SetupError

JsonChoice: TypeAlias = Literal["auto", "orjson", "json"]

# The whole numbers that both of them write.
LEAST: Final = -(2**63)
MOST: Final = 2**64 - 1


class BackEnd(NamedTuple):
    """One of the two.

    Args:
        name: what the user calls it.
        dumps: JSON values as UTF-8; raises for numbers beyond 64 bits and for halves of
            surrogate pairs. With options, they are its third argument.
        loads: the inverse; raises ``ValueError`` for anything that is no JSON.
    """

    name: str
    dumps: Callable[..., bytes]
    loads: Callable[[bytes | str], Any]
    options: int | None = None

    @property
    def takes_any_key(self) -> bool:
        """Whether a key that is no string becomes one, silently."""
        return self.options is None

    def text_of(self, value: Any) -> bytes:
        """JSON values as UTF-8."""
        if self.options is None:
            return self.dumps(value)
        return self.dumps(value, None, self.options)


def back_end(choice: JsonChoice) -> BackEnd:
    """The back end that was chosen.

    Raises:
        SetupError: there is no such one.
        MissingExtraError: it is orjson, and not installed.
    """
    if choice not in {"auto", "orjson", "json"}:
        raise SetupError(f"json must be 'auto', 'orjson' or 'json'; got {choice!r:.80}.")
    if choice == "json":
        return STANDARD
    try:
        import orjson  # noqa: PLC0415 -- an extra
    except ImportError as error:
        if choice == "auto":
            return STANDARD
        raise MissingExtraError(
            "json='orjson' needs the orjson package, which is not installed. Leave the "
            "argument out to use the standard library, or run: pip install 'trio-ingest[json]'"
        ) from error
    # Without these, a subclass would become what it is not.
    options = (
        orjson.OPT_PASSTHROUGH_SUBCLASS
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
    )
    return BackEnd("orjson", orjson.dumps, orjson.loads, options)


def _dump(value: Any) -> bytes:
    if not _is_within(value):
        raise ValueError("a number is beyond 64 bits")
    return _ENCODER.encode(value).encode()


def dump_as_it_is(value: Any) -> bytes:
    """JSON values as UTF-8, numbers beyond 64 bits as well; for what was read so.

    Raises:
        ValueError: it is made of anything else.
    """
    line = _ENCODER.encode(value).encode()
    if _DECODER.decode(line.decode()) != value:
        raise ValueError("the values would not come back")
    return line


def _is_within(value: Any) -> bool:
    """Whether all whole numbers have 64 bits at most, as orjson asks as well."""
    kind = type(value)
    if kind is int:
        return bool(LEAST <= value <= MOST)
    if kind is dict:
        return all(_is_within(part) for part in value.values() if type(part) in _LOOKED_AT)
    if kind is list:
        return all(_is_within(part) for part in value if type(part) in _LOOKED_AT)
    return True


def _load(data: bytes | str) -> Any:
    if isinstance(data, str):
        text = str.__str__(data)
        text.encode()  # raises for halves of surrogate pairs
    else:
        text = bytes(data).decode()
    if text.startswith("\ufeff"):
        raise ValueError("it begins with a byte order mark")
    value = _DECODER.decode(text)
    if "\\ud" in text or "\\uD" in text:
        _ENCODER.encode(value).encode()  # the same, for those that were spelled out
    return value


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"the number {digits:.40} is too large")
    return number


_LOOKED_AT: Final = frozenset({int, dict, list})
_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
)
_DECODER: Final = json.JSONDecoder(parse_constant=_refused, parse_float=_finite)
STANDARD: Final = BackEnd("json", _dump, _load)
