"""The opening of a ``fetch``, and its first item.

An adapter's generator is iterated from start to end in one task. One that has yielded inside
a cancel scope or a nursery is refused, since it would corrupt the stack of scopes (PEP 789).
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from copy import deepcopy
from typing import Any

import attrs

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.errors import SetupError

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
