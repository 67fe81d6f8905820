"""The files of a tree in the order of their paths, from any path on."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from trio_ingest.adapters._bytes.opening import printable_path

from ._pattern import Pattern, States

# What a directory that is there answers with when it may not be listed, or never can be.
_REFUSALS: Final = {errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENAMETOOLONG}
# And a link that leads nowhere.
_DEAD_ENDS: Final = {errno.ENOENT, errno.ENOTDIR}
_HAS_EFFECTIVE_IDS: Final = os.access in os.supports_effective_ids

_Kind: TypeAlias = Literal["directory", "other"]
_Identity: TypeAlias = tuple[int, int]


class Skipped(NamedTuple):
    """An entry of the tree that is no document.

    Args:
        path: relative to the tree's root.
        reason: a clause without a full stop.
    """

    path: str
    reason: str


# None is a directory that has been listed: a caller that limits how much is done at a time
# counts it like a file.
WalkItem: TypeAlias = str | Skipped | None


class _Level(NamedTuple):
    """One directory on the way down, and the names that are left to visit in it."""

    prefix: str
    identity: _Identity
    states: States
    # The last name first, so that each can be dropped when its turn has come.
    names: list[str]
    # Of names that are not regular files; most are, and need no entry.
    kinds: dict[str, _Kind]
    after: Sequence[str]


def walk(root: str, pattern: Pattern, after: str | None = None) -> Iterator[WalkItem]:
    """Yield everything that the pattern matches below ``root``, sorted by path parts.

    Args:
        root: the directory.
        pattern: the files that are yielded.
        after: the path to begin behind, there or not; None for the start.

    Yields:
        the path of each file that can be read, with forward slashes and relative to
        ``root``; other matches, and directories that cannot be listed, as ``Skipped``; and
        None after each directory that was listed.

    Symbolic links are followed, except into a directory that the path has come through.

    Raises:
        OSError: the root cannot be listed; or what was listed is gone, or cannot be listed
            for another reason than that this user may not: a share that has vanished is
            no end of the tree.

    Memory: the names in each of the directories on the path.
    """
    walker = _Walker(root, pattern)
    walker.enter("", pattern.start, () if after is None else after.split("/"))
    yield None
    while walker.levels:
        yield from walker.step()


class _Walker:
    def __init__(self, root: str, pattern: Pattern) -> None:
        self._root = root
        self._pattern = pattern
        self.levels: list[_Level] = []

    def step(self) -> Iterator[WalkItem]:
        level = self.levels[-1]
        if not level.names:
            self.levels.pop()
            return
        name = level.names.pop()
        path = level.prefix + name
        # The walk begins in the middle: at this very name, or at a directory on the way.
        is_start = bool(level.after) and level.after[0] == name
        kind = level.kinds.get(name)
        try:
            if kind == "directory":
                yield from self._descend(level, name, path, is_start=is_start)
            elif kind == "other":
                yield from self._other(level, name, path, is_start=is_start)
            elif not is_start:
                yield path if self._is_readable(path) else self._unreadable(path)
        except OSError as error:
            if self._is_gone(path):
                raise gone(self._full(path)) from error
            if error.errno not in _REFUSALS and error.errno not in _DEAD_ENDS:
                raise
            yield Skipped(path, _error_text(error))

    def enter(self, prefix: str, states: States, after: Sequence[str]) -> None:
        """List a directory, and go on in there."""
        pattern = self._pattern
        names: list[str] = []
        kinds: dict[str, _Kind] = {}
        status = self._status(prefix)
        first = after[0] if after else ""
        with os.scandir(self._full(prefix)) as entries:
            for entry in entries:
                name = entry.name
                if name < first:
                    continue
                if entry.is_file(follow_symlinks=False):
                    if pattern.matches(states, name):
                        names.append(name)
                    continue
                is_directory = entry.is_dir(follow_symlinks=False)
                if pattern.below(states, name) or (
                    not is_directory and pattern.matches(states, name)
                ):
                    names.append(name)
                    kinds[name] = "directory" if is_directory else "other"
        names.sort(reverse=True)
        identity = status.st_dev, status.st_ino
        self.levels.append(_Level(prefix, identity, states, names, kinds, after))

    def _descend(
        self, level: _Level, name: str, path: str, *, is_start: bool
    ) -> Iterator[WalkItem]:
        states = self._pattern.below(level.states, name)
        if not states:
            return
        status = self._status(path)
        if any(up.identity == (status.st_dev, status.st_ino) for up in self.levels):
            yield Skipped(path, "it leads back to a directory that it lies in")
            return
        try:
            self.enter(path + "/", states, level.after[1:] if is_start else ())
        except OSError as error:
            if error.errno not in _REFUSALS:
                raise
            yield Skipped(path, f"the directory cannot be listed ({_error_text(error)})")
        else:
            yield None

    def _other(
        self, level: _Level, name: str, path: str, *, is_start: bool
    ) -> Iterator[WalkItem]:
        """Visit a symbolic link, or an entry that is neither file nor directory."""
        mode = self._status(path).st_mode
        if stat.S_ISDIR(mode):
            yield from self._descend(level, name, path, is_start=is_start)
        elif is_start or not self._pattern.matches(level.states, name):
            return
        elif not stat.S_ISREG(mode):
            yield Skipped(path, f"it is {kind_of(mode)}, not a file")
        else:
            yield path if self._is_readable(path) else self._unreadable(path)

    def _is_readable(self, path: str) -> bool:
        # Asked here and not by opening it: which files are records must be known before
        # they are read, or a cursor could not name them.
        return os.access(self._full(path), os.R_OK, effective_ids=_HAS_EFFECTIVE_IDS)

    def _is_gone(self, path: str) -> bool:
        try:
            os.lstat(self._full(path))
        except FileNotFoundError:
            return True
        except OSError:
            return False
        return False

    def _unreadable(self, path: str) -> Skipped:
        self._status(path)  # raises when it is gone, which is another reason
        return Skipped(path, "this user may not read it")

    def _status(self, path: str) -> os.stat_result:
        return os.stat(self._full(path))  # noqa: PTH116 -- a Path would cost more than the call

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def gone(full_path: str) -> FileNotFoundError:
    """Return the error for what was listed and is no longer there."""
    why = "it was there when the directory was listed, and is gone now"
    return FileNotFoundError(errno.ENOENT, why, printable_path(full_path))


def kind_of(mode: int) -> str:
    """Return the words for an entry that is no file."""
    for is_kind, name in _KINDS:
        if is_kind(mode):
            return name
    return "something else"


_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _error_text(error: OSError) -> str:
    return error.strerror or str(error)
