"""Places in the bytes of a file, and the check that they are still in the same file.

Content decides: the first bytes of the file, and those before the place. Size, time and
inode change with a copy and say nothing by themselves.
"""

from __future__ import annotations

import io
import zlib
from typing import Final, NamedTuple

from trio_ingest import CheckpointError

# What a disk gives in one read. Less, and a file of lines that are nearly alike could
# pass for another.
CHECKED_BYTES = 4096

_MOST_BYTES: Final = 2**63 - 1


class FilePosition(NamedTuple):
    """The place just behind a line feed; in compressed data, behind what gave so many lines.

    Args:
        offset: the bytes before it in the file, as they are stored.
        line: the lines that end before it.
        check: the CRC-32 of the 4,096 bytes before it, or of as many as there are.
        head_bytes: how many of the first bytes ``head_check`` covers, at most 4,096.
        head_check: the CRC-32 of the first bytes of the file.
    """

    offset: int
    line: int
    check: int
    # Those that version 0.1 made have none.
    head_bytes: int = 0
    head_check: int = 0


class PositionTracker:
    """Follows a file chunk by chunk, and gives the positions that it passes.

    Args:
        offset: the start of the first chunk, in bytes from the start of the file.
        before: the bytes before it that a check covers.
        head: the first bytes of the file, as far as they are known.

    Checks are computed from what is read anyway.

    Memory: O(one chunk).
    """

    def __init__(self, offset: int = 0, before: bytes = b"", head: bytes = b"") -> None:
        self._offset = offset
        self._before = before
        self._head = head
        self._chunk = b""

    @property
    def end(self) -> int:
        """The bytes from the start of the file to the end of the newest chunk."""
        return self._offset + len(self._chunk)

    def advance(self, chunk: bytes) -> None:
        """Go on to the next chunk."""
        self._before = self._last_bytes(len(self._chunk))
        self._offset += len(self._chunk)
        self._chunk = chunk
        if self._offset == len(self._head) < CHECKED_BYTES:
            self._head = (self._head + chunk)[:CHECKED_BYTES]

    def first_position(self) -> FilePosition:
        """Return the start of the file, which its first bytes tell from another one's."""
        return self._at(0, 0, b"")

    def position(self, unfinished_bytes: int, line: int) -> FilePosition | None:
        """Return the place behind the newest chunk's last line feed; None if it has none.

        Args:
            unfinished_bytes: the bytes that have come since the last line feed.
            line: the number of lines that have ended.
        """
        passed = len(self._chunk) - unfinished_bytes
        if passed <= 0:
            return None
        return self._at(self._offset + passed, line, self._last_bytes(passed))

    def differs(self, file: io.FileIO) -> bool:
        """Return whether the file no longer has what was read: at its start, or lately."""
        before = self._last_bytes(len(self._chunk))
        return (
            read_at(file, 0, len(self._head)) != self._head
            or read_at(file, self.end - len(before), len(before)) != before
        )

    def refuse_another(self, start: FilePosition, name: str) -> None:
        """Hold what has been read against a position that it has come past.

        Raises:
            CheckpointError: it is not the file that the position was in.
        """
        if zlib.crc32(self._head[: start.head_bytes]) != start.head_check:
            raise changed_file_error(name, _OTHER_START)
        if self._offset < start.offset <= self.end:
            last = self._last_bytes(start.offset - self._offset)
            if zlib.crc32(last) != start.check:
                raise changed_file_error(name, _other_before(start))

    def _at(self, offset: int, line: int, before: bytes) -> FilePosition:
        head = self._head
        return FilePosition(offset, line, zlib.crc32(before), len(head), zlib.crc32(head))

    def _last_bytes(self, stop: int) -> bytes:
        """Return the bytes that a check at byte ``stop`` of the chunk covers."""
        if stop >= CHECKED_BYTES:
            return self._chunk[stop - CHECKED_BYTES : stop]
        return (self._before + self._chunk[:stop])[-CHECKED_BYTES:]


def parse_position(value: object, name: str) -> FilePosition:
    """Return the position that a cursor's value stands for.

    Raises:
        CheckpointError: it stands for none; the message calls the file ``name``.
    """
    if isinstance(value, dict) and {"offset", "line", "check"} <= value.keys() <= _FIELDS:
        position = FilePosition(**value)
        if (
            all(type(number) is int for number in position)
            and 0 <= position.line <= _MOST_BYTES
            and 0 <= position.offset <= _MOST_BYTES
            and 0 <= position.check < 2**32
            and 0 <= position.head_bytes <= _MOST_BYTES
            and 0 <= position.head_check < 2**32
        ):
            return position
    raise CheckpointError(
        f"{name}: the checkpoint's cursor is {value!r:.80}, which is no place in a file of "
        f"lines: it is damaged, or another adapter made it. Restore an older checkpoint, "
        f"or start again without it: leave out resume_from, or give --restart on the "
        f"command line."
    )


def changed_file_error(name: str, reason: str) -> CheckpointError:
    """Return the error for a file that is not the one that a checkpoint was made with.

    Args:
        name: the file's name in the message.
        reason: the difference, as a sentence without its full stop.
    """
    return CheckpointError(
        f"{name}: {reason}. Bring back the file that it was, or start again without the "
        f"checkpoint: leave out resume_from, or give --restart on the command line."
    )


def shorter_file_error(name: str, start: FilePosition) -> CheckpointError:
    """Return the error for a file that ends before the place where a checkpoint goes on."""
    return changed_file_error(
        name,
        f"the checkpoint goes on at {_place(start)}, and the file is shorter than that now",
    )


def tracker_at(file: io.FileIO, start: FilePosition, name: str) -> PositionTracker:
    """Return a tracker that begins at a position of ``file``, without going there.

    Raises:
        CheckpointError: this is not the file that the position was in; the message
            calls it ``name``.
        OSError: it cannot be read.
    """
    head = read_at(file, 0, start.head_bytes)
    first = max(0, start.offset - CHECKED_BYTES)
    before = read_at(file, first, start.offset - first)
    is_cut = first + len(before) < start.offset
    if zlib.crc32(head) != start.head_check and not (is_cut and len(head) < start.head_bytes):
        raise changed_file_error(name, _OTHER_START)
    if is_cut:
        raise shorter_file_error(name, start)
    if zlib.crc32(before) != start.check:
        raise changed_file_error(name, _other_before(start))
    return PositionTracker(start.offset, before, head)


def read_at(file: io.FileIO, offset: int, size: int) -> bytes:
    """Read ``size`` bytes from ``offset`` on, or fewer at the end, and go back."""
    back = file.tell()
    try:
        file.seek(offset)
        data = b""
        while len(data) < size:
            more = file.read(size - len(data))
            if not more:
                break
            data += more
        return data
    finally:
        file.seek(back)


def _place(position: FilePosition) -> str:
    return f"byte {position.offset:,}, the end of line {position.line:,}"


def _other_before(start: FilePosition) -> str:
    return (
        f"the checkpoint goes on at {_place(start)}, and what the file has before that is "
        f"not what was read there"
    )


_FIELDS: Final = frozenset(FilePosition._fields)
_OTHER_START: Final = (
    "the file begins otherwise than the one that the checkpoint was made with: what it has "
    "at its start is not what was read there"
)
