"""A place in a plain file, and how to tell that it is still in the same file."""

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
        offset: where it is, in bytes from the start of the file.
        line: how many lines end before it.
        check: the CRC-32 of the 4,096 bytes before it, or of as many as there are.
    """

    offset: int
    line: int
    check: int


class Trail:
    """Follows a file chunk by chunk, and knows the places that it has passed.

    Args:
        offset: where the first chunk begins, in bytes from the start of the file.
        before: the bytes before it that a check would take in.

    What a check needs is taken from what is read anyway.

    Memory: O(one chunk).
    """

    def __init__(self, offset: int = 0, before: bytes = b"") -> None:
        self._offset = offset
        self._before = before
        self._chunk = b""

    def follow(self, chunk: bytes) -> None:
        """Go on to the next chunk."""
        self._before = self._last_bytes(len(self._chunk))
        self._offset += len(self._chunk)
        self._chunk = chunk

    def position(self, unfinished_bytes: int, line: int) -> FilePosition | None:
        """The place behind the newest chunk's last line feed, or None if it has none.

        Args:
            unfinished_bytes: how many bytes have come since the last line feed.
            line: how many lines have ended.
        """
        passed = len(self._chunk) - unfinished_bytes
        if passed <= 0:
            return None
        return FilePosition(self._offset + passed, line, zlib.crc32(self._last_bytes(passed)))

    def _last_bytes(self, stop: int) -> bytes:
        """What a check takes in at byte ``stop`` of the chunk."""
        if stop >= CHECKED_BYTES:
            return self._chunk[stop - CHECKED_BYTES : stop]
        return (self._before + self._chunk[:stop])[-CHECKED_BYTES:]


def position_of(value: object, name: str) -> FilePosition:
    """The position that a cursor's value stands for.

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


def other_file(name: str, why: str) -> CheckpointError:
    """What to say when a file is not the one that a checkpoint goes on in.

    Args:
        name: what to call the file.
        why: what was found, as a sentence without its end.
    """
    return CheckpointError(
        f"{name}: {why}. Bring back the file that it was, or start again without the "
        f"checkpoint: leave out resume_from, or give --restart on the command line."
    )


def trail_from(file: io.FileIO, position: FilePosition, name: str) -> Trail:
    """Go to a position in ``file``, and follow it from there.

    Raises:
        CheckpointError: this is not the file that the position was in; the message
            calls it ``name``.
        OSError: it cannot be read.
    """
    start = max(0, position.offset - CHECKED_BYTES)
    file.seek(start)
    before = _read(file, position.offset - start)
    place = f"byte {position.offset:,}, the end of line {position.line:,}"
    if start + len(before) < position.offset:
        raise other_file(
            name, f"the checkpoint goes on at {place}, and the file is shorter than that now"
        )
    if zlib.crc32(before) != position.check:
        raise other_file(
            name,
            f"the checkpoint goes on at {place}, and what the file has before that is not "
            f"what was read there",
        )
    return Trail(position.offset, before)


def _read(file: io.FileIO, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = file.read(size - len(data))
        if not more:
            break
        data += more
    return data
