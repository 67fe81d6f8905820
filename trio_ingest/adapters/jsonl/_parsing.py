"""A line made into a document with care: the reason is found if it cannot be."""

from __future__ import annotations

import json
import math
import re
import sys
from typing import Any, Final, NamedTuple, NoReturn

import attrs

from trio_ingest import Document
from trio_ingest.adapters.errors import BadLineError

from ._hints import fields_there, other_shape


class LineRecord(NamedTuple):
    """One line, as ``fetch`` yields it and as a failed document keeps it.

    Args:
        line_number: counted from 1.
        data: its bytes, without the line feed; the first 200 of a line that is
            longer than ``max_record_bytes``.
        full_length: the size in bytes of such a line; None for a line that is all here.
    """

    line_number: int
    data: bytes
    full_length: int | None = None


LineRecord.__module__ = "trio_ingest.adapters"


@attrs.frozen
class LineParser:
    """Makes documents of lines, however unusual; with the options of the adapter."""

    # The file's, in errors.
    name: str
    id_field: str
    content_field: str
    max_record_bytes: int

    def parse(self, record: LineRecord, source: str) -> Document:
        """Return the document that one line holds.

        Raises:
            BadLineError: the line is no document.
        """
        text = self._text(record)
        fields = self._fields(record, text)
        if may_hold_surrogates(text):
            self._refuse_lone_surrogates(record, fields)
        doc_id = self._doc_id(record, text, fields)
        content = fields.pop(self.content_field, None)
        if content is None:
            content = ""
        elif type(content) is not str:
            raise self._bad(
                record,
                f"the field {short_repr(self.content_field)} must be a string, "
                f"not {_describe_json(content)}.",
            )
        return Document(doc_id, source, content, text, fields)

    def _text(self, record: LineRecord) -> str:
        if record.full_length is not None:
            start = record.data.decode(errors="replace")
            remedy = other_shape(record.line_number, start) or " Raise it to read the line."
            raise self._bad(
                record,
                f"the line is {record.full_length:,} bytes long and was skipped: "
                f"max_record_bytes is {self.max_record_bytes:,}.{remedy}",
            )
        try:
            return record.data.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            raise self._bad(
                record,
                f"the line is not valid UTF-8: byte 0x{record.data[error.start]:02x} "
                f"at position {error.start + 1} ({error.reason}).",
            ) from error

    def _fields(self, record: LineRecord, text: str) -> dict[str, Any]:
        hint = other_shape(record.line_number, text)
        try:
            fields = DECODER.decode(text)
        except json.JSONDecodeError as error:
            # Some of its messages end in the word that goes on here.
            what = error.msg.removesuffix(" at")
            raise self._bad(
                record,
                f"the line is not valid JSON: {what} at position {error.pos + 1}.{hint}",
            ) from error
        except RecursionError as error:
            raise self._bad(record, f"the line nests values too deeply.{hint}") from error
        except _RefusedNumber as error:
            raise self._bad(record, f"the line {error}.{hint}") from error
        except ValueError as error:
            most = sys.get_int_max_str_digits()
            raise self._bad(
                record, f"the line holds a number with more than {most:,} digits.{hint}"
            ) from error
        if type(fields) is not dict:
            raise self._bad(
                record,
                f"the line must hold a JSON object, not {_describe_json(fields)}.{hint}",
            )
        return fields

    def _doc_id(self, record: LineRecord, text: str, fields: dict[str, Any]) -> str:
        name = self.id_field
        if name not in fields:
            raise self._bad(
                record,
                f"the field {short_repr(name)}, the id, is missing{fields_there(fields)}.",
            )
        value = fields.pop(name)
        if type(value) is str and value:
            return value
        if type(value) is int:
            return str(value)
        if type(value) is float:
            # Two ids that differ only past the precision of a float are two.
            return str(_LITERALS.decode(text)[name])
        raise self._bad(
            record,
            f"the field {short_repr(name)}, the id, must be a string that is not empty, "
            f"or a number, not {_describe_json(value)}.",
        )

    def _refuse_lone_surrogates(self, record: LineRecord, fields: dict[str, Any]) -> None:
        try:
            _ENCODER.encode(fields).encode()
        except UnicodeEncodeError as error:
            raise self._bad(
                record,
                f"the line holds half of a surrogate pair "
                f"(\\u{ord(error.object[error.start]):04x}), which no UTF-8 text can hold.",
            ) from error
        except RecursionError as error:
            raise self._bad(record, "the line nests values too deeply.") from error

    def _bad(self, record: LineRecord, reason: str) -> BadLineError:
        return BadLineError(self.name, record.line_number, reason)


class _RefusedNumber(ValueError):
    """A number that the decoder could take and we do not."""


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedNumber(f"is not valid JSON: {name} is not a JSON value")


def _finite_float(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        raise _RefusedNumber(f"holds {short_repr(literal)}, a number beyond all floats")
    return value


def may_hold_surrogates(text: str) -> bool:
    """Look for the start of an escape of a surrogate; its half may be there."""
    # One character is found ten times as fast as two, and most lines hold none, or none
    # for long; and most that do hold no such escape at all.
    first = text.find("\\")
    return first >= 0 and text.find("\\u", first) >= 0 and _SURROGATE.search(text) is not None


_SURROGATE: Final = re.compile(r"\\u[dD]")

# Called for floats alone: lines without any cost nothing.
DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite_float)
_LITERALS: Final = json.JSONDecoder(parse_float=str)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


def _describe_json(value: object) -> str:
    # Never the repr of a list or an object: it may be as deep as the line was.
    match value:
        case list():
            return "a list"
        case dict():
            return "an object"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
    return short_repr(value)


def short_repr(value: object) -> str:
    """Return the ``repr`` of a value that is not nested, cut at 80 characters."""
    text = repr(value[:81] if isinstance(value, str) else value)
    return text if len(text) <= 80 else text[:77] + "..."
