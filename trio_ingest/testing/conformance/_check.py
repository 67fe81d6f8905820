"""A named small test of an adapter or sink, and the helpers that its kinds share."""

import inspect
import threading
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, NoReturn, TypeVar
from unittest import SkipTest

import attrs

from trio_ingest.testing._deadline import (
    discarding_interrupted_run,
    find_deadline,
    real_deadline,
)
from trio_ingest.testing._locations import raise_location
from trio_ingest.testing.deterministic import run_deterministic

T = TypeVar("T")

_REAL_SECONDS: Final = 60.0
_THREAD_ENDS_SECONDS: Final = 5.0


@attrs.frozen
class Check:
    """A requirement of an adapter or sink, and a function that checks it.

    Args:
        name: for reports, and as the id of a parametrized test.
        sentence: the requirement.
    """

    __module__ = "trio_ingest.testing"

    name: str
    sentence: str
    _run: Callable[[], object] = attrs.field(repr=False, eq=False)

    @property
    def __name__(self) -> str:
        """The name: pytest makes the id of a parameter of it."""
        return self.name

    def __call__(self) -> None:
        """Run the check.

        Raises:
            AssertionError: the requirement is not met; the message says why.
            unittest.SkipTest: there is nothing to check.
        """
        try:
            self._run()
        except (AssertionError, SkipTest):
            raise
        except Exception as error:
            location = raise_location(error)
            raised = "" if location is None else f" (raised at {location})"
            raise AssertionError(f"{type(error).__name__}: {error}{raised}") from error


def make_check(function: Callable[[T], Any], subject: T) -> Check:
    """Make the check of a subject that a function, async or not, describes and carries out."""
    sentence = (function.__doc__ or "").strip().partition("\n")[0]
    run = partial(function, subject)
    if inspect.iscoroutinefunction(function):
        run = partial(run_strictly, function, subject)
    return Check(function.__name__, sentence, run)


def run_strictly(fn: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run an async function in virtual time, with warnings as errors and a deadline.

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
        reached = find_deadline(error)
        if reached is None:
            raise
        location = raise_location(reached) or "no line of the code under test"
        with discarding_interrupted_run():
            del error
    raise AssertionError(
        f"It hangs: after {_REAL_SECONDS:g} real seconds it was at {location}."
    )


@contextmanager
def no_thread_left(method: str) -> Iterator[None]:
    """Check that the block has left no new thread running.

    Args:
        method: the one that must end it.

    Raises:
        AssertionError: there is one.
    """
    before = set(threading.enumerate())
    yield
    # Trio and anyio keep idle threads of their own.
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(("Trio thread", "AnyIO worker")):
            continue
        thread.join(_THREAD_ENDS_SECONDS)
        if thread.is_alive():
            raise AssertionError(
                f"It has left the thread {thread.name!r:.80} running. End it in `{method}`."
            )


def skip(why: str) -> NoReturn:
    """Say that there is nothing to check.

    Raises:
        unittest.SkipTest: always; pytest and unittest know it.
    """
    raise SkipTest(why)
