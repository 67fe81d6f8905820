"""Chunks in, whole lines out."""

from __future__ import annotations


class LineSplitter:
    """Cuts a series of chunks at line feeds, without the line feeds.

    Memory: O(one chunk + the line that is not complete yet).
    """

    def __init__(self) -> None:
        self._unfinished: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes."""
        if b"\n" not in chunk:
            # Kept in pieces: joining at each chunk would make a line of a
            # hundred chunks cost a hundred copies of itself.
            self._unfinished.append(chunk)
            return []
        lines = chunk.split(b"\n")
        if self._unfinished:
            lines[0] = b"".join((*self._unfinished, lines[0]))
        last = lines.pop()
        self._unfinished = [last] if last else []
        return lines

    def finish(self) -> list[bytes]:
        """The last line, when the file does not end with a line feed."""
        rest = b"".join(self._unfinished)
        self._unfinished = []
        return [rest] if rest else []
