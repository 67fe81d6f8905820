"""One user at a time: a lock that the system drops when its holder dies, however it dies."""

from __future__ import annotations

import errno
import os
import sys
import weakref
from contextlib import suppress
from typing import Final

from trio_ingest import SetupError

from ._paths import shortened

if sys.platform == "win32":
    import msvcrt

    # Far behind the text in the file, which others must be able to read.
    _LOCKED_BYTE = 1 << 30

    def _take(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, 0, os.SEEK_SET)

    def _give(descriptor: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _give(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_HELD: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})


class FileLock:
    """Keeps a second run away from a file, through an empty file beside it.

    A file beside it, because SQLite's own locks on a file are dropped by the system when
    anything else in the process closes it.

    Args:
        path: the file to be kept; a link is followed.

    The file of the lock stays; removing it would let two runs hold two locks.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> None:
        """Take the lock, or refuse.

        Raises:
            SetupError: another run holds it.
            OSError: the file of the lock cannot be made, or the file system has no locks.
        """
        lock_path = f"{os.path.realpath(self._path)}.lock"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        descriptor = os.open(lock_path, flags, 0o666)
        try:
            _take(descriptor)
        except OSError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            if error.errno not in _HELD:
                # A file system without locks, say.
                raise OSError(error.errno, error.strerror, lock_path) from error
            who = f"process {holder}" if holder.isdigit() else "another run"
            raise SetupError(
                f"{shortened(self._path)} is in use by {who}. Wait until that has ended, or "
                f"give another path."
            ) from error
        if os.read(descriptor, 20).strip(b"0123456789\n"):
            os.close(descriptor)
            raise SetupError(
                f"{shortened(lock_path)} has something in it that no run wrote. Move it away, "
                f"or give another path, since this one needs that name for its lock."
            )
        self._descriptor = descriptor
        _held.add(self)
        with suppress(OSError):
            # For the message alone: the lock is good without it.
            os.ftruncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
            os.write(descriptor, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give it back; nothing happens when it was not taken."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is not None:
            with suppress(OSError):
                # A process that was forked meanwhile has it open too.
                _give(descriptor)
            os.close(descriptor)

    def __del__(self) -> None:
        # A Ctrl-C while it was being taken must not keep it for ever.
        with suppress(Exception):
            self.release()

    def close_in_child(self) -> None:
        """What a forked process does: the lock is its parent's, who must not die with it."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _close_all_in_child() -> None:
    for lock in list(_held):
        lock.close_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_in_child)
