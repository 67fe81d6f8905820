"""What stands where a function of the standard library stood."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any


class Stand:
    """Is called instead of a function, and otherwise like it.

    It is never bound to an object, is pickled by its name, and can do whatever
    ``os.supports_…`` said of the function.

    Args:
        function: what stood there.
        module: where it is found by its name.
        call: what is called instead.
    """

    def __init__(
        self, function: Callable[..., Any], module: str, call: Callable[..., Any]
    ) -> None:
        functools.update_wrapper(self, function)
        self.__module__ = module
        self._name = function.__name__
        self._call = call
        known: Any
        for known in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks):
            if function in known:
                known.add(self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def __reduce__(self) -> str:
        return self._name
