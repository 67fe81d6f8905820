"""A named small test of somebody's adapter or sink, and how it is run."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar
from unittest import SkipTest

import attrs

from trio_ingest.testing._deadline import deadline_in, discarding, real_deadline
from trio_ingest.testing._locations import raised_at
from trio_ingest.testing.deterministic import run_deterministic

T = TypeVar("T")

_REAL_SECONDS: Final = 60.0
_THREAD_ENDS_SECONDS: Final = 5.0


@attrs.frozen
class Check:
    """One thing that must hold; call it to find out.

    Args:
        name: what it is called, in reports and as the id of a parametrized test.
        sentence: what must hold.

    Raises:
        AssertionError: when called, and it does not hold; the message says why.
        unittest.SkipTest: when called, and there is nothing to check.
    """

    name: str
    sentence: str
    _run: Callable[[], object] = attrs.field(repr=False, eq=False)

    @property
    def __name__(self) -> str:
        """The name: pytest makes the id of a parameter of it."""
        return self.name

    def __call__(self) -> None:
        """Run it."""
        try:
            self._run()
        except (AssertionError, SkipTest):
            raise
        except Exception as error:
            place = raised_at(error)
            where = "" if place is None else f" (raised at {place})"
            raise AssertionError(f"{type(error).__name__}: {error}{where}") from error


def check_of(function: Callable[[T], object], subject: T) -> Check:
    """The check that a function makes of a subject."""
    sentence = (function.__doc__ or "").strip().partition("\n")[0]
    return Check(function.__name__, sentence, lambda: function(subject))


def played(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """What an async function returns; with virtual time, and warnings as errors.

    Raises:
        AssertionError: it hangs.
    """
    try:
        with warnings.catch_warnings(), real_deadline(_REAL_SECONDS):
            warnings.simplefilter("error")
            return run_deterministic(fn, *args)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: ASYNC103 -- no loop runs here
        reached = deadline_in(error)
        if reached is None:
            raise
        place = raised_at(reached) or "no line of the code under test"
        with discarding():
            del error
    raise AssertionError(f"It hangs: after {_REAL_SECONDS:g} real seconds it was at {place}.")


@contextmanager
def no_thread_left(method: str) -> Iterator[None]:
    """Hold that no thread is running after the block that was not before.

    Args:
        method: which one is to end it.

    Raises:
        AssertionError: there is one.
    """
    before = set(threading.enumerate())
    yield
    # Trio keeps idle ones of its own, and Python those of its own pools.
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(("Trio thread", "AnyIO worker")):
            continue
        thread.join(_THREAD_ENDS_SECONDS)
        if thread.is_alive():
            raise AssertionError(
                f"It has left the thread {thread.name!r:.80} running. End it in `{method}`."
            )


def skip(why: str) -> NoReturn:
    """There is nothing to check.

    Raises:
        unittest.SkipTest: always; pytest and unittest know it.
    """
    raise SkipTest(why)
