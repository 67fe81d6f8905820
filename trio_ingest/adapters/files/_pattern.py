"""Glob patterns, matched one directory at a time."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import Final, TypeAlias

from trio_ingest import SetupError

# The parts of the pattern that the names in one directory may match: as in a finite
# automaton there can be several at a time, because of ``**``.
States: TypeAlias = tuple[int, ...]

_ANY_DEPTH: Final = "**"


class Pattern:
    """A glob pattern, as ``pathlib`` reads it, with the shell's rule for hidden names.

    Args:
        text: ``*``, ``?`` and ``[...]`` match within one name, ``**`` any number of
            directories, none included; ``docs/**`` is everything below ``docs``.

    A name that begins with a dot is matched only by a part that does so too.

    A directory that can hold no match need not be listed: ``below`` gives no states for it.

    Raises:
        SetupError: the pattern is empty, absolute, leads out with ``..``, or joins
            ``**`` to something else.
    """

    def __init__(self, text: str) -> None:
        _check_pattern(text)
        self.text = text
        parts = [part for part in _slashed(text).split("/") if part not in {"", "."}]
        if parts[-1] == _ANY_DEPTH:
            parts.append("*")
        self._parts = parts
        self._last = len(parts) - 1
        self._match = [_compiled(part) for part in parts]
        self.start: States = self._closure([0])

    def matches(self, states: States, name: str) -> bool:
        """Return True if a file of this name matches, in a directory with these states."""
        return self._last in states and self._fits(self._last, name)

    def below(self, states: States, name: str) -> States:
        """Return the states in a directory of this name; none if nothing there can match."""
        reached: list[int] = []
        for state in states:
            if self._parts[state] == _ANY_DEPTH:
                if not name.startswith("."):
                    reached.append(state)
            elif state < self._last and self._fits(state, name):
                reached.append(state + 1)
        return self._closure(reached)

    def _fits(self, state: int, name: str) -> bool:
        if name[0] == "." and self._parts[state][0] != ".":
            return False
        return self._match[state].match(name) is not None

    def _closure(self, states: list[int]) -> States:
        """Add the states behind each ``**``, since that may stand for no directory."""
        reached = set(states)
        for start in states:
            state = start
            while self._parts[state] == _ANY_DEPTH:
                state += 1
                reached.add(state)
        return tuple(sorted(reached))


def _check_pattern(text: str) -> None:
    parts = _slashed(text).split("/")
    if not any(part not in {"", "."} for part in parts):
        raise SetupError(
            f"pattern is {text!r:.80}, which matches no file; give a glob pattern such as "
            f"**/*.txt, or **/* for all files."
        )
    if not parts[0] or os.path.splitdrive(text)[0]:
        raise SetupError(
            f"pattern is {text!r:.80}, an absolute path; it is matched below the directory. "
            f"Give that part as the directory, and as the pattern what comes after it."
        )
    if ".." in parts:
        raise SetupError(
            f"pattern is {text!r:.80}, which leads out of the directory with '..'. "
            f"Give a directory further up, and a pattern that goes down from there."
        )
    if parts[-1] in {"", "."}:
        raise SetupError(
            f"pattern is {text!r:.80}, which ends with a slash and so means directories. "
            f"Write {text.rstrip('./')!r:.80} with /** behind it for all files below."
        )
    if any(_ANY_DEPTH in part and part != _ANY_DEPTH for part in parts):
        raise SetupError(
            f"pattern is {text!r:.80}, where ** is joined to something else. Write ** "
            f"between slashes for any number of directories, or * within one name."
        )


def _slashed(text: str) -> str:
    return text if os.sep == "/" else text.replace(os.sep, "/")


def _compiled(part: str) -> re.Pattern[str]:
    flags = re.IGNORECASE if os.path.normcase("A") == "a" else 0
    return re.compile(fnmatch.translate(part), flags)
