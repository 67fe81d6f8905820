"""Files read a batch at a time, each batch with what a later run needs to go on there."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections import deque
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from trio_ingest import CheckpointError

from ._pattern import Pattern
from ._walk import Skipped, kind_of, walk

# How many paths a cursor names. Records beyond these that ended before a run stopped
# would be counted off in a tree that may have changed.
PROMISED_FILES = 128
# How many of them are read in one thread hop, at most: half, so that the other half is
# promised still while the last of these is being worked on.
BATCH_FILES = 64
# A batch ends with the file that reaches this.
BATCH_BYTES = 1024 * 1024
# How many entries and directories are listed in one hop, so that a cancellation never
# waits for a whole tree without a match.
LISTED_AT_ONCE = 256

_OPEN_FLAGS: Final = (
    os.O_RDONLY
    # A named pipe that took a file's place would hold the thread, and a terminal would
    # become ours.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)


# No attrs class, whose fields dead letters write out: what was in ten thousand images that
# are no text does not belong there. They have its ``repr``, and the path leads to the rest.
@dataclasses.dataclass(slots=True)
class FileRecord:
    """One file, as ``fetch`` yields it and as a failed document keeps it.

    Args:
        path: relative to the directory, with forward slashes; what is not UTF-8 in it
            is written as escapes.
        data: its bytes; empty when there is a problem. No part of its ``repr``.
        size_bytes: its size; None when that is not known.
        modified_seconds: when it was last changed, in seconds since the epoch, or None.
        problem: why it could not be read, as a sentence; None when it was.
    """

    path: str
    data: bytes = dataclasses.field(repr=False)
    size_bytes: int | None = None
    modified_seconds: float | None = None
    problem: str | None = None


class Batch(NamedTuple):
    """What one thread hop brings.

    Args:
        skipped: what was found to be no document, up to the last path in ``promised``.
        promised: the paths of the next records, those of ``records`` first.
        records: may be empty, and more may come all the same.
        is_last: whether no more will come.
    """

    skipped: Sequence[Skipped]
    promised: Sequence[str]
    records: deque[FileRecord]
    is_last: bool


class BatchReader:
    """Reads the files of a tree in order.

    Args:
        root: the directory.
        pattern: which files.
        max_record_bytes: a larger file is not read.
        promised: these paths come first, there or not, and then what is behind the last.

    Memory: O(``BATCH_BYTES`` + ``max_record_bytes``) beside what ``walk`` needs.
    """

    def __init__(
        self, root: str, pattern: Pattern, max_record_bytes: int, promised: Sequence[str] = ()
    ) -> None:
        self._root = root
        self._most_bytes = max_record_bytes
        self._promised = deque(promised)
        self._walk = walk(root, pattern, promised[-1] if promised else None)
        self._walked = False

    def read(self) -> Batch:
        """The next batch; blocks, so it belongs into a thread.

        Raises:
            OSError: the root cannot be listed.
        """
        skipped = self._list()
        if not self._walked and len(self._promised) < PROMISED_FILES:
            return Batch(skipped, (), deque(), is_last=False)
        promised = tuple(self._promised)
        records: deque[FileRecord] = deque()
        size = 0
        while self._promised and len(records) < BATCH_FILES and size < BATCH_BYTES:
            record = self._record(self._promised.popleft())
            records.append(record)
            size += len(record.data)
        return Batch(skipped, promised, records, self._walked and not self._promised)

    def _list(self) -> list[Skipped]:
        skipped: list[Skipped] = []
        for _ in range(LISTED_AT_ONCE):
            if self._walked or len(self._promised) >= PROMISED_FILES:
                break
            try:
                found = next(self._walk)
            except StopIteration:
                self._walked = True
            else:
                if isinstance(found, str):
                    self._promised.append(found)
                elif found is not None:
                    skipped.append(found)
        return skipped

    def _record(self, path: str) -> FileRecord:
        try:
            return self._read_file(path)
        except FileNotFoundError:
            problem = "the file was there when the directory was listed, and is gone now."
        except OSError as error:
            problem = f"the file cannot be read ({error.strerror or error})."
        return FileRecord(text_of(path), b"", problem=problem)

    def _read_file(self, path: str) -> FileRecord:
        name, most = text_of(path), self._most_bytes
        descriptor = os.open(f"{self._root}/{path}", _OPEN_FLAGS)
        try:
            status = os.fstat(descriptor)
            size, modified = status.st_size, status.st_mtime
            if not stat.S_ISREG(status.st_mode):
                problem = f"where a file was listed there is {kind_of(status.st_mode)} now."
                return FileRecord(name, b"", problem=problem)
            data = _read_up_to(most + 1, descriptor, size) if size <= most else b""
        finally:
            os.close(descriptor)
        if max(size, len(data)) <= most:
            return FileRecord(name, data, len(data), modified)
        # It may have grown since it was asked how large it is.
        size = max(size, len(data))
        problem = (
            f"the file is {size:,} bytes long and was not read: "
            f"max_record_bytes is {most:,}. Raise it to read the file."
        )
        return FileRecord(name, b"", size, modified, problem)


def _read_up_to(most: int, descriptor: int, expected: int) -> bytes:
    data = os.read(descriptor, min(expected + 1, most))
    if len(data) == expected and expected:
        # Asked for one byte more and given none: that was all.
        return data
    # It has changed its size, or has none, as files in /proc.
    pieces, size = [data], len(data)
    while size < most and data:
        data = os.read(descriptor, min(most - size, BATCH_BYTES))
        pieces.append(data)
        size += len(data)
    return b"".join(pieces)


def text_of(path: str) -> str:
    """The path in a form that is UTF-8, whatever bytes its names are on disk."""
    return path if path.isascii() else path.encode(errors="backslashreplace").decode()


def cursor_of(pattern: Pattern, promised: Sequence[str]) -> dict[str, Any]:
    """The value of a cursor before the first of these paths."""
    return {"pattern": pattern.text, "paths": [_written(path) for path in promised]}


def promised_of(value: object, pattern: Pattern, name: str) -> Sequence[str]:
    """The paths that a cursor's value promises.

    Raises:
        CheckpointError: it is no such value, or was made with another pattern; the
            message calls the directory ``name``.
    """
    match value:
        case {"pattern": str(text), "paths": [_, *_] as paths, **rest} if not rest:
            if text != pattern.text:
                raise CheckpointError(
                    f"{name}: the checkpoint was made with the pattern {text!r:.80}, and this "
                    f"run has {pattern.text!r:.80}. Give the same pattern, or start again "
                    f"without the checkpoint: leave out resume_from, or give --restart on the "
                    f"command line."
                )
            promised = [_read(path) for path in paths]
            if None not in promised:
                return [path for path in promised if path is not None]
    raise CheckpointError(
        f"{name}: the checkpoint's cursor is {value!r:.80}, which is no place in a directory: "
        f"it is damaged, or another adapter made it. Restore an older checkpoint, or start "
        f"again without it: leave out resume_from, or give --restart on the command line."
    )


def _written(path: str) -> str | dict[str, str]:
    if path.isascii():
        return path
    try:
        path.encode()
    except UnicodeEncodeError:
        # Checkpoints are kept as UTF-8, and file names can be any bytes.
        return {"hex": os.fsencode(path).hex()}
    return path


def _read(written: object) -> str | None:
    match written:
        case str(path):
            pass
        case {"hex": str(digits), **rest} if not rest:
            try:
                path = os.fsdecode(bytes.fromhex(digits))
            except ValueError:
                return None
        case _:
            return None
    # It will be opened, so it must not lead out of the directory.
    parts = path.split("/")
    return None if "\0" in path or {"", ".", ".."} & set(parts) else path
