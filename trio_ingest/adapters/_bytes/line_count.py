"""The number of lines in a file: counted if it is small, estimated by samples if not."""

from __future__ import annotations

import io
import os
import stat
from typing import Final

from .decompression import GZIP_MAGIC
from .opening import open_unbuffered

# Counting so much takes 10 to 140 ms, the more the shorter its lines are, and from a disk
# some tenths of a second. A larger file would hold up the first document for longer than
# its bar is worth.
_COUNTED_BYTES: Final = 16 * 1024 * 1024

# Spread over the file, since lines of one time are often longer than those of another.
# Fewer, and the estimate of an uneven file is off by more than a bar may be.
_SAMPLES: Final = 32
_SAMPLE_BYTES: Final = 64 * 1024

_BLANK_LINES: Final = (b"", b"\r")


def count_lines(path: str) -> int | None:
    """Return the number of lines that are not blank in a plain file; exact up to 16 MiB.

    Args:
        path: the file. Only a regular one is opened: a pipe would lose its writer when it
            is closed again.

    Returns:
        None where nothing can be said: no regular file, gzip, no right to read it, or lines
        so long that the samples meet no end of one.

    Blocks, so it belongs into a thread. Memory: O(64 KiB).
    """
    try:
        # Looked at before it is opened, and once more after.
        if not stat.S_ISREG(os.stat(path).st_mode) or path.lower().endswith(".gz"):  # noqa: PTH116 -- as above
            return None
        with open_unbuffered(path) as file:
            return _lines_in(file)
    except (OSError, ValueError):
        return None  # the error comes when the file is read


def _lines_in(file: io.FileIO) -> int | None:
    status = os.fstat(file.fileno())
    size = status.st_size
    if not stat.S_ISREG(status.st_mode) or file.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
        return None
    if size <= _COUNTED_BYTES:
        return _exact_count(file, size)
    # In the middle of equal parts: at the ends of the file they would count double.
    part = size // _SAMPLES
    ends = sampled = 0
    for number in range(_SAMPLES):
        file.seek(number * part + (part - _SAMPLE_BYTES) // 2)
        data = file.read(_SAMPLE_BYTES)
        ends += _line_ends(data)
        sampled += len(data)
    return round(size * ends / sampled) if ends else None


def _exact_count(file: io.FileIO, size: int) -> int:
    count, place, unfinished = 0, 0, b""
    file.seek(0)
    # No further than it was long: another process may be writing it.
    while place < size:
        data = file.read(min(_SAMPLE_BYTES, size - place))
        if not data:
            break
        place += len(data)
        data = unfinished + data
        count += _line_ends(data)
        # Enough of a line that goes on to tell whether it is blank.
        unfinished = data[data.rfind(b"\n") + 1 :][:2]
    # The last line may have no end.
    return count + (unfinished not in _BLANK_LINES)


def _line_ends(data: bytes) -> int:
    """Count the lines that end in ``data`` and are not blank."""
    lines = data.split(b"\n")
    del lines[-1]
    return len(lines) - sum(lines.count(blank) for blank in _BLANK_LINES)
