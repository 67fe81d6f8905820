"""One writer of a log at a time: a lock on the file itself, dropped by the system."""

from __future__ import annotations

import errno
import os
import sys
from typing import Final

_HELD: Final = frozenset({errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK})

if sys.platform == "win32":
    import msvcrt

    # Behind any log: the system keeps others from reading what is locked.
    _LOCKED_BYTE = (1 << 31) - 2

    def _take(descriptor: int) -> None:
        place = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        finally:
            os.lseek(descriptor, place, os.SEEK_SET)

else:
    import fcntl

    def _take(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def lock(descriptor: int) -> bool:
    """Keep others from writing this file until it is closed; whether that is so.

    A file system without locks keeps nobody away.
    """
    try:
        _take(descriptor)
    except OSError as error:
        return error.errno not in _HELD
    return True
