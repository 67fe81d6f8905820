"""Steps for files: each opening, write, sync, rename and removal."""

from __future__ import annotations

import builtins
import io
import os
import sys
from typing import TYPE_CHECKING, Any, Final

from ._replacement import Replacement

if TYPE_CHECKING:
    from ._steps import StepCounter

_SYNCS: Final = ("fsync", "fdatasync")
_WRITES: Final = ("write", "writev", "pwrite", "pwritev", "ftruncate")
_CHANGES: Final = (
    *("replace", "rename", "link", "symlink", "unlink", "remove", "mkdir", "rmdir"),
    "truncate",
)
_TO_WRITE: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC

# The files behind the standard streams: their readers have had the output already, so it is
# no state that a crash could leave behind.
_STREAMS: dict[int, tuple[int, int]] = {}


def watch_files(counter: StepCounter) -> None:
    """Report the steps of files from now on."""
    for descriptor in range(3):
        identity = _identity(descriptor)
        if identity is not None:
            _STREAMS[descriptor] = identity
    for name in (*_SYNCS, *_WRITES, *_CHANGES):
        if hasattr(os, name):
            function = getattr(os, name)
            setattr(os, name, Replacement(function, "os", _watched(counter, function, name)))
    os.open = Replacement(os.open, "os", _watched_os_open(counter, os.open))
    opened = Replacement(io.open, "io", _watched_open(counter, io.open))
    builtins.open = io.open = opened
    if "bz2" in sys.modules:  # it keeps a name of its own for it
        sys.modules["bz2"]._builtin_open = opened  # type: ignore[attr-defined] # noqa: SLF001


def _identity(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_stream(file: Any) -> bool:
    if not isinstance(file, int) or file not in _STREAMS:
        return False
    return _STREAMS[file] == _identity(file)


def _watched(counter: StepCounter, function: Any, name: str) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        first: Any = args[0] if args else kwargs.get("fd")
        if _is_stream(first):
            return function(*args, **kwargs)
        with counter.around(f"os.{name}"):
            answer = function(*args, **kwargs)
            if name in _SYNCS:
                counter.synced(first if isinstance(first, int) else first.fileno())
            elif name in _WRITES:
                counter.wrote(first)
            return answer

    return call


def _watched_os_open(counter: StepCounter, function: Any) -> Any:
    def call(path: Any, flags: int, *args: Any, **kwargs: Any) -> Any:
        if not flags & _TO_WRITE:
            return function(path, flags, *args, **kwargs)
        with counter.around("os.open"):
            return function(path, flags, *args, **kwargs)

    return call


def _watched_open(counter: StepCounter, function: Any) -> Any:
    """Wrap ``open`` so that writes are seen: those of a plain file object are made in C."""

    class Watched(io.FileIO):
        def write(self, data: Any, /) -> Any:
            with counter.around("write"):
                count = super().write(data)
                counter.wrote(self.fileno())
                return count

        def truncate(self, size: int | None = None, /) -> int:
            with counter.around("truncate"):
                answer = super().truncate(size)
                counter.wrote(self.fileno())
                return answer

    def call(
        file: Any,
        mode: Any = "r",
        buffering: int = -1,
        encoding: Any = None,
        errors: Any = None,
        newline: Any = None,
        closefd: bool = True,  # noqa: FBT001, FBT002 - as the real one
        opener: Any = None,
    ) -> Any:
        texts = (encoding, errors, newline)
        if not _is_ordinary(mode, buffering, texts) or _is_stream(file):
            return function(file, mode, buffering, *texts, closefd, opener)
        with counter.around("open"):
            raw = Watched(file, mode.replace("b", "").replace("t", ""), closefd, opener)
        if buffering == 0:
            return raw
        is_terminal = buffering < 0 and raw.isatty()
        size = buffering if buffering > 1 else _block_size(raw)
        buffered = (io.BufferedRandom if "+" in mode else io.BufferedWriter)(raw, size)
        if "b" in mode:
            return buffered
        text = io.TextIOWrapper(buffered, *texts, line_buffering=buffering == 1 or is_terminal)
        text.mode = mode  # type: ignore[misc] # so does the real one
        return text

    return call


def _is_ordinary(mode: Any, buffering: Any, texts: tuple[Any, Any, Any]) -> bool:
    """Return True for arguments that open a file to write, and that the real one accepts."""
    if not isinstance(mode, str) or not isinstance(buffering, int):
        return False
    letters = sorted(mode.replace("t", "", 1) if "b" not in mode else mode)
    if len(set(letters)) != len(letters) or not set(letters) <= set("rwaxb+"):
        return False
    if sum(letter in "rwax" for letter in letters) != 1 or not set(letters) & set("wax+"):
        return False
    if "b" in mode:
        return buffering != 1 and texts == (None, None, None)
    return buffering != 0


def _block_size(raw: io.FileIO) -> int:
    size = getattr(os.fstat(raw.fileno()), "st_blksize", 0)
    return size if size > 1 else io.DEFAULT_BUFFER_SIZE
