"""A lock taken, with an error of our own when its file cannot be made."""

from __future__ import annotations

from trio_ingest import SetupError
from trio_ingest.storage import FileLock, path_text


def take(lock: FileLock, path: str) -> None:
    """Take the lock of ``path``.

    Raises:
        SetupError: another run holds it, or its file cannot be made.
    """
    try:
        lock.take()
    except OSError as error:
        raise SetupError(
            f"{path_text(path)} cannot be used: the file of its lock, with .lock at the end, "
            f"cannot be opened: {error.strerror}. Give a path in a folder that you may write."
        ) from error
