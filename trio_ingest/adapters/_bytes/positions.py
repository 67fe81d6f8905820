"""Places in a plain file, and the check that they are still in the same file."""

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
    """The place just behind a line feed.

    Args:
        offset: the bytes before it in the file.
        line: the lines that end before it.
        check: the CRC-32 of the 4,096 bytes before it, or of as many as there are.
    """

    offset: int
    line: int
    check: int


class PositionTracker:
    """Follows a file chunk by chunk, and gives the positions that it passes.

    Args:
        offset: the start of the first chunk, in bytes from the start of the file.
        before: the bytes before it that a check covers.

    Checks are computed from what is read anyway.

    Memory: O(one chunk).
    """

    def __init__(self, offset: int = 0, before: bytes = b"") -> None:
        self._offset = offset
        self._before = before
        self._chunk = b""

    def advance(self, chunk: bytes) -> None:
        """Go on to the next chunk."""
        self._before = self._last_bytes(len(self._chunk))
        self._offset += len(self._chunk)
        self._chunk = chunk

    def position(self, unfinished_bytes: int, line: int) -> FilePosition | None:
        """Return the place behind the newest chunk's last line feed; None if it has none.

        Args:
            unfinished_bytes: the bytes that have come since the last line feed.
            line: the number of lines that have ended.
        """
        passed = len(self._chunk) - unfinished_bytes
        if passed <= 0:
            return None
        return FilePosition(self._offset + passed, line, zlib.crc32(self._last_bytes(passed)))

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
    if isinstance(value, dict) and value.keys() == set(FilePosition._fields):
        position = FilePosition(**value)
        if (
            all(type(number) is int for number in position)
            and 0 < position.line <= position.offset <= _MOST_BYTES
            and 0 <= position.check < 2**32
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


def seek_position(file: io.FileIO, position: FilePosition, name: str) -> PositionTracker:
    """Go to a position in ``file``, and return a tracker that begins there.

    Raises:
        CheckpointError: this is not the file that the position was in; the message
            calls it ``name``.
        OSError: it cannot be read.
    """
    start = max(0, position.offset - CHECKED_BYTES)
    file.seek(start)
    before = _read_exactly(file, position.offset - start)
    place = f"byte {position.offset:,}, the end of line {position.line:,}"
    if start + len(before) < position.offset:
        raise changed_file_error(
            name, f"the checkpoint goes on at {place}, and the file is shorter than that now"
        )
    if zlib.crc32(before) != position.check:
        raise changed_file_error(
            name,
            f"the checkpoint goes on at {place}, and what the file has before that is not "
            f"what was read there",
        )
    return PositionTracker(position.offset, before)


def _read_exactly(file: io.FileIO, size: int) -> bytes:
    """Read ``size`` bytes, or fewer at the end of the file."""
    data = b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data
