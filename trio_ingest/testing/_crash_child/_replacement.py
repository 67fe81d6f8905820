"""A stand-in for a function of the standard library."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any


class Replacement:
    """A callable that stands in for a function, and is otherwise like it.

    It is never bound to an object, is pickled by its name, and is in those of the sets
    ``os.supports_…`` that the function is in. ``module`` is the one that has the function
    under its name; ``call`` is called instead.
    """

    def __init__(
        self, function: Callable[..., Any], module: str, call: Callable[..., Any]
    ) -> None:
        functools.update_wrapper(self, function)
        self.__module__ = module
        self._name = function.__name__
        self._call = call
        supporting: Any
        for supporting in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if function in supporting:
                supporting.add(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> str:
        return self._name
