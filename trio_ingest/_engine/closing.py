"""The closing of adapters and of what their ``fetch`` gave.

It is done by any road, under a grace that shields it from the cancellation outside.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterator, Callable
from typing import Any

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.errors import add_note

from .fetching import yields_in_scope
from .records import RecordProcessor
from .runtime import Runtime


async def close_within_grace(
    close: Callable[[], Any], runtime: Runtime, seconds: float, what: str
) -> None:
    """Await a cleanup for at most so many seconds, shielded from outer cancellations."""
    try:
        with runtime.grace(seconds) as scope:
            closing = close()
            if inspect.isawaitable(closing):  # a plain aclose has done its work already
                await closing
    except BaseException as error:
        # By a second Ctrl-C, for which asyncio cancels the task from outside the scope.
        if runtime.cleanup_forced and not isinstance(error, Exception):
            _warn_of_cut(runtime, seconds, what)
        raise
    if scope.cancelled_caught:
        _warn_of_cut(runtime, seconds, what)


def _warn_of_cut(runtime: Runtime, seconds: float, what: str) -> None:
    why = f"took longer to close than cleanup_grace_seconds={seconds:g} allows, and"
    if runtime.cleanup_forced:
        why = "had not closed when a second cancellation came, and so"
    warnings.warn(f"{what} {why} was cut short.", RuntimeWarning, stacklevel=3)


async def close_fetch(
    items: AsyncIterator[Any], plan: AdapterPlan, runtime: Runtime, seconds: float
) -> None:
    """Close what ``fetch`` gave, if it can be closed."""
    close = getattr(items, "aclose", None)
    if close is None:
        return
    try:
        await close_within_grace(close, runtime, seconds, f"fetch of {plan.source!r}")
    except BaseExceptionGroup as group:  # a nursery around the yield wraps the GeneratorExit
        exits, rest = group.split(GeneratorExit)
        if exits is None:
            raise  # the adapter's own
        if rest is None:
            raise yields_in_scope(plan.source) from group
        raise rest from group


async def close_adapter(
    plan: AdapterPlan, first: RecordProcessor, runtime: Runtime, seconds: float
) -> None:
    """Close the adapter itself, and the iterator of an early ``fetch`` that was not used."""
    if first.opened_early is not None:
        opened, first.opened_early = first.opened_early, None
        await close_fetch(opened, plan, runtime, seconds)
    if plan.aclose is not None:
        try:
            await close_within_grace(
                plan.aclose, runtime, seconds, f"aclose of {plan.source!r}"
            )
        except Exception as error:
            add_note(error, f"In aclose of the adapter {plan.source!r}.")
            raise
