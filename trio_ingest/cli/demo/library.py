"""The source of the demo: a copy of the standard library's files, one of them broken."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

# Of other people, in a folder of the library's own.
_NOT_OF_THE_LIBRARY: Final = {"site-packages", "dist-packages", "__pycache__"}

# In the middle of the order; what an editor leaves that thought it was Latin-1.
BROKEN: Final = "json/broken.py"
_BROKEN_BYTES: Final = b'"""Caf\xe9, from an editor that did not write UTF-8."""\n'

# Fewer and there would be nothing to see; some systems ship no sources at all.
_LEAST_FILES: Final = 100


class DemoError(Exception):
    """The demo cannot be shown; the message is a sentence."""


def copy_library(target: Path, *, check: Callable[[], None] = lambda: None) -> int:
    """Copy the source files of the standard library, and add a broken one.

    Args:
        target: a directory to make.
        check: called before each file; what it raises ends the copying.

    Returns:
        how many files there are now.

    Raises:
        DemoError: this Python has no source files.
        OSError: they cannot be copied.
    """
    source = Path(sysconfig.get_paths()["stdlib"])
    count = 0
    for path in _sources(source):
        check()
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        count += 1
    if count < _LEAST_FILES:
        raise DemoError(
            f"The standard library of this Python has {count} source files in {source}, and "
            f"the demo needs them. Run it with a Python that has its library as files."
        )
    broken = target / BROKEN
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_bytes(_BROKEN_BYTES)
    return count + 1


def readable(library: Path) -> tuple[set[str], set[str]]:
    """The files that are UTF-8, and those that are not, found without our own adapter."""
    good: set[str] = set()
    bad: set[str] = set()
    for path in _sources(library):
        name = path.relative_to(library).as_posix()
        try:
            path.read_bytes().decode("utf-8")
        except UnicodeDecodeError:
            bad.add(name)
        else:
            good.add(name)
    return good, bad


def _sources(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = [
            name for name in folders if name not in _NOT_OF_THE_LIBRARY and name[0] != "."
        ]
        for name in files:
            # As the pattern of the run has it, which leaves hidden names out. Some systems
            # link to files that are not installed.
            path = Path(here, name)
            if name.endswith(".py") and name[0] != "." and path.is_file():
                yield path
