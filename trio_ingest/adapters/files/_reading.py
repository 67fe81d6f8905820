"""Files read a batch at a time, and the cursors that let a later run go on there."""

from __future__ import annotations

import dataclasses
import os
import stat
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from trio_ingest import CheckpointError
from trio_ingest.adapters._bytes.opening import open_descriptor, printable_path

from ._pattern import Pattern
from ._walk import Skipped, gone, kind_of, walk

# The paths that a cursor names. Records beyond these that ended before a run stopped would
# be counted off in a tree that may have changed.
CURSOR_FILES = 128
# The most of them that are read in one thread hop: half, so that a cursor still names the
# other half while the last of these is being worked on.
BATCH_FILES = 64
# A batch ends with the file that reaches this.
BATCH_BYTES = 1024 * 1024
# The entries and directories that are listed in one hop, so that a cancellation never waits
# for a whole tree without a match.
LISTED_AT_ONCE = 256


# No attrs class, whose fields dead letters write out: the bytes of ten thousand images that
# are no text do not belong there. They have its ``repr``, and the path leads to the rest.
@dataclasses.dataclass(slots=True)
class FileRecord:
    """One file, as ``fetch`` yields it and as a failed document keeps it.

    Args:
        path: relative to the directory, with forward slashes; bytes that are not UTF-8 are
            written as escapes.
        data: its bytes; empty when there is a problem. No part of its ``repr``.
        size_bytes: its size; None when that is not known.
        modified_seconds: the time of the last change, in seconds since the epoch, or None.
        problem: the reason why it could not be read, as a sentence; None when it was.
    """

    __module__ = "trio_ingest.adapters"

    path: str
    data: bytes = dataclasses.field(repr=False)
    size_bytes: int | None = None
    modified_seconds: float | None = None
    problem: str | None = None


class FileBatch(NamedTuple):
    """The result of one thread hop.

    Args:
        skipped: entries that are no documents, up to the last path in ``upcoming``.
        upcoming: the paths of the next records, those of ``records`` first.
        records: may be empty, and more may come all the same.
        is_last: True if no more will come.
    """

    skipped: Sequence[Skipped]
    upcoming: Sequence[str]
    records: deque[FileRecord]
    is_last: bool


class BatchReader:
    """Reads the files of a tree in order.

    Args:
        root: the directory.
        pattern: the files that are read.
        max_record_bytes: a larger file is not read.
        upcoming: these paths come first, there or not, and then those behind the last.

    Memory: O(``BATCH_BYTES`` + ``max_record_bytes``) beside what ``walk`` needs.
    """

    def __init__(
        self, root: str, pattern: Pattern, max_record_bytes: int, upcoming: Sequence[str] = ()
    ) -> None:
        self._root = root
        self._max_bytes = max_record_bytes
        self._upcoming = deque(upcoming)
        # Of these a checkpoint speaks: where they are gone, they are records all the same.
        self._promised = len(self._upcoming)
        self._failure: OSError | None = None
        self._walk = walk(root, pattern, upcoming[-1] if upcoming else None)
        self._is_listed = False

    def read(self) -> FileBatch:
        """Return the next batch; blocks, so it belongs into a thread.

        Raises:
            OSError: the root cannot be listed, or what was listed is gone.
        """
        if self._failure is not None:
            raise self._failure
        skipped = self._list()
        if not self._is_listed and len(self._upcoming) < CURSOR_FILES:
            return FileBatch(skipped, (), deque(), is_last=False)
        upcoming = tuple(self._upcoming)
        records: deque[FileRecord] = deque()
        size = 0
        while self._upcoming and len(records) < BATCH_FILES and size < BATCH_BYTES:
            try:
                record = self._record(self._upcoming.popleft())
            except FileNotFoundError as error:
                self._failure = error  # and what has been read comes first
                break
            records.append(record)
            size += len(record.data)
        is_last = self._is_listed and not self._upcoming and self._failure is None
        return FileBatch(skipped, upcoming, records, is_last)

    def _list(self) -> list[Skipped]:
        skipped: list[Skipped] = []
        for _ in range(LISTED_AT_ONCE):
            if self._is_listed or len(self._upcoming) >= CURSOR_FILES:
                break
            try:
                item = next(self._walk)
            except StopIteration:
                self._is_listed = True
            else:
                if isinstance(item, str):
                    self._upcoming.append(item)
                elif item is not None:
                    skipped.append(item)
        return skipped

    def _record(self, path: str) -> FileRecord:
        self._promised -= 1
        try:
            return self._read_file(path)
        except FileNotFoundError as error:
            if self._promised < 0:
                raise gone(f"{self._root}/{path}") from error
            problem = "the file was there when the directory was listed, and is gone now."
        except OSError as error:
            problem = f"the file cannot be read ({error.strerror or error})."
        return FileRecord(printable_path(path), b"", problem=problem)

    def _read_file(self, path: str) -> FileRecord:
        name, most = printable_path(path), self._max_bytes
        descriptor = open_descriptor(f"{self._root}/{path}")
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
        # One byte more was asked for and did not come: that was all.
        return data
    # It has changed its size, or has none, as files in /proc.
    pieces, size = [data], len(data)
    while size < most and data:
        data = os.read(descriptor, min(most - size, BATCH_BYTES))
        pieces.append(data)
        size += len(data)
    return b"".join(pieces)


def cursor_value(pattern: Pattern, upcoming: Sequence[str]) -> dict[str, Any]:
    """Return the value of a cursor before the first of these paths."""
    return {"pattern": pattern.text, "paths": [_encode_path(path) for path in upcoming]}


def paths_of_cursor(value: object, pattern: Pattern, name: str) -> Sequence[str]:
    """Return the paths that a cursor's value names.

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
            upcoming = [_decode_path(path) for path in paths]
            if None not in upcoming:
                return [path for path in upcoming if path is not None]
    raise CheckpointError(
        f"{name}: the checkpoint's cursor is {value!r:.80}, which is no place in a directory: "
        f"it is damaged, or another adapter made it. Restore an older checkpoint, or start "
        f"again without it: leave out resume_from, or give --restart on the command line."
    )


def _encode_path(path: str) -> str | dict[str, str]:
    if path.isascii():
        return path
    try:
        path.encode()
    except UnicodeEncodeError:
        # Checkpoints are kept as UTF-8, and file names can be any bytes.
        return {"hex": os.fsencode(path).hex()}
    return path


def _decode_path(value: object) -> str | None:
    match value:
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
