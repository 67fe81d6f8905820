"""Gzip members: made whole, read as far as they go, and mended where a crash tore one.

Several members behind each other are one gzip file to every reader. So a log grows by
members, and whatever a crash does, only the last one can be torn.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trio_ingest import IngestError

from ._atomic_file import write_all
from ._locks import lock_open_file

_GZIP: Final = 16 + zlib.MAX_WBITS

# How a member begins, and how much of it is needed to read a byte of what it holds.
_MEMBER: Final = b"\x1f\x8b\x08"
_HEADER_BYTES: Final = 512

# Twice as fast as the usual 6, and a tenth larger.
_LEVEL: Final = 3

_READ_BYTES: Final = 64 * 1024

# Of one step: a member of zeros would fill the memory otherwise.
_MOST_BYTES: Final = 1024 * 1024


def member(data: bytes) -> bytes:
    """Return the data as a gzip member."""
    deflate = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
    return deflate.compress(data) + deflate.flush()


def start_of(head: bytes) -> bytes:
    """Return the data of the first bytes of a gzip file; the bytes when it is none."""
    try:
        return zlib.decompressobj(_GZIP).decompress(head, _MOST_BYTES)
    except zlib.error:
        return head


def is_whole(line: bytes) -> bool:
    """Say whether a line without its line feed lacks nothing else of a JSON object.

    Args:
        line: the last one of a log; an object is closed by its last byte.
    """
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


class Inflated:
    """The data of a gzip file, piece by piece, as far as it goes.

    Args:
        descriptor: of the file, at its start.
        ahead: bytes of it that have been read already.

    Memory: 1 MiB.
    """

    __module__ = "trio_ingest.storage"

    def __init__(self, descriptor: int, ahead: bytes = b"") -> None:
        self._descriptor = descriptor
        self._ahead = ahead
        # Where the last whole member ends, in the file.
        self.whole = 0
        self.is_torn = False
        # Torn where it does not end: more members come behind what cannot be read.
        self.is_damaged = False

    def pieces(self) -> Iterator[bytes]:
        """Yield the data; at the end, ``is_torn`` says whether there should have been more."""
        rest = self._ahead
        place = len(rest)
        inflate = zlib.decompressobj(_GZIP)
        began = False
        while True:
            if not rest:
                rest = os.read(self._descriptor, _READ_BYTES)
                if not rest:
                    self.is_torn = began
                    return
                place += len(rest)
            began = True
            try:
                data = inflate.decompress(rest, _MOST_BYTES)
            except zlib.error:
                self.is_torn = True
                self.is_damaged = self._has_later_member()
                return
            if data:
                yield data
            rest = inflate.unconsumed_tail
            if inflate.eof:
                rest = inflate.unused_data
                self.whole = place - len(rest)
                inflate, began = zlib.decompressobj(_GZIP), False

    def _has_later_member(self) -> bool:
        """Say whether a later member can be read: then no crash has done this."""
        os.lseek(self._descriptor, self.whole + 1, os.SEEK_SET)
        ahead = b""
        while piece := os.read(self._descriptor, _READ_BYTES):
            ahead += piece
            place = ahead.find(_MEMBER)
            while place >= 0:
                try:
                    if zlib.decompressobj(_GZIP).decompress(ahead[place:], 1):
                        return True
                except zlib.error:
                    pass
                place = ahead.find(_MEMBER, place + 1)
            ahead = ahead[-_HEADER_BYTES:]
        return False


def mend(descriptor: int, path: str, error: type[IngestError]) -> int:
    """Make a torn gzip file one that can be appended to; no whole line of it is lost.

    Args:
        descriptor: of the file, which is locked.
        path: of the file; one that is torn is replaced, in one step.
        error: the class of what is raised when it is damaged.

    Returns:
        the descriptor to use from now on.

    Raises:
        OSError: the disk fails; then the file is as it was.
        IngestError: an ``error``: it is damaged where it does not end; it is left alone.
    """
    os.lseek(descriptor, 0, os.SEEK_SET)
    inflated = Inflated(descriptor)
    last = b"\n"
    for piece in inflated.pieces():
        last = piece[-1:]
    if inflated.is_damaged:
        raise error(
            f"{path!r:.80} is damaged at byte {inflated.whole:,}, and has more behind that, "
            f"which mending would throw away; it was left alone. Give another path, or "
            f"restore a copy of it."
        )
    if not inflated.is_torn and last == b"\n":
        return descriptor
    return _mended_copy(descriptor, os.path.realpath(path))


def _mended_copy(descriptor: int, path: str) -> int:
    made, name = tempfile.mkstemp(prefix=f"{Path(path).name}.", dir=Path(path).parent)
    try:
        lock_open_file(made)
        if hasattr(os, "fchmod"):
            os.fchmod(made, stat.S_IMODE(os.fstat(descriptor).st_mode))
        for lines in _whole_lines(descriptor):
            write_all(made, member(lines))
        os.fsync(made)
        Path(name).replace(path)
    except BaseException:
        os.close(made)
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
    os.close(descriptor)
    return made


def _whole_lines(descriptor: int) -> Iterator[bytes]:
    """Yield whole lines, a good many at a time."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    rest = b""
    for piece in Inflated(descriptor).pieces():
        lines, feed, tail = (rest + piece).rpartition(b"\n")
        if feed:
            yield lines + feed
        rest = tail
    if rest and is_whole(rest):
        yield rest + b"\n"
