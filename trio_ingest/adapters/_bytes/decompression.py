"""Gzip without I/O: compressed bytes in, bounded pieces of plain bytes out.

``gzip.GzipFile`` reads from a file that it may block on. Here the bytes may come from a
pipe that the event loop waits for, so the decompressor stands alone.
"""

from __future__ import annotations

import zlib

GZIP_MAGIC = b"\x1f\x8b"

_GZIP_FRAMING = 16 + zlib.MAX_WBITS


class GzipDecompressor:
    """The plain bytes of a gzip file of one or several members.

    Args:
        max_bytes: the most that one call of ``decompress`` returns.

    Memory: O(``max_bytes`` + the bytes of one call), however well the data was
    compressed: what does not fit waits compressed.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._member = zlib.decompressobj(_GZIP_FRAMING)
        self._input = b""
        # True where a member has ended, its checksum right, and no other has begun.
        self.at_member_end = False

    @property
    def needs_input(self) -> bool:
        """True if ``decompress`` has no compressed bytes left to go on with."""
        return not self._input

    def decompress(self, data: bytes = b"") -> bytes:
        """Return the next plain bytes, possibly none.

        Args:
            data: the next compressed bytes; none while there is input left.

        Raises:
            zlib.error: the data is not gzip, or is damaged.
        """
        data = self._input + data
        if self.at_member_end:
            # Tape blocks and some writers pad a finished member with zeros.
            data = data.lstrip(b"\0")
            if not data:
                self._input = b""
                return b""
            self._member = zlib.decompressobj(_GZIP_FRAMING)
            self.at_member_end = False
        plain = self._member.decompress(data, self._max_bytes)
        if self._member.eof:
            self.at_member_end = True
            self._input = self._member.unused_data
        else:
            self._input = self._member.unconsumed_tail
        return plain

    def finish(self) -> None:
        """Take note that there are no more compressed bytes.

        Raises:
            EOFError: they ended in the middle of a member.
        """
        if not self.at_member_end:
            raise EOFError("the gzip data ends early")
