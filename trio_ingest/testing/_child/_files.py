"""Makes steps of what is done to files: opened, written, synced, renamed, removed."""

from __future__ import annotations

import builtins
import io
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from ._points import Points

_SYNCS: Final = ("fsync", "fdatasync")
_CHANGES: Final = (
    *("replace", "rename", "link", "symlink", "unlink", "remove", "mkdir", "rmdir"),
    *("truncate", "ftruncate"),
)
_WRITES: Final = ("write", "writev", "pwrite")
_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# What somebody reads meanwhile is no state that a crash could leave behind.
_STANDARD: Final = (0, 1, 2)


def watch_files(points: Points) -> None:
    """Tell of the steps from now on."""
    for name in (*_CHANGES, *_SYNCS, *_WRITES):
        if hasattr(os, name):
            setattr(os, name, _watched(points, getattr(os, name), name))
    os.open = _watched_open(points, os.open)
    builtins.open = io.open = _watched_io_open(points, io.open)


def _watched(points: Points, function: Any, name: str) -> Any:
    def call(first: Any, *args: Any, **kwargs: Any) -> Any:
        if first in _STANDARD:
            return function(first, *args, **kwargs)
        with points.around(f"os.{name}"):
            answer = function(first, *args, **kwargs)
            if name in _SYNCS:
                points.synced()
            return answer

    return call


def _watched_open(points: Points, function: Any) -> Any:
    def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if not flags & _TO_WRITE:
            return int(function(path, flags, *args, **kwargs))
        with points.around("os.open"):
            return int(function(path, flags, *args, **kwargs))

    return call


def _watched_io_open(points: Points, function: Any) -> Any:
    """``open`` whose writes can be seen: those of a file object are made in C."""

    class Watched(io.FileIO):
        def write(self, data: Any, /) -> Any:
            with points.around("write"):
                return super().write(data)

        def truncate(self, size: int | None = None, /) -> int:
            with points.around("truncate"):
                return super().truncate(size)

    def call(
        file: Any,
        mode: str = "r",
        buffering: int = -1,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
        closefd: bool = True,  # noqa: FBT001, FBT002 - as the real one
        opener: Any = None,
    ) -> Any:
        is_text, writes = "b" not in mode, any(letter in mode for letter in "wax+")
        rest = (encoding, errors, newline)
        if not writes or file in _STANDARD or (is_text and buffering == 0):
            return function(file, mode, buffering, *rest, closefd, opener)
        with points.around("open"):
            raw = Watched(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
        kind = io.BufferedRandom if "+" in mode else io.BufferedWriter
        buffered = kind(raw, size)
        if not is_text:
            return buffered
        text = io.TextIOWrapper(buffered, *rest, line_buffering=buffering == 1)
        text.mode = mode  # type: ignore[misc] # so does the real one
        return text

    return call
