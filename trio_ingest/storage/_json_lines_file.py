"""A file of JSON objects, one a line, that grows while a run goes on."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from pathlib import Path
from typing import Final

from trio_ingest import IngestError

from . import _gzip_tail
from ._locks import lock_open_file
from ._paths import absolute_path, path_text

# As a path, standard output.
STANDARD_STREAM: Final = "-"

_STANDARD_OUTPUT: Final = 1

# Less, and the calls to the system show; more, and a program that reads along waits longer.
_BUFFER_BYTES: Final = 64 * 1024

# How much of a file is looked at to tell whose it is, and at a time to find its last line.
_LOOK_BYTES: Final = 64 * 1024

# Within so many bytes all the words come that each of our lines has.
_TORN_BYTES: Final = 200

_FLAGS: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | os.O_APPEND


class OutputClosedError(IngestError):
    """The reader of standard output has gone."""

    __module__ = "trio_ingest.storage"


class JsonLinesFile:
    """Lines of JSON to a file, or to standard output.

    Args:
        path: the file; ``-`` is standard output. One that ends in ``.gz`` is compressed.
        who: a clause for messages that says who writes it: "which --events names".
        mend: a sentence that says what to do when it cannot be written any more.
        beginning: the first bytes of each of our lines, without blanks behind colons. A file
            with other lines is of another program, and is not touched.
        further: bytes that are also near the beginning of each.
        error: the class of what is raised when the file cannot be used.

    A named pipe, a device or a descriptor of the shell's is written to as it is. Opening a
    named pipe waits for its reader. A file is kept from a second writer while it is open.

    In a compressed file each write is a gzip member of its own, so a crash tears the last
    one and no other.

    Memory: 64 KiB, and the longest line.
    """

    __module__ = "trio_ingest.storage"

    def __init__(
        self,
        path: str,
        *,
        who: str,
        mend: str,
        beginning: bytes,
        further: tuple[bytes, ...],
        error: type[IngestError],
    ) -> None:
        self._error = error
        self._who = who
        self._mend = mend
        self._path = path
        # Where that is, once it has been opened: an adapter may change the directory.
        self._full_path = path
        self._beginning = beginning
        self._further = further
        self._compresses = path.endswith(".gz")
        self._buffer = bytearray()
        self._descriptor: int | None = None
        # Made by us and not written to yet: taken away when the run is refused.
        self._is_made = False
        # The size of a file behind our last line; None of standard output, a pipe, a device.
        self._end: int | None = None
        self._failure: IngestError | None = None

    @property
    def is_open(self) -> bool:
        """True when it can be written to: it was opened, and has not failed since."""
        return self._descriptor is not None

    def open(self) -> None:
        """Open the file, and make it when it is missing; what is in it stays.

        Raises:
            IngestError: an ``error``: it cannot be opened, or is of another program.
        """
        if self._path == STANDARD_STREAM:
            if sys.stdout is None:
                raise self._error(
                    f"Standard output, {self._who}, is closed; give a file, or a pipe."
                )
            self._descriptor = _STANDARD_OUTPUT
            return
        self._full_path = absolute_path(self._path)
        try:
            self._descriptor = self._opened()
            if self._size() is not None and not self._is_locked(self._descriptor):
                self._is_made = False
                self._close()
                raise self._error(
                    f"{path_text(self._path)!r}, {self._who}, is being written by another "
                    f"run. Wait until that has ended, or give another path."
                )
            if self._size():
                self._check_ours(self._head(self._descriptor))
        except OSError as error:
            raise self._unwritable(error) from error

    def begin(self, *, append: bool) -> None:
        """Prepare the file for the first line.

        Args:
            append: keep what is there, but for the part of a line that a killed run has
                left; otherwise the file is emptied.

        Raises:
            IngestError: an ``error``: the disk fails.
        """
        try:
            size = self._size()
            if size is None or self._descriptor is None:
                return
            self._is_made = False
            if not append:
                os.ftruncate(self._descriptor, 0)
            elif self._compresses:
                self._descriptor = _gzip_tail.mend(
                    self._descriptor, self._full_path, self._error
                )
            else:
                _mend_tail(self._descriptor, size)
            self._end = os.lseek(self._descriptor, 0, os.SEEK_END)
        except OSError as error:
            raise self._unwritable(error) from error

    def _is_locked(self, descriptor: int) -> bool:
        if not lock_open_file(descriptor):
            return False
        try:
            # Another one may have put a mended copy in its place, or have taken it away.
            return os.path.samestat(os.fstat(descriptor), Path(self._full_path).stat())
        except FileNotFoundError:
            return False

    def _head(self, descriptor: int) -> bytes:
        head = _piece(descriptor, 0, _LOOK_BYTES)
        return _gzip_tail.start_of(head) if self._compresses else head

    def _size(self) -> int | None:
        """Return the size of a file; None of standard output, a pipe or a device."""
        if self._descriptor is None or self._path == STANDARD_STREAM:
            return None
        status = os.fstat(self._descriptor)
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def _unwritable(self, error: OSError) -> IngestError:
        return self._error(
            f"{path_text(self._path)!r}, {self._who}, cannot be written: {error.strerror}. "
            f"Give another path."
        )

    def write(self, line: bytes) -> None:
        """Write a line, with others up to 64 KiB.

        Args:
            line: without a line feed.

        Raises:
            OutputClosedError: as ``flush``.
            IngestError: as ``flush``.
        """
        # In one step: a signal between two would leave half a line to be written at the end.
        self._buffer += line + b"\n"
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written.

        Raises:
            OutputClosedError: the reader of standard output has gone.
            IngestError: an ``error``: the disk is full or fails, or the file was moved, cut
                or deleted.

        After either, which each further call raises again, and after an interruption,
        nothing more is written.
        """
        if self._failure is not None:
            # What was taken is lost, and going on would be as if it had been written.
            raise self._failure
        if self._descriptor is None or not self._buffer:
            return
        self._refuse_changes(self._descriptor)
        lines = bytes(self._buffer)
        self._buffer.clear()
        data = memoryview(_gzip_tail.member(lines) if self._compresses else lines)
        try:
            while data:
                size = _written(self._descriptor, data)
                self._end = None if self._end is None else self._end + size
                data = data[size:]
        except OSError as error:
            if error.errno == errno.EPIPE and self._path == STANDARD_STREAM:
                raise self._failed(OutputClosedError()) from error
            name = (
                "standard output"
                if self._path == STANDARD_STREAM
                else repr(path_text(self._path))
            )
            raise self._failed(
                self._error(
                    f"{name}, {self._who}, cannot be written any more: {error.strerror}. "
                    f"{self._mend}"
                )
            ) from error
        except BaseException:
            self._close()
            raise

    def _refuse_changes(self, descriptor: int) -> None:
        """Notice a file that is no longer where it was, or no longer whole.

        Raises:
            IngestError: an ``error``: it was moved, deleted, replaced or cut.
        """
        if self._end is None:
            return
        try:
            is_here = os.path.samestat(os.fstat(descriptor), Path(self._full_path).stat())
            what = None if is_here else "moved or replaced"
        except FileNotFoundError:
            what = "deleted"
        except OSError:
            return  # whether it can be written, writing says
        if what is None and os.fstat(descriptor).st_size < self._end:
            what = "cut"
        if what is not None:
            raise self._failed(
                self._error(
                    f"{path_text(self._path)!r}, {self._who}, was {what} while it was in use, "
                    f"so what is written would be lost. {self._mend}"
                )
            )

    def _failed(self, error: IngestError) -> IngestError:
        self._failure = error
        self._close()
        return error

    def close(self) -> None:
        """Write what is left, and close the file; can be called again.

        Raises:
            OutputClosedError: as ``flush``.
            IngestError: as ``flush``.
        """
        try:
            if self._failure is None:
                self.flush()
        finally:
            self._close()

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        self._buffer.clear()
        if descriptor is not None and descriptor != _STANDARD_OUTPUT:
            os.close(descriptor)
            if self._is_made:
                Path(self._full_path).unlink(missing_ok=True)

    def _opened(self) -> int:
        path = Path(self._full_path)
        if path.exists() and not path.is_file():
            # Not for reading as well: a pipe that we could read ourselves would never say
            # that its reader has gone, and a full one would block the run for ever.
            return os.open(self._full_path, _FLAGS | os.O_WRONLY)
        # A link that leads nowhere yet is there, and not ours.
        self._is_made = not os.path.lexists(path)
        return os.open(self._full_path, _FLAGS | os.O_RDWR | os.O_CREAT, 0o666)

    def _check_ours(self, head: bytes) -> None:
        if not self._is_ours(head):
            found = head[:40].decode(errors="backslashreplace")
            raise self._error(
                f"{path_text(self._path)!r}, {self._who}, begins with {found!r}, so something "
                f"else wrote it; it was left alone. Give another path, or delete it."
            )

    def _is_ours(self, head: bytes) -> bool:
        line, feed, _ = head.partition(b"\n")
        first = line.replace(b'": ', b'":')
        if self._beginning.startswith(first):
            return True
        if not first.startswith(self._beginning):
            return False
        if all(word in first for word in self._further):
            return True
        # A killed run leaves the start of a line. A whole line is of another program, and so
        # is one that goes on for long without our words.
        return not feed and len(head) < _TORN_BYTES and not _gzip_tail.is_whole(head)


def _mend_tail(descriptor: int, size: int) -> None:
    """Cut off the part of a line at the end, or end the line when it lacks nothing else."""
    end = _end_of_last_line(descriptor, size)
    if end == size:
        return
    if _gzip_tail.is_whole(_piece(descriptor, end, size - end)):
        os.lseek(descriptor, size, os.SEEK_SET)
        os.write(descriptor, b"\n")
    else:
        os.ftruncate(descriptor, end)


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Return the place behind the last line feed."""
    end = size
    while end:
        start = max(0, end - _LOOK_BYTES)
        place = _piece(descriptor, start, end - start).rfind(b"\n")
        if place >= 0:
            return start + place + 1
        end = start
    return 0


def _piece(descriptor: int, start: int, size: int) -> bytes:
    # Not by pread, which not every system has.
    os.lseek(descriptor, start, os.SEEK_SET)
    found = b""
    # A network's file system may give less than there is.
    while piece := os.read(descriptor, size - len(found)):
        found += piece
    return found


def _written(descriptor: int, data: memoryview) -> int:
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        # A process that shares it with us has made it non-blocking.
        select.select([], [descriptor], [])
        return 0
