"""The files of a tree, in the order of their paths, from any path on."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from ._pattern import Pattern, Places

_HAS_EFFECTIVE_IDS: Final = os.access in os.supports_effective_ids

_Kind: TypeAlias = Literal["directory", "other"]
_Identity: TypeAlias = tuple[int, int]


class Skipped(NamedTuple):
    """Something in the tree that is no document.

    Args:
        path: relative to the tree's root.
        reason: a clause that says why, without a full stop.
    """

    path: str
    reason: str


# None is a directory that has been listed: whoever limits how much is done at a time
# counts it like a file.
Found: TypeAlias = str | Skipped | None


class _Level(NamedTuple):
    """One directory on the way down, and what is left to visit in it."""

    prefix: str
    identity: _Identity
    places: Places
    # The last name first, so that each can be dropped when its turn has come.
    names: list[str]
    # Of names that are not regular files; most are, and need no entry.
    kinds: dict[str, _Kind]
    after: Sequence[str]


def walk(root: str, pattern: Pattern, after: str | None = None) -> Iterator[Found]:
    """Everything the pattern means below ``root``, sorted by the parts of the paths.

    Args:
        root: the directory.
        pattern: which files.
        after: begin behind this path, whether it is there or not.

    Yields the path of each file that can be read, with forward slashes and relative to
    ``root``; what else the pattern matches, and directories that cannot be listed, as
    ``Skipped``; and None after each directory that was listed.

    Symbolic links are followed, except into a directory that the path has come through.

    Raises:
        OSError: the root cannot be listed.

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

    def step(self) -> Iterator[Found]:
        level = self.levels[-1]
        if not level.names:
            self.levels.pop()
            return
        name = level.names.pop()
        path = level.prefix + name
        # Where the walk begins in the middle: this very name, or a directory on the way.
        begun = bool(level.after) and level.after[0] == name
        kind = level.kinds.get(name)
        try:
            if kind == "directory":
                yield from self._descend(level, name, path, begun=begun)
            elif kind == "other":
                yield from self._other(level, name, path, begun=begun)
            elif not begun:
                yield path if self._is_readable(path) else self._unreadable(path)
        except OSError as error:
            yield Skipped(path, _reason(error))

    def enter(self, prefix: str, places: Places, after: Sequence[str]) -> None:
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
                    if pattern.matches(places, name):
                        names.append(name)
                    continue
                is_directory = entry.is_dir(follow_symlinks=False)
                if pattern.below(places, name) or (
                    not is_directory and pattern.matches(places, name)
                ):
                    names.append(name)
                    kinds[name] = "directory" if is_directory else "other"
        names.sort(reverse=True)
        identity = status.st_dev, status.st_ino
        self.levels.append(_Level(prefix, identity, places, names, kinds, after))

    def _descend(self, level: _Level, name: str, path: str, *, begun: bool) -> Iterator[Found]:
        places = self._pattern.below(level.places, name)
        if not places:
            return
        status = self._status(path)
        if any(up.identity == (status.st_dev, status.st_ino) for up in self.levels):
            yield Skipped(path, "it leads back to a directory that it lies in")
            return
        try:
            self.enter(path + "/", places, level.after[1:] if begun else ())
        except OSError as error:
            yield Skipped(path, f"the directory cannot be listed ({_reason(error)})")
        else:
            yield None

    def _other(self, level: _Level, name: str, path: str, *, begun: bool) -> Iterator[Found]:
        """A symbolic link, or what is neither file nor directory."""
        mode = self._status(path).st_mode
        if stat.S_ISDIR(mode):
            yield from self._descend(level, name, path, begun=begun)
        elif begun or not self._pattern.matches(level.places, name):
            return
        elif not stat.S_ISREG(mode):
            yield Skipped(path, f"it is {kind_of(mode)}, not a file")
        else:
            yield path if self._is_readable(path) else self._unreadable(path)

    def _is_readable(self, path: str) -> bool:
        # Found out here and not by opening it: which files are records must be known
        # before they are read, or they could not be promised to a resumed run.
        return os.access(self._full(path), os.R_OK, effective_ids=_HAS_EFFECTIVE_IDS)

    def _unreadable(self, path: str) -> Skipped:
        self._status(path)  # raises when it is gone, which is another reason
        return Skipped(path, "this user may not read it")

    def _status(self, path: str) -> os.stat_result:
        return os.stat(self._full(path))  # noqa: PTH116 -- a Path would cost more than the call

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"


def kind_of(mode: int) -> str:
    """What something that is no file is called."""
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


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
