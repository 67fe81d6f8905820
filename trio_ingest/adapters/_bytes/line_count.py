"""How many lines a file has: counted when it is small, judged by samples when it is not."""

from __future__ import annotations

import io
import os
import stat
from typing import Final

from .gunzip import MAGIC

# Counting so much takes 10 to 140 ms, the more the shorter its lines are, and from a disk
# some tenths of a second. A larger file would hold up the first document for longer than
# its bar is worth.
_COUNTED_BYTES: Final = 16 * 1024 * 1024

# Spread over the file, since lines of one time are often longer than those of another.
# Fewer, and the estimate of an uneven file is off by more than a bar may be.
_SAMPLES: Final = 32
_SAMPLE_BYTES: Final = 64 * 1024


def count_lines(path: str) -> int | None:
    """About how many lines that are not empty a plain file has; exact up to 16 MiB.

    Args:
        path: the file. It is not opened unless it is a regular one: a pipe would lose its
            writer when it is closed again.

    Returns:
        None where nothing can be said: no regular file, gzip, no right to read it, or lines
        so long that the samples meet no end of one.

    Blocks, so it belongs into a thread. Memory: O(64 KiB).
    """
    try:
        # Looked at before it is opened, and once more after.
        if not stat.S_ISREG(os.stat(path).st_mode) or path.lower().endswith(".gz"):  # noqa: PTH116 -- as above
            return None
        with io.FileIO(path, "rb", opener=_without_waiting) as file:
            return _lines_in(file)
    except (OSError, ValueError):
        return None  # whoever reads it will say why


def _without_waiting(path: str, flags: int) -> int:
    # It may have become a pipe since it was looked at.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _lines_in(file: io.FileIO) -> int | None:
    status = os.fstat(file.fileno())
    size = status.st_size
    if not stat.S_ISREG(status.st_mode) or file.read(len(MAGIC)) == MAGIC:
        return None
    if size <= _COUNTED_BYTES:
        return _counted(file, size)
    # In the middle of equal parts: at the ends of the file they would count double.
    part = size // _SAMPLES
    found = seen = 0
    for number in range(_SAMPLES):
        file.seek(number * part + (part - _SAMPLE_BYTES) // 2)
        data = file.read(_SAMPLE_BYTES)
        found += _ends_in(data)
        seen += len(data)
    return round(size * found / seen) if found else None


def _counted(file: io.FileIO, size: int) -> int:
    count, place, begun = 0, 0, b""
    file.seek(0)
    # No further than it was long: somebody may be writing it.
    while place < size:
        data = file.read(min(_SAMPLE_BYTES, size - place))
        if not data:
            break
        place += len(data)
        data = begun + data
        count += _ends_in(data)
        # Enough of a line that goes on to tell whether it is blank.
        begun = data[data.rfind(b"\n") + 1 :][:2]
    # The last line may have no end.
    return count + (begun not in _BLANK)


def _ends_in(data: bytes) -> int:
    """How many lines end in ``data`` that have something in them."""
    lines = data.split(b"\n")
    del lines[-1]
    return len(lines) - sum(lines.count(blank) for blank in _BLANK)


_BLANK: Final = (b"", b"\r")
