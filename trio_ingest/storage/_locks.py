"""One user of a file at a time: locks that the system drops when their holder dies."""

from __future__ import annotations

import errno
import os
import sys
import weakref
from contextlib import suppress
from typing import Final

from trio_ingest import SetupError

from ._paths import path_text

if sys.platform == "win32":
    import msvcrt

    # Behind anything in the file: the system keeps others from reading what is locked.
    _LOCKED_BYTE = (1 << 31) - 2

    def _at_locked_byte(descriptor: int, mode: int) -> None:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, mode, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)

    def _acquire(descriptor: int) -> None:
        _at_locked_byte(descriptor, msvcrt.LK_NBLCK)

    def _release(descriptor: int) -> None:
        _at_locked_byte(descriptor, msvcrt.LK_UNLCK)

else:
    import fcntl

    def _acquire(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_HELD: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})


def lock_open_file(descriptor: int) -> bool:
    """Keep other writers away from an open file until it is closed.

    Returns:
        True when this process is its only writer now. A file system without locks keeps
        no other away, and gives True.
    """
    try:
        _acquire(descriptor)
    except OSError as error:
        return error.errno not in _HELD
    return True


class FileLock:
    """Keeps a second run away from a file, through the small file ``<path>.lock`` beside it.

    A file beside it, because the system drops SQLite's own locks on a file when anything
    else in the process closes it.

    Args:
        path: the file to be kept; a link is followed.

    The file of the lock stays; removing it would let two runs hold two locks.
    """

    __module__ = "trio_ingest.storage"

    def __init__(self, path: str) -> None:
        self._path = path
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Acquire the lock, without waiting for it.

        Raises:
            SetupError: another run holds it; the file of the lock cannot be made, or is a
                file of another program; or the file system has no locks.
        """
        lock_path = f"{os.path.realpath(self._path)}.lock"
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
        try:
            descriptor = os.open(lock_path, flags, 0o666)
        except OSError as error:
            raise self._unlockable(error) from error
        try:
            _acquire(descriptor)
        except OSError as error:
            holder = os.read(descriptor, 20).decode(errors="replace").strip()
            os.close(descriptor)
            if error.errno not in _HELD:
                # A file system without locks, say.
                raise self._unlockable(error) from error
            who = f"process {holder}" if holder.isdigit() else "another run"
            raise SetupError(
                f"{path_text(self._path)} is in use by {who}. Wait until that has ended, or "
                f"give another path."
            ) from error
        if os.read(descriptor, 20).strip(b"0123456789\n"):
            os.close(descriptor)
            raise SetupError(
                f"{path_text(lock_path)} has something in it that no run wrote. Move it away, "
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
        """Release the lock; nothing happens when it was not acquired."""
        descriptor, self._descriptor = self._descriptor, None
        _held.discard(self)
        if descriptor is not None:
            with suppress(OSError):
                # A process that was forked meanwhile has it open too.
                _release(descriptor)
            os.close(descriptor)

    def _unlockable(self, error: OSError) -> SetupError:
        return SetupError(
            f"{path_text(self._path)} cannot be used: the file of its lock, with .lock at the "
            f"end, cannot be opened: {error.strerror}. Give a file that you may write, in a "
            f"folder that you may write."
        )

    def __del__(self) -> None:
        # A Ctrl-C while it was being acquired must not keep it for ever.
        with suppress(Exception):
            self.release()

    def close_in_child(self) -> None:
        """Close it in a forked process without releasing it: the lock is its parent's."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _close_all_in_child() -> None:
    for lock in list(_held):
        lock.close_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_in_child)
