"""Hears of warnings where nobody can raise: in finalizers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def finalizers_heard(say: Callable[[str], object]) -> Iterator[None]:
    """Tell of what is left open or never awaited, while the block runs.

    Args:
        say: called with a sentence; only where warnings are errors.
    """
    hook = sys.unraisablehook

    def heard(unraisable: sys.UnraisableHookArgs) -> None:
        warning = unraisable.exc_value
        if isinstance(warning, Warning):
            say(f"{type(warning).__name__}: {str(warning).rstrip('.')}.")
        else:
            hook(unraisable)

    sys.unraisablehook = heard
    try:
        yield
    finally:
        sys.unraisablehook = hook
