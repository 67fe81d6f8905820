"""A module that a child's interpreter loads before its program: this folder is on its path."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path


def _leave_the_path() -> None:
    """Let the program, and its own children, see the path as it was."""
    here = str(Path(__file__).parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    others = [e for e in os.environ.get("PYTHONPATH", "").split(os.pathsep) if e != here]
    if any(others):
        os.environ["PYTHONPATH"] = os.pathsep.join(others)
    else:
        os.environ.pop("PYTHONPATH", None)


def _load_the_one_that_was_hidden() -> None:
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


_leave_the_path()
_load_the_one_that_was_hidden()

from trio_ingest.testing._crash_child._begin import begin  # noqa: E402 - not with our own path

begin()
