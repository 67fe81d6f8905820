"""A file that grows at its end, and can be cut back to its last good place."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from trio_ingest import CheckpointError
from trio_ingest.storage import path_text, sync_folder, write_all

# What a disk gives in one read. Less, and a file of lines that are nearly alike could
# pass for another.
CHECKED_BYTES: Final = 4096

_FLAGS: Final = (
    os.O_RDWR | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
)


@attrs.frozen
class FileMark:
    """A place in a file, and a check that it is still the same file.

    Args:
        offset: in bytes from its start.
        check: the CRC-32 of the 4,096 bytes before it, or of as many as there are.
    """

    offset: int = 0
    check: int = 0


class AppendFile:
    """Appends behind a mark; bytes behind it are no part of the file.

    Args:
        path: the file.
        mend: the end of a sentence: what to do with one that is not what a mark says.

    Every ``OSError`` of its methods has the path as ``filename``.
    """

    def __init__(self, path: str, mend: str) -> None:
        self.path = path
        self._mend = mend
        self._descriptor: int | None = None
        self._mark = self._next_mark = FileMark()
        self._tail = self._next_tail = b""

    def open(self, mark: FileMark) -> None:
        """Open the file; what is behind ``mark`` is cut off before the next append.

        Not here: a run that only looks, or is refused after all, leaves it as it is.

        Raises:
            FileNotFoundError: there is none.
            CheckpointError: it is not the file that the mark was made in.
        """
        with self._naming():
            descriptor = os.open(self.path, _FLAGS)
            try:
                tail = self._checked(descriptor, mark)
            except BaseException:
                os.close(descriptor)
                raise
        self._descriptor = descriptor
        self._mark, self._tail = mark, tail

    def create(self) -> None:
        """Make the file when it is missing, empty it otherwise, so that both stay so."""
        with self._naming():
            descriptor = os.open(self.path, _FLAGS | os.O_CREAT, 0o666)
            try:
                os.ftruncate(descriptor, 0)
                os.fsync(descriptor)
                sync_folder(self.path)
            except BaseException:
                os.close(descriptor)
                raise
        self.close()
        self._descriptor = descriptor
        self._mark, self._tail = FileMark(), b""

    def append(self, data: bytes | bytearray) -> FileMark:
        """Write ``data`` behind the mark, and to the disk; ``commit`` then moves the mark.

        Returns:
            the mark behind ``data``. After a failure some of that may be there, until the
            next append.
        """
        self._next_mark, self._next_tail = self._mark, self._tail
        if self._descriptor is None and not data:
            return self._mark
        if self._descriptor is None:
            self.create()
        assert self._descriptor is not None
        with self._naming():
            self._check_in_place(self._descriptor)
            self._truncate(self._descriptor)
            if data:
                write_all(self._descriptor, data)
                os.fsync(self._descriptor)
        if data:
            tail = (self._tail + data[-CHECKED_BYTES:])[-CHECKED_BYTES:]
            self._next_mark = FileMark(self._mark.offset + len(data), zlib.crc32(tail))
            self._next_tail = tail
        return self._next_mark

    def commit(self) -> None:
        """Make what has been appended last a part of the file."""
        self._mark, self._tail = self._next_mark, self._next_tail

    def truncate(self) -> None:
        """Cut off what is behind the mark."""
        if self._descriptor is not None:
            self._truncate(self._descriptor)

    def close(self) -> None:
        """Close the file; nothing happens when it is not open."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _check_in_place(self, descriptor: int) -> None:
        """Refuse to write to a file that its path no longer leads to."""
        try:
            here = Path(self.path).stat()
        except FileNotFoundError:
            here = None
        if here is None or not os.path.samestat(here, os.fstat(descriptor)):
            raise OSError(errno.ENOENT, "it was moved away or deleted while it was written to")

    def _truncate(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        if size > self._mark.offset:
            os.ftruncate(descriptor, self._mark.offset)
        elif size < self._mark.offset:
            # Cutting would fill the gap with zeros.
            raise OSError(errno.EIO, "another program has cut it short")

    def _checked(self, descriptor: int, mark: FileMark) -> bytes:
        """Return the bytes before the mark, when they are those that were written there."""
        start = max(0, mark.offset - CHECKED_BYTES)
        os.lseek(descriptor, start, os.SEEK_SET)
        tail = b""
        while start + len(tail) < mark.offset:
            more = os.read(descriptor, mark.offset - start - len(tail))
            if not more:
                size = os.fstat(descriptor).st_size
                raise CheckpointError(
                    f"{path_text(self.path)} has {size:,} bytes, and the last commit ended at "
                    f"byte {mark.offset:,}: it was cut short or replaced. Bring back the file "
                    f"that it was; or {self._mend}."
                )
            tail += more
        if zlib.crc32(tail) != mark.check:
            raise CheckpointError(
                f"{path_text(self.path)} does not have what the last commit left before byte "
                f"{mark.offset:,}: it was changed or replaced. Bring back the file that it "
                f"was; or {self._mend}."
            )
        return tail

    @contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, error.strerror, self.path) from error
