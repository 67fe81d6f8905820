"""Gzip without I/O: compressed bytes in, bounded pieces of plain bytes out.

``gzip.GzipFile`` wants a file that it may block on. Here the bytes may come
from a pipe that is waited for elsewhere, so the decompressor stands alone.
"""

from __future__ import annotations

import zlib

MAGIC = b"\x1f\x8b"

_GZIP_FRAMING = 16 + zlib.MAX_WBITS


class Gunzip:
    """Turns the bytes of a gzip file, of one member or several, into plain bytes.

    Args:
        piece_bytes: the most that one call of ``inflate`` answers.

    Memory: O(``piece_bytes`` + the bytes of one call), however well the data
    was compressed: what does not fit waits compressed.
    """

    def __init__(self, piece_bytes: int) -> None:
        self._piece_bytes = piece_bytes
        self._member = zlib.decompressobj(_GZIP_FRAMING)
        self._waiting = b""
        # A member has ended, and its checksum was right.
        self.between_members = False

    @property
    def hungry(self) -> bool:
        """Whether ``inflate`` needs more compressed bytes before it can answer."""
        return not self._waiting

    def inflate(self, data: bytes = b"") -> bytes:
        """The next plain bytes, possibly none; call without ``data`` until hungry.

        Raises:
            zlib.error: the data is not gzip, or is damaged.
        """
        data = self._waiting + data
        if self.between_members:
            # Tape blocks and some writers pad a finished member with zeros.
            data = data.lstrip(b"\0")
            if not data:
                self._waiting = b""
                return b""
            self._member = zlib.decompressobj(_GZIP_FRAMING)
            self.between_members = False
        plain = self._member.decompress(data, self._piece_bytes)
        if self._member.eof:
            self.between_members = True
            self._waiting = self._member.unused_data
        else:
            self._waiting = self._member.unconsumed_tail
        return plain

    def finish(self) -> None:
        """Say that the compressed bytes have come to their end.

        Raises:
            EOFError: they ended in the middle of a member.
        """
        if not self.between_members:
            raise EOFError("the gzip data ends early")
