"""JSON Lines: one JSON object a line, one document an object."""

from __future__ import annotations

import codecs
import os
from collections.abc import AsyncGenerator

import anyio.to_thread

from trio_ingest import Cursor, Document, SetupError
from trio_ingest.adapters._bytes.line_count import count_lines
from trio_ingest.adapters._bytes.line_reader import LineReader
from trio_ingest.adapters._bytes.lines import Line
from trio_ingest.adapters._bytes.marks import marked_encoding
from trio_ingest.adapters._bytes.opening import STANDARD_INPUT, is_pipe, printable_path
from trio_ingest.adapters._bytes.positions import parse_position
from trio_ingest.adapters.errors import BadFileError

from ._parsing import DECODER, LineParser, LineRecord, may_hold_surrogates, short_repr


class JsonLinesAdapter:
    """Reads documents from a JSON Lines file, plain or gzip, or from standard input.

    Args:
        path: the file; ``-`` is standard input. It is opened when a run starts.
        id_field: the field that becomes ``doc_id``. A number becomes a string,
            as it is written: ``1.50`` and ``1.5`` are two ids;
            a line where it is missing, empty or anything else is a failed document.
        content_field: the field that becomes ``content``. Missing and null are
            the empty string; anything else but a string is a failed document.
        source: the name of this input in events and documents; the path when None.
        max_record_bytes: the longest line that is read, without its line feed. A
            longer one is a failed document and is not held in memory.

    The other fields become ``metadata``; ``raw`` is the line as text. When a
    line repeats a field, the last one counts. Blank lines, Windows line ends and
    a UTF-8 byte order mark are passed over.

    A plain file is resumed at the line where the checkpoint ends, and may have grown
    by whole lines since. Gzip, pipes and standard input are read from their start,
    and what has ended is passed over; pipes and standard input are read on also
    when a run has come to their end. A file that was cut or written over, while it was read
    or since the checkpoint, is an error.

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

    __module__ = "trio_ingest.adapters"

    stable_order = True

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
                f"got {short_repr(id_field)} and {short_repr(content_field)}."
            )
        if type(max_record_bytes) is not int or max_record_bytes < 1:
            raise SetupError(
                f"max_record_bytes must be a whole number of at least 1; "
                f"got {short_repr(max_record_bytes)}."
            )
        is_input = self._path == STANDARD_INPUT
        # A pipe ends alike when its writer is done and when it has died.
        self.is_open_ended = is_input or is_pipe(self._path)
        # Printable: a name that is not UTF-8 on disk must not make every document unstorable.
        self._name = "standard input" if is_input else printable_path(self._path)
        self.source = self._name if source is None else source
        self._id_field = id_field
        self._content_field = content_field
        self._max_record_bytes = max_record_bytes
        self._parser = LineParser(self._name, id_field, content_field, max_record_bytes)

    async def fetch(
        self, *, cursor: object = None
    ) -> AsyncGenerator[LineRecord | Cursor, None]:
        """Yield a record for each line that is not blank, and cursors.

        Args:
            cursor: the value of a cursor, to go on from there; None for the start.

        Raises:
            OSError: the file cannot be opened or read.
            BadFileError: its gzip data is damaged or ends early, it is UTF-16 or 32, or it
                was cut or written over while it was read.
            CheckpointError: ``cursor`` is no place in this file, or no longer.

        By a ``BadFileError`` every whole line before a truncation has been yielded.
        Other damage to gzip data may show only where its member ends, whose checksum
        tells: by then wrong lines may have been yielded too. The message says since which.

        A cursor comes before the first record, and then about once in 256 KiB, behind the
        last line that is whole by then. Each holds the checksums by which the file is known
        again: of its first bytes and of those before the cursor.
        """
        start = None if cursor is None else parse_position(cursor, self._name)
        reader = LineReader(self._path, self._name, self._max_record_bytes, start)
        is_first = cursor is None
        try:
            while True:
                lines = await reader.read()
                if is_first and lines:
                    # So that a run which is stopped before the next one knows its file too.
                    yield Cursor(reader.first_position()._asdict())
                    is_first = False
                line_number = reader.line_number - len(lines)
                if line_number == 0 and lines:
                    lines = [self._without_mark(lines[0]), *lines[1:]]
                for line_number, line in enumerate(lines, line_number + 1):  # noqa: B020 -- the count goes on
                    if not isinstance(line, bytes):
                        yield LineRecord(line_number, line.start, line.length)
                    elif line and not line.isspace():
                        yield LineRecord(line_number, line)
                if reader.at_end:
                    return
                position = reader.position()
                if position is not None:
                    yield Cursor(position._asdict())
        finally:
            reader.close()

    async def estimate_total(self) -> int | None:
        """Return about how many lines a plain file has; exact up to 16 MiB.

        Returns:
            None for gzip, pipes and standard input, whose length is not known, and where
            nothing can be read: ``fetch`` says why.

        Reads at most 16 MiB, and 2 MiB of a larger file.
        """
        if self._path == STANDARD_INPUT:
            return None  # noqa: ASYNC910 -- there is nothing to wait for
        return await anyio.to_thread.run_sync(count_lines, self._path, abandon_on_cancel=True)

    def parse(self, record: LineRecord) -> Document:
        """Return the document that one line holds.

        Args:
            record: the line.

        Raises:
            BadLineError: the line is no document; the message names file and line.
        """
        try:
            # An ordinary line, in as few steps as can be. Anything unusual goes to the
            # careful parser, which begins anew and finds the reason.
            text = record.data.decode().rstrip("\r")
            fields, end = DECODER.raw_decode(text)
            doc_id, content = fields.pop(self._id_field), fields.pop(self._content_field)
            if type(doc_id) is int:
                doc_id = str(doc_id)
            if (
                end == len(text)
                and type(doc_id) is type(content) is str
                and doc_id
                and record.full_length is None
                and not may_hold_surrogates(text)
            ):
                return Document(doc_id, self.source, content, text, fields)
        except Exception:  # noqa: BLE001, S110 -- the careful parser raises it again
            pass
        return self._parser.parse(record, self.source)

    def _without_mark(self, first_line: Line) -> Line:
        data = first_line if isinstance(first_line, bytes) else first_line.start
        encoding = marked_encoding(data)
        if encoding is not None and encoding != "UTF-8":
            raise BadFileError(
                self._name,
                0,
                f"the file is {encoding}, and JSON Lines is UTF-8. "
                f"Convert it first: iconv -f {encoding} -t UTF-8.",
            )
        data = data.removeprefix(codecs.BOM_UTF8)
        return data if isinstance(first_line, bytes) else first_line._replace(start=data)
