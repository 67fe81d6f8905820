"""Where in the user's own code something is, in a few words."""

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

_OURS: Final = Path(trio_ingest.__file__).parent

# What lies below these is nobody's who tests an adapter.
_LIBRARIES: Final = tuple(
    str(Path(spec.origin).parent) + "/"
    for spec in map(find_spec, ("anyio", "outcome", "trio", "trio_util"))
    if spec is not None and spec.origin is not None
)
# Of ours, what moves an adapter; the adapters and sinks that come with us are tested as well.
_MOVERS: Final = tuple(
    f"{_OURS / folder}{os.sep}" for folder in ("_core", "_engine", "delivery", "testing")
)

_STANDARD: Final = sysconfig.get_paths()["stdlib"] + "/"
_INSTALLED: Final = ("/site-packages/", "/dist-packages/")


@cache
def is_users(code: CodeType) -> bool:
    """Whether code is of whoever tests, and not of a library that runs it."""
    name = code.co_filename
    if name.startswith(("<", *_LIBRARIES, *_MOVERS)) or Path(name).parent == _OURS:
        return False
    return not name.startswith(_STANDARD) or any(part in name for part in _INSTALLED)


def place_of(code: CodeType, line: int | None) -> str:
    """A line of code, as people look for it."""
    return f"{Path(code.co_filename).name}:{line} in {code.co_qualname}"


def frame_place(frame: FrameType) -> str:
    """Where a frame is."""
    return place_of(frame.f_code, frame.f_lineno)


def task_place(task: trio.lowlevel.Task) -> str | None:
    """The innermost line of the user's code that a task is at, or None."""
    found = None
    for frame, line in task.iter_await_frames():
        if is_users(frame.f_code):
            found = place_of(frame.f_code, line)
    return found


def raised_at(error: BaseException) -> str | None:
    """The innermost line of the user's code that an exception came through, or None."""
    found, step = None, error.__traceback__
    while step is not None:
        if is_users(step.tb_frame.f_code):
            found = place_of(step.tb_frame.f_code, step.tb_lineno)
        step = step.tb_next
    return found


def places(tasks: Iterable[trio.lowlevel.Task]) -> str:
    """Where all of these tasks are, those that are in the user's code."""
    found = sorted({place for place in map(task_place, tasks) if place is not None})
    return "; ".join(found) or "no line of the code under test"
