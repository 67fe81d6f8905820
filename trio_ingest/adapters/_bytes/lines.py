"""Chunks in, whole lines out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

# Enough to recognise a line by; a report of ten thousand of them stays small.
START_BYTES: Final = 200


class LongLine(NamedTuple):
    """The remains of a line that is longer than allowed.

    Args:
        start: its first bytes, at most 200.
        length: its size in bytes, without the line feed.
    """

    start: bytes
    length: int


Line: TypeAlias = bytes | LongLine


class LineSplitter:
    """Cuts a series of chunks at line feeds, without the line feeds.

    Args:
        max_line_bytes: of a line with more, only the start and the length are kept.

    Memory: O(one chunk + ``max_line_bytes``).
    """

    def __init__(self, max_line_bytes: int) -> None:
        self._max_bytes = max_line_bytes
        self._pieces: list[bytes] = []
        self._is_blank = True
        # The bytes since the last line feed.
        self.unfinished_bytes = 0

    def feed(self, chunk: bytes) -> Sequence[Line]:
        """Return the lines that ``chunk`` completes."""
        pieces = chunk.split(b"\n")
        last = pieces.pop()
        if not pieces:
            self._keep(last)
            return pieces
        self._keep(pieces[0])
        lines: list[Line] = [self._take(), *pieces[1:]]
        # Lines inside a chunk that is no longer than the limit need not be measured.
        if len(chunk) > self._max_bytes:
            lines[1:] = map(self._within_limit, pieces[1:])
        self._keep(last)
        return lines

    def finish(self) -> Sequence[Line]:
        """Return the last line, if the file does not end with a line feed."""
        return [self._take()] if self.unfinished_bytes else []

    def _within_limit(self, line: bytes) -> Line:
        self._keep(line)
        return self._take()

    def _keep(self, piece: bytes) -> None:
        if not piece:
            return
        # In pieces: joined at each chunk, a line of a hundred chunks would be copied a
        # hundred times.
        self._pieces.append(piece)
        self.unfinished_bytes += len(piece)
        if self.unfinished_bytes > self._max_bytes:
            self._is_blank = self._is_blank and all(map(bytes.isspace, self._pieces))
            self._pieces = [
                b"".join(piece[:START_BYTES] for piece in self._pieces)[:START_BYTES]
            ]

    def _take(self) -> Line:
        length, line = self.unfinished_bytes, b"".join(self._pieces)
        is_blank, self._is_blank = self._is_blank, True
        self._pieces = []
        self.unfinished_bytes = 0
        if length <= self._max_bytes:
            return line
        # A blank line is none, however long: which lines are records, and so how they
        # are counted, must not depend on a limit that the next run may change.
        return b"" if is_blank else LongLine(line, length)
