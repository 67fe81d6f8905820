"""The opening and closing of what ``fetch`` gives, and of the adapter itself.

An adapter's generator is iterated from start to end in one task. It is closed by any road,
under a grace that shields it from the cancellation outside. One that has yielded inside a
cancel scope or a nursery is refused, since it would corrupt the stack of scopes (PEP 789).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from typing import Any

import attrs

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.errors import SetupError, add_note

from .records import RecordProcessor
from .runtime import CheckedScope, Runtime


async def first_item(items: AsyncIterator[Any], source: str, runtime: Runtime) -> Any:
    """Return the first item of a fetch, checked for a scope that it left open.

    Raises:
        StopAsyncIteration: when there is none.
        SetupError: when a scope was left open.
    """
    got_it = False
    scope = runtime.checked_scope()
    try:
        with scope:
            item = await anext(items)
            await refuse_open_scopes(items, source, scope)
            got_it = True
    except RuntimeError as error:
        if got_it:  # so it came of closing our scope with one still open inside
            raise yields_in_scope(source) from error
        raise
    return item


async def refuse_open_scopes(items: Any, source: str, scope: CheckedScope) -> None:
    """Refuse an adapter that has left a cancel scope or a nursery open inside ``scope``.

    The adapter is closed first: no scope of ours may be opened or closed before that, or the
    stack of scopes would be corrupted.

    Raises:
        SetupError: when it has; it names the rule and the remedy.
    """
    if not scope.holds_another():
        return
    close = getattr(items, "aclose", None)
    try:
        if close is not None:
            await close()
    except GeneratorExit:
        pass
    except BaseExceptionGroup as group:  # a nursery wraps the GeneratorExit
        if group.split(GeneratorExit)[1] is not None:
            raise
    raise yields_in_scope(source)


def yields_in_scope(source: str) -> SetupError:
    """Return the error for an adapter that has left a scope open across a yield."""
    return SetupError(
        f"The adapter {source!r} yields inside a cancel scope or a nursery, which would "
        f"cancel or outlive the wrong code (PEP 789). Close it before each yield, or open it "
        f"outside fetch; on Trio, decorating fetch with trio.as_safe_channel will do as well."
    )


def open_fetch(plan: AdapterPlan, processor: RecordProcessor) -> Any:
    """Call ``fetch`` with the run's params, and with its cursor when it resumes.

    Returns:
        An async iterator, or the block that ``trio.as_safe_channel`` makes of one.

    Raises:
        SetupError: when the result is neither.
    """
    opened, processor.opened_early = processor.opened_early, None
    if opened is not None:
        return opened
    adapter_run = processor.adapter_run
    params = deepcopy(adapter_run.parameters)
    if adapter_run.acknowledged.cursor_record is not None:
        params["cursor"] = adapter_run.cursor_to_resume()
    items: Any = plan.fetch(**params)
    if hasattr(items, "__aiter__"):
        return aiter(items)
    if hasattr(items, "__aenter__"):
        return items
    if inspect.iscoroutine(items):
        items.close()  # or Python would warn that it was never awaited
    raise SetupError(
        f"fetch of the adapter {plan.source!r} must give an async iterator; it gave "
        f"a {type(items).__name__}. Write it as `async def fetch` with `yield`."
    )


def open_early(plan: AdapterPlan, processor: RecordProcessor) -> None:
    """Call a ``fetch`` that only a call can check, before the first event.

    Raises:
        SetupError: when it gives something that cannot be iterated.
    """
    if processor.adapter_run.finished or inspect.isasyncgenfunction(plan.fetch):
        return
    try:
        processor.opened_early = open_fetch(plan, processor)
    except SetupError:
        raise
    except Exception as error:  # noqa: BLE001 -- a dead adapter, and raised in its place
        processor.opened_early = _FailedFetch(error)


@attrs.define
class _FailedFetch:
    """Iterator in the place of a ``fetch`` that raised when it was called."""

    error: Exception

    def __aiter__(self) -> _FailedFetch:
        return self

    async def __anext__(self) -> Any:
        raise self.error


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
