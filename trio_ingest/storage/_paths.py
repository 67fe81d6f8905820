"""Paths: how a message shows one, and which can be that of a file to write."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from trio_ingest import SetupError


def path_text(path: str) -> str:
    """Return a path for a message: its end, which tells more than its start.

    Args:
        path: of any length; one of more than 80 characters is cut.
    """
    return path if len(path) <= 80 else f"…{path[-79:]}"


def checked_path(path: str) -> str:
    """Return the path of the file itself, however many names it has.

    Args:
        path: as it was given; of a link, the file that it leads to is meant. The file need
            not exist.

    Raises:
        SetupError: it is empty, holds a null character, or is refused by the system; it is
            a directory, a pipe or a device; or its folder is missing.
    """
    if not path:
        raise SetupError("path is empty; give the file to write to.")
    try:
        # As it was given: what a link of the system leads to need not have a name.
        mode = Path(path).stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:
        raise SetupError(
            f"{path_text(path)} cannot be opened: {error.strerror}. Give a file that you may "
            f"write, in a folder that you may write."
        ) from error
    except ValueError as error:
        raise SetupError(
            f"The path {path_text(repr(path))} is none that a file can have: it holds a null "
            f"character. Give another path."
        ) from error
    if stat.S_ISDIR(mode):
        raise SetupError(
            f"{path_text(path)} cannot be opened: it is a directory. Give a file."
        )
    if not stat.S_ISREG(mode):
        raise SetupError(
            f"{path_text(path)} is no regular file: a pipe or a device keeps nothing that a "
            f"job could be resumed from. Give a file."
        )
    real = os.path.realpath(path)
    folder = Path(real).parent
    if not folder.is_dir():
        raise SetupError(
            f"{path_text(path)} cannot be opened: the folder {path_text(str(folder))} does "
            f"not exist. Make it first."
        )
    return real


def absolute_path(path: str) -> str:
    """Return the path from the root of the file system on, wherever the program goes then.

    Args:
        path: links in it stay, and so does ``..`` behind one. Where a folder above may not
            be passed through, it stays as it was given.
    """
    full = os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118 - a Path changes it
    return full if os.path.lexists(full) or not os.path.lexists(path) else path
