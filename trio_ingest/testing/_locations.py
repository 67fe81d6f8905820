"""Locations in the user's own code, as text: ``file.py:12 in Class.method``."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

import trio

import trio_ingest

_PACKAGE: Final = Path(trio_ingest.__file__).parent
_LIBRARIES: Final = tuple(
    str(Path(spec.origin).parent) + "/"
    for spec in map(find_spec, ("anyio", "outcome", "trio", "trio_util"))
    if spec is not None and spec.origin is not None
)
# The engine itself; adapters and sinks that come with the package are tested like any other.
_ENGINE: Final = tuple(
    f"{_PACKAGE / folder}{os.sep}" for folder in ("_core", "_engine", "delivery", "testing")
)
_STANDARD: Final = sysconfig.get_paths()["stdlib"] + "/"
_INSTALLED: Final = ("/site-packages/", "/dist-packages/")


@cache
def is_user_code(code: CodeType) -> bool:
    """Return True for the code under test, False for a library that runs it."""
    name = code.co_filename
    if name.startswith(("<", *_LIBRARIES, *_ENGINE)) or Path(name).parent == _PACKAGE:
        return False
    return not name.startswith(_STANDARD) or any(part in name for part in _INSTALLED)


def code_location(code: CodeType, line: int | None) -> str:
    """Format a line of code."""
    return f"{Path(code.co_filename).name}:{line} in {code.co_qualname}"


def frame_location(frame: FrameType) -> str:
    """Format the current line of a frame."""
    return code_location(frame.f_code, frame.f_lineno)


def task_location(task: trio.lowlevel.Task) -> str | None:
    """Return the innermost line of user code that a task is at, or None."""
    found = None
    for frame, line in task.iter_await_frames():
        if is_user_code(frame.f_code):
            found = code_location(frame.f_code, line)
    return found


def raise_location(error: BaseException) -> str | None:
    """Return the innermost line of user code that an exception came through, or None."""
    found, step = None, error.__traceback__
    while step is not None:
        if is_user_code(step.tb_frame.f_code):
            found = code_location(step.tb_frame.f_code, step.tb_lineno)
        step = step.tb_next
    return found


def task_locations(tasks: Iterable[trio.lowlevel.Task]) -> str:
    """List the locations of those tasks that are in user code."""
    found = sorted({at for task in tasks if (at := task_location(task)) is not None})
    return "; ".join(found) or "no line of the code under test"
