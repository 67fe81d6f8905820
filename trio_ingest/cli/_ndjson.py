"""A file of JSON objects, one a line, that a run writes beside its sinks."""

from __future__ import annotations

import errno
import os
import select
import stat
import sys
from pathlib import Path
from typing import Final

from ._spelling import STANDARD_STREAM, shortened

_STANDARD_OUTPUT: Final = 1

# Less, and the calls to the system show; more, and whoever reads along waits longer.
_BUFFER_BYTES: Final = 64 * 1024

# How much of a file is looked at to tell whose it is, and at a time to find its last line.
_LOOK_BYTES: Final = 64 * 1024

_FLAGS: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class OutputClosed(Exception):
    """Nobody reads standard output any more."""


class OutputError(Exception):
    """A file beside the sinks cannot be written; the message says which, and why."""


class LinesFile:
    """Lines of JSON to a file, or to standard output.

    Args:
        option: what named the file, for the sentences.
        path: the file; ``-`` is standard output.
        beginning: how each of our lines begins. A file with other lines is somebody
            else's, and is not touched.
        further: what is also near the beginning of each.

    A named pipe, a device or a descriptor of the shell's is written to as it is. Opening a
    named pipe waits for its reader.

    Memory: 64 KiB, and the longest line.
    """

    def __init__(
        self, option: str, path: str, *, beginning: bytes, further: tuple[bytes, ...]
    ) -> None:
        self._option = option
        self._path = path
        self._beginning = beginning
        self._further = further
        self._buffer = bytearray()
        self._descriptor: int | None = None
        # Made by us and not written to yet: taken away when the run is refused.
        self._is_made = False

    def open(self) -> None:
        """Open the file, and make it when it is missing; what is in it stays.

        Raises:
            OutputError: it cannot be opened, or is somebody else's.
        """
        if self._path == STANDARD_STREAM:
            if sys.stdout is None:
                raise OutputError(
                    f"{self._option} is to be written to standard output, which is closed; "
                    f"give a file, or a pipe."
                )
            self._descriptor = _STANDARD_OUTPUT
            return
        try:
            self._descriptor = self._opened()
            if self._size():
                self._check_ours(_piece(self._descriptor, 0, _LOOK_BYTES))
        except OSError as error:
            raise self._unwritable(error) from error

    def begin(self, *, append: bool) -> None:
        """Make ready for the first line.

        Args:
            append: keep what is there, but for the part of a line that a killed run has
                left; otherwise the file is emptied.

        Raises:
            OutputError: the disk fails.
        """
        try:
            size = self._size()
            if size is None or self._descriptor is None:
                return
            end = _end_of_last_line(self._descriptor, size) if append else 0
            self._is_made = False
            os.ftruncate(self._descriptor, end)
            os.lseek(self._descriptor, end, os.SEEK_SET)
        except OSError as error:
            raise self._unwritable(error) from error

    def _size(self) -> int | None:
        """Of a file; None of standard output, a pipe or a device."""
        if self._descriptor is None or self._path == STANDARD_STREAM:
            return None
        status = os.fstat(self._descriptor)
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"{shortened(self._path)}, which {self._option} names, cannot be written: "
            f"{error.strerror}. Give another path."
        )

    def write(self, line: bytes) -> None:
        """Write a line, sooner or later.

        Args:
            line: without a line feed.

        Raises: as ``flush``.
        """
        # In one step: a signal between two would leave half a line to be written at the end.
        self._buffer += line + b"\n"
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what has not been written.

        Raises:
            OutputClosed: the reader of standard output has gone.
            OutputError: the disk is full, or whatever else.

        After either, and after an interruption, nothing more is written.
        """
        if self._descriptor is None:
            return
        data = memoryview(bytes(self._buffer))
        self._buffer.clear()
        try:
            while data:
                data = data[_written(self._descriptor, data) :]
        except OSError as error:
            self._leave()
            if error.errno == errno.EPIPE and self._path == STANDARD_STREAM:
                raise OutputClosed from error
            name = (
                "standard output" if self._path == STANDARD_STREAM else shortened(self._path)
            )
            raise OutputError(
                f"{name}, which {self._option} names, cannot be written any more: "
                f"{error.strerror}. What was delivered before stays; make room, or give "
                f"another path, and go on with --resume."
            ) from error
        except BaseException:
            self._leave()
            raise

    def close(self) -> None:
        """Write what is left, and close the file; can be called again.

        Raises: as ``flush``.
        """
        try:
            self.flush()
        finally:
            self._leave()

    def _leave(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        self._buffer.clear()
        if descriptor is not None and descriptor != _STANDARD_OUTPUT:
            os.close(descriptor)
            if self._is_made:
                Path(self._path).unlink(missing_ok=True)

    def _opened(self) -> int:
        path = Path(self._path)
        if path.exists() and not path.is_file():
            # Not for reading as well: a pipe that we could read ourselves would never say
            # that its reader has gone, and a full one would block the run for ever.
            return os.open(self._path, _FLAGS | os.O_WRONLY)
        # A link that leads nowhere yet is there, and not ours.
        self._is_made = not os.path.lexists(path)
        return os.open(self._path, _FLAGS | os.O_RDWR | os.O_CREAT, 0o666)

    def _check_ours(self, head: bytes) -> None:
        if not self._is_ours(head):
            found = head[:40].decode(errors="backslashreplace")
            raise OutputError(
                f"{shortened(self._path)}, which {self._option} names, begins with "
                f"{found!r}, so something else wrote it; it was left alone. Give another "
                f"path, or delete it."
            )

    def _is_ours(self, head: bytes) -> bool:
        # A killed run leaves the start of a line. With less than all the words it may as
        # well be the only line of somebody else's file, unless there is next to nothing.
        first, _, _ = head.partition(b"\n")
        return self._beginning.startswith(head) or (
            first.startswith(self._beginning) and all(word in first for word in self._further)
        )


def _end_of_last_line(descriptor: int, size: int) -> int:
    """Where the last line feed ends."""
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
    return os.read(descriptor, size)


def _written(descriptor: int, data: memoryview) -> int:
    try:
        return os.write(descriptor, data)
    except BlockingIOError:
        # Somebody who shares it with us has made it so.
        select.select([], [descriptor], [])
        return 0
