"""A small file replaced in one step: readers see the old one or the new, never a part."""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

# Some file systems, network ones among them, have no fsync for a folder.
_HAS_NO_FSYNC: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM})

# Windows alone would change line ends, and only elsewhere can a link be refused.
_FLAGS: Final = (
    os.O_WRONLY
    | os.O_CREAT
    | os.O_EXCL
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
)


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Make ``data`` all that the file at ``path`` holds, in one step that outlives a crash.

    Args:
        path: the file; made when missing. Of a link, the file that it leads to.
        data: the new content.

    One writer at a time: the caller holds a ``FileLock``. The data is first written to
    ``.<name>.tmp`` in the same folder, which the next call removes if a process was killed
    before it could. Mode and owner of the file stay what they are.

    Raises:
        OSError: it failed, with ``path`` as ``filename``: the file is what it was, or, when
            the folder alone could not be written to the disk, the new one.

    Memory: nothing besides ``data``.
    """
    path = os.fspath(path)
    try:
        # The link stays a link; one that leads nowhere yet is filled.
        _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        # The name of the temporary file would tell a user nothing.
        raise OSError(error.errno, error.strerror, path) from error


def sync_folder(path: str | os.PathLike[str]) -> None:
    """Write the folder that holds ``path`` to the disk, so that a new name in it stays.

    Nothing happens where the system has no way to do so.

    Args:
        path: a file in that folder.

    Raises:
        OSError: the disk failed.
    """
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(Path(path).parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _HAS_NO_FSYNC:
            raise


def write_all(descriptor: int, data: bytes | bytearray) -> None:
    """Write all of ``data``: the system may take only a part of it at a time.

    Args:
        descriptor: of an open file, which blocks.
        data: the bytes to write.

    Raises:
        OSError: it failed; some of ``data`` may have been written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _replace(path: Path, data: bytes) -> None:
    before = _status_of(path)
    temporary = path.with_name(f".{path.name}.tmp")
    # Never written over: a link in its place would lead elsewhere.
    temporary.unlink(missing_ok=True)
    try:
        _write(temporary, data, before)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path)


def _status_of(path: Path) -> os.stat_result | None:
    """Return the status of the file, or None; a device must not be replaced by a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file")
    return status


def _write(path: Path, data: bytes, before: os.stat_result | None) -> None:
    # Never more open than the file that it replaces, not even for a moment.
    mode = 0o666 if before is None else stat.S_IMODE(before.st_mode) & 0o777
    descriptor = os.open(path, _FLAGS, mode)
    try:
        if before is not None:
            _copy_owner_and_mode(descriptor, before)
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy_owner_and_mode(descriptor: int, before: os.stat_result) -> None:
    if sys.platform == "win32":
        return
    # Few users may give a file away, and not every file system has modes.
    with suppress(OSError):
        os.fchown(descriptor, before.st_uid, before.st_gid)
    with suppress(OSError):
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
