"""JSON Lines: one JSON object a line, one document an object."""

from __future__ import annotations

import json
import math
import os
import re
import sys
import zlib
from collections.abc import AsyncGenerator
from typing import Any, Final, NamedTuple, NoReturn

import anyio.to_thread

from trio_ingest import Cursor, Document, SetupError
from trio_ingest.adapters._bytes.line_count import count_lines
from trio_ingest.adapters._bytes.lines import Line, LineSplitter, LongLine
from trio_ingest.adapters._bytes.positions import position_of
from trio_ingest.adapters._bytes.reader import STANDARD_INPUT, ChunkReader
from trio_ingest.adapters.errors import BadFileError, BadLineError

from ._hints import fields_there, other_shape

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
# In this order: a mark of UTF-16 begins one of UTF-32.
_FOREIGN_MARKS: Final = {
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}


class LineRecord(NamedTuple):
    """One line, as ``fetch`` yields it and as a failed document keeps it.

    Args:
        line_number: counted from 1.
        data: its bytes, without the line feed; the first 200 of a line that is
            longer than ``max_record_bytes``.
        full_length: how many bytes such a line has; None for a line that is all here.
    """

    line_number: int
    data: bytes
    full_length: int | None = None


class JsonLinesAdapter:
    """Reads documents from a JSON Lines file, plain or gzip, or from standard input.

    Args:
        path: the file; ``-`` is standard input. It is opened when a run starts.
        id_field: the field that becomes ``doc_id``. A number becomes a string,
            as it is written: ``1.50`` and ``1.5`` are two ids;
            a line where it is missing, empty or anything else is a failed document.
        content_field: the field that becomes ``content``. Missing and null are
            the empty string; anything else but a string is a failed document.
        source: how events and documents name this input; the path when None.
        max_record_bytes: the longest line that is read, without its line feed. A
            longer one is a failed document and is not held in memory.

    The other fields become ``metadata``; ``raw`` is the line as text. When a
    line repeats a field, the last one counts. Blank lines, Windows line ends and
    a UTF-8 byte order mark are passed over.

    A plain file is resumed at the line where the checkpoint ends, and may have grown
    by whole lines since. Gzip, pipes and standard input are read from their start,
    and what has ended is passed over.

    Raises:
        SetupError: ``path`` or a field is empty, both fields are the same, or
            ``max_record_bytes`` is no whole number above 0.

    Memory: O(256 KiB + ``max_record_bytes``).

    >>> adapter = JsonLinesAdapter("articles.jsonl", content_field="abstract")
    >>> adapter.parse(LineRecord(7, b'{"id": 1, "abstract": "On cats.", "year": 1979}'))
    ... # doctest: +NORMALIZE_WHITESPACE
    Document(doc_id='1', source='articles.jsonl', content='On cats.',
    raw='{"id": 1, "abstract": "On cats.", "year": 1979}', metadata={'year': 1979})
    """

    stable_order: Final = True

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        id_field: str = "id",
        content_field: str = "text",
        source: str | None = None,
        max_record_bytes: int = 16 * 1024 * 1024,
    ) -> None:
        self._path = os.fspath(path)
        if not self._path:
            raise SetupError("path is empty; give a file, or - for standard input.")
        if not id_field or not content_field or id_field == content_field:
            raise SetupError(
                f"id_field and content_field must name two different fields; "
                f"got {_shortened(id_field)} and {_shortened(content_field)}."
            )
        if type(max_record_bytes) is not int or max_record_bytes < 1:
            raise SetupError(
                f"max_record_bytes must be a whole number of at least 1; "
                f"got {_shortened(max_record_bytes)}."
            )
        self._max_record_bytes = max_record_bytes
        self._id_field = id_field
        self._content_field = content_field
        self._name = "standard input" if self._path == STANDARD_INPUT else _text_of(self._path)
        self.source = self._name if source is None else source

    async def fetch(
        self, *, cursor: object = None
    ) -> AsyncGenerator[LineRecord | Cursor, None]:
        """Yield a record for each line that is not blank, and cursors in a plain file.

        Args:
            cursor: the value of a cursor, to go on from there; None for the start.

        Raises:
            OSError: the file cannot be opened or read.
            BadFileError: its gzip data is damaged or ends early, or it is UTF-16 or 32.
            CheckpointError: ``cursor`` is no place in this file, or no longer.

        By a ``BadFileError`` every whole line before a truncation has been yielded.
        Other damage to gzip data may show only where its member ends, whose checksum
        tells: by then wrong lines may have been yielded too. The message says since which.

        A cursor comes about once in 256 KiB, behind the last line that is whole by then.
        """
        start = None if cursor is None else position_of(cursor, self._name)
        line_number = 0 if start is None else start.line
        verified = 0
        reader = ChunkReader(self._path, self._name, start)
        splitter = LineSplitter(self._max_record_bytes)
        try:
            while True:
                chunk = await reader.read()
                lines = splitter.feed(chunk) if chunk else splitter.finish()
                if line_number == 0 and lines:
                    lines = [self._unmarked(lines[0]), *lines[1:]]
                for line_number, line in enumerate(lines, line_number + 1):  # noqa: B020 -- the count goes on
                    if not isinstance(line, bytes):
                        yield LineRecord(line_number, line.start, line.length)
                    elif line and not line.isspace():
                        yield LineRecord(line_number, line)
                if reader.is_verified:
                    verified = line_number
                if not chunk:
                    return
                position = reader.position(splitter.unfinished_bytes, line_number)
                if position is not None:
                    yield Cursor(position._asdict())
        except EOFError as error:
            raise self._bad_file(
                line_number,
                "the gzip data ends early: the file is truncated. Fetch it again, "
                "or unpack what is there and read that.",
            ) from error
        except zlib.error as error:
            raise self._damaged(line_number, verified, error) from error
        finally:
            reader.close()

    async def estimate_total(self) -> int | None:
        """About how many lines a plain file has; exact when it is no larger than 16 MiB.

        None for gzip, pipes and standard input, whose length nobody knows, and where nothing
        can be read: ``fetch`` says why. Reads at most 16 MiB, and 2 MiB of a larger file.
        """
        if self._path == STANDARD_INPUT:
            return None  # noqa: ASYNC910 -- there is nothing to wait for
        return await anyio.to_thread.run_sync(count_lines, self._path, abandon_on_cancel=True)

    def parse(self, record: LineRecord) -> Document:
        """The document that one line holds.

        Raises:
            BadLineError: the line is not one; the message names file and line.
        """
        try:
            # An ordinary line, in as few steps as can be; whatever is not as usual with
            # it is found out below, from the start.
            text = record.data.decode().rstrip("\r")
            fields, end = _DECODER.raw_decode(text)
            doc_id, content = fields.pop(self._id_field), fields.pop(self._content_field)
            if type(doc_id) is int:
                doc_id = str(doc_id)
            if (
                end == len(text)
                and type(doc_id) is type(content) is str
                and doc_id
                and record.full_length is None
                and not _may_hold_surrogates(text)
            ):
                return Document(doc_id, self.source, content, text, fields)
        except Exception:  # noqa: BLE001, S110 -- told below
            pass
        return self._parsed_with_care(record)

    def _parsed_with_care(self, record: LineRecord) -> Document:
        text = self._text(record)
        fields = self._fields(record, text)
        if _may_hold_surrogates(text):
            self._refuse_lone_surrogates(record, fields)
        doc_id = self._doc_id(record, text, fields)
        content = fields.pop(self._content_field, None)
        if content is None:
            content = ""
        elif type(content) is not str:
            raise self._bad(
                record,
                f"the field {_shortened(self._content_field)} must be a string, "
                f"not {_described(content)}.",
            )
        return Document(doc_id, self.source, content, text, fields)

    def _damaged(self, line_number: int, verified: int, error: zlib.error) -> BadFileError:
        if line_number == 0:
            reason = (
                f"the gzip data is damaged, or is no gzip data ({error}). Fetch the file "
                f"again; if it is plain text, take the .gz off its name."
            )
        elif line_number == verified:
            reason = (
                f"the gzip data is damaged ({error}). The documents before are good; "
                f"fetch the file again for the others."
            )
        else:
            reason = (
                f"the gzip data is damaged ({error}). It shows only at the end of a gzip "
                f"member, so the documents since line {verified + 1} may be wrong: "
                f"delete them, then fetch the file again."
            )
        return self._bad_file(line_number, reason)

    def _unmarked(self, first_line: Line) -> Line:
        if isinstance(first_line, LongLine):
            return first_line._replace(start=self._without_mark(first_line.start))
        return self._without_mark(first_line)

    def _without_mark(self, first_bytes: bytes) -> bytes:
        for mark, encoding in _FOREIGN_MARKS.items():
            if first_bytes.startswith(mark):
                raise self._bad_file(
                    0,
                    f"the file is {encoding}, and JSON Lines is UTF-8. "
                    f"Convert it first: iconv -f {encoding} -t UTF-8.",
                )
        return first_bytes.removeprefix(_BYTE_ORDER_MARK)

    def _text(self, record: LineRecord) -> str:
        if record.full_length is not None:
            begun = record.data.decode(errors="replace")
            remedy = other_shape(record.line_number, begun) or " Raise it to read the line."
            raise self._bad(
                record,
                f"the line is {record.full_length:,} bytes long and was skipped: "
                f"max_record_bytes is {self._max_record_bytes:,}.{remedy}",
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
            fields = _DECODER.decode(text)
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
                record, f"the line must hold a JSON object, not {_described(fields)}.{hint}"
            )
        return fields

    def _doc_id(self, record: LineRecord, text: str, fields: dict[str, Any]) -> str:
        name = self._id_field
        if name not in fields:
            raise self._bad(
                record,
                f"the field {_shortened(name)}, the id, is missing{fields_there(fields)}.",
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
            f"the field {_shortened(name)}, the id, must be a string that is not empty, "
            f"or a number, not {_described(value)}.",
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
        return BadLineError(self._name, record.line_number, reason)

    def _bad_file(self, line_number: int, reason: str) -> BadFileError:
        return BadFileError(self._name, line_number, reason)


def _text_of(path: str) -> str:
    # A name that is not UTF-8 on disk must not make every document unstorable.
    return path.encode(errors="backslashreplace").decode()


class _RefusedNumber(ValueError):
    """A number that the decoder could take and we do not."""


def _refuse_constant(name: str) -> NoReturn:
    raise _RefusedNumber(f"is not valid JSON: {name} is not a JSON value")


def _finite(literal: str) -> float:
    value = float(literal)
    if math.isinf(value):
        raise _RefusedNumber(f"holds {_shortened(literal)}, a number beyond all floats")
    return value


def _may_hold_surrogates(text: str) -> bool:
    # One character is found ten times as fast as two, and most lines hold none, or none
    # for long; and most that do hold no such escape at all.
    first = text.find("\\")
    return first >= 0 and text.find("\\u", first) >= 0 and _SURROGATE.search(text) is not None


_SURROGATE: Final = re.compile(r"\\u[dD]")

# Called for floats alone: lines without any cost nothing.
_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)
_LITERALS: Final = json.JSONDecoder(parse_float=str)
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


def _described(value: object) -> str:
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
    return _shortened(value)


def _shortened(value: object) -> str:
    text = repr(value[:81] if isinstance(value, str) else value)
    return text if len(text) <= 80 else text[:77] + "..."
