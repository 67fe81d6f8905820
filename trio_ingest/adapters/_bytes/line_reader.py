"""The numbered lines of a file, and the errors of a file that is damaged."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from trio_ingest.adapters.errors import BadFileError

from .lines import Line, LineSplitter
from .positions import FilePosition
from .reader import ChangedFile, ChunkReader


class LineReader:
    """Reads the lines of a file or of standard input, a chunk's worth at a time.

    Args:
        path: the file; ``-`` is standard input.
        name: its name in errors.
        max_line_bytes: of a line with more, only the start and the length are kept.
        start: the position to begin at in a plain file; its start when None.

    Memory: O(``CHUNK_BYTES`` + ``max_line_bytes``).
    """

    def __init__(
        self, path: str, name: str, max_line_bytes: int, start: FilePosition | None = None
    ) -> None:
        self._name = name
        self._chunks = ChunkReader(path, name, start)
        self._splitter = LineSplitter(max_line_bytes)
        self._start_line = 0 if start is None else start.line
        # The lines that have ended; None before the first read.
        self._line_number: int | None = None
        self._verified_line = 0
        self.at_end = False

    @property
    def line_number(self) -> int:
        """The number of the last line that has ended."""
        return self._line_number or 0

    async def read(self) -> Sequence[Line]:
        """Return the lines behind ``start`` that the next chunk completes, possibly none.

        Raises:
            OSError, CheckpointError: as for ``ChunkReader.read``.
            BadFileError: the gzip data is damaged or ends early, or the file was cut or
                written over while it was read.
        """
        try:
            chunk = await self._chunks.read()
        except ChangedFile as error:
            raise self.bad_file(
                "the file was cut or written over while it was read, so what has been read "
                "may be of two versions. Put the file there whole, under another name first, "
                "and begin again."
            ) from error
        except EOFError as error:
            raise self.bad_file(
                "the gzip data ends early: the file is truncated. Fetch it again, "
                "or unpack what is there and read that."
            ) from error
        except zlib.error as error:
            raise self.bad_file(self._damage(error)) from error
        self.at_end = not chunk
        lines = self._splitter.feed(chunk) if chunk else self._splitter.finish()
        before = self._chunks.first_line if self._line_number is None else self._line_number
        self._line_number = before + len(lines)
        if self._chunks.is_verified:
            self._verified_line = self.line_number
        return lines if before >= self._start_line else lines[self._start_line - before :]

    def position(self) -> FilePosition | None:
        """Return the place behind the last line, if a later run can go on from there."""
        if self.line_number <= self._start_line:
            return None
        return self._chunks.position(self._splitter.unfinished_bytes, self.line_number)

    def first_position(self) -> FilePosition:
        """Return the start of the file, with its first bytes, once they have been read."""
        return self._chunks.first_position()

    def close(self) -> None:
        """Close the file; standard input stays open, it is not ours."""
        self._chunks.close()

    def bad_file(self, reason: str) -> BadFileError:
        """Return the error of a file that cannot be read behind the last line."""
        return BadFileError(self._name, self.line_number, reason)

    def _damage(self, error: zlib.error) -> str:
        if self.line_number == 0:
            return (
                f"the gzip data is damaged, or is no gzip data ({error}). Fetch the file "
                f"again; if it is plain text, take the .gz off its name."
            )
        if self.line_number == self._verified_line:
            return (
                f"the gzip data is damaged ({error}). The documents before are good; "
                f"fetch the file again for the others."
            )
        return (
            f"the gzip data is damaged ({error}). It shows only at the end of a gzip "
            f"member, so the documents since line {self._verified_line + 1} may be wrong: "
            f"delete them, then fetch the file again."
        )
