"""The protocols of adapters, and the plan that is made of an adapter once.

An adapter has ``source``, ``fetch`` and ``parse``. Each further ability is a protocol of its
own. ``plan_of`` looks them all up at set-up, into bound callables, so that no attribute of
an adapter is looked up for each document.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

import attrs

from .documents import Document
from .errors import SetupError, abbreviated
from .events import ENGINE_EVENTS, PipelineEvent
from .positions import Cursor

Record = TypeVar("Record")
FetchItem: TypeAlias = Record | Cursor | PipelineEvent
"""An item of ``fetch``: a record, a ``Cursor``, or an event of the adapter's own."""


class Adapter(Protocol):
    """The input side: any object with these three.

    ``fetch(**params)`` is called once for each adapter run, and iterated from start to end
    in one task. ``parse(record)`` is called for each attempt at a record, and may be sync or
    async; with several workers, it is called from several tasks.

    Memory: an adapter may hold what it likes; the engine holds one record, or two for each
    worker.
    """

    @property
    def source(self) -> str:
        """The name of the adapter in events; no two adapters of a pipeline share it."""

    @property
    def fetch(self) -> Callable[..., AsyncIterator[Any] | AbstractAsyncContextManager[Any]]:
        """An async generator of records, cursors and events of the adapter's own.

        A cancellation is raised where it waits, and it is closed within the pipeline's
        ``cleanup_grace_seconds``. ``trio.as_safe_channel`` may decorate it, for the
        ``async with`` form.
        """

    @property
    def parse(self) -> Callable[[Any], Document | Awaitable[Document]]:
        """A function that makes a document of one record; an error fails that record alone."""


Adapter.__module__ = "trio_ingest"


@runtime_checkable
class Identifies(Protocol):
    """An adapter that knows a record's document id before parsing it."""

    def identify(self, record: Any) -> str:
        """Return the id of the document that a record will become.

        Called once for each record, before work on it starts.

        Args:
            record: as ``fetch`` yielded it.

        Returns:
            The document's ``doc_id``. An error here makes the record a failed document.
        """


Identifies.__module__ = "trio_ingest"


@runtime_checkable
class EstimatesTotal(Protocol):
    """An adapter that knows roughly how many records a run will have."""

    def estimate_total(self, **params: Any) -> Awaitable[int | None] | int | None:
        """Return how many records to expect, or None when that is not known.

        Called once for each adapter run; in the ``async with`` form beside the fetch.

        Args:
            **params: as ``fetch`` is called with.

        Returns:
            The number, or an awaitable of it. An error here is a warning: there is no ETA.
        """


EstimatesTotal.__module__ = "trio_ingest"


@runtime_checkable
class HasStableOrder(Protocol):
    """An adapter whose records come in the same order each time, so they can be counted.

    A run that resumes passes over as many records as the earlier run had.
    """

    stable_order: bool


HasStableOrder.__module__ = "trio_ingest"


@runtime_checkable
class HasOpenEnd(Protocol):
    """An adapter for which the end of what was read may not have been the whole.

    A pipe ends alike when its writer is done and when it has died. A resumed run, of a
    checkpoint that has come to its end, reads such a source on.
    """

    is_open_ended: bool


HasOpenEnd.__module__ = "trio_ingest"


@runtime_checkable
class JudgesErrors(Protocol):
    """An adapter that knows which errors of its ``parse`` another attempt may cure."""

    def is_retryable(self, error: Exception) -> bool:
        """Return whether the same record may succeed when it is tried again.

        Called for each failed attempt.

        Args:
            error: as ``parse`` raised it.

        Returns:
            True when another attempt could help. An error here counts as False.
        """


JudgesErrors.__module__ = "trio_ingest"


@runtime_checkable
class Closes(Protocol):
    """An adapter that holds something open that must be released."""

    async def aclose(self) -> None:
        """Release everything.

        Called once at the end of every stream, however it ends. It is shielded from
        cancellation for ``cleanup_grace_seconds``; after that it is cut short, with a warning.
        """


Closes.__module__ = "trio_ingest"


@attrs.frozen(eq=False)
class AdapterPlan:
    """The abilities of an adapter as bound callables, looked up once."""

    source: str
    fetch: Callable[..., AsyncIterator[Any]]
    parse: Callable[[Any], Any]
    identify: Callable[[Any], Any] | None
    estimate_total: Callable[..., Any] | None
    is_retryable: Callable[[Exception], Any] | None
    aclose: Callable[[], Awaitable[Any]] | None
    stable_order: bool
    is_open_ended: bool
    # `cursor` is named in the signature, or taken by a `**`; only the first is a promise.
    offers_cursor: bool
    takes_cursor: bool


def plan_of(adapter: object) -> AdapterPlan:
    """Look up all abilities of an adapter.

    Raises:
        SetupError: when it lacks a part of the protocol, or has a part of the wrong kind.
    """
    kind = type(adapter).__name__
    if isinstance(adapter, type):
        raise SetupError(
            f"An adapter is an object, and {adapter.__name__} is a class: "
            f"pass an instance of it, {adapter.__name__}(...)."
        )
    source = getattr(adapter, "source", None)
    if type(source) is not str or not source:
        raise SetupError(
            f"An adapter needs a `source`, a string that names it in events; "
            f"{kind} has {abbreviated(source)}."
        )
    is_retryable = _plain(adapter, "is_retryable", kind)
    fetch = _checked_fetch(adapter, kind)
    offers_cursor, takes_cursor = _cursor_of(fetch)
    return AdapterPlan(
        source=source,
        fetch=fetch,
        parse=_required(adapter, "parse", kind, "that makes a Document of a record"),
        identify=_plain(adapter, "identify", kind),
        estimate_total=_callable(adapter, "estimate_total", kind),
        is_retryable=is_retryable,
        aclose=_callable(adapter, "aclose", kind),
        stable_order=bool(getattr(adapter, "stable_order", False)),
        is_open_ended=bool(getattr(adapter, "is_open_ended", False)),
        offers_cursor=offers_cursor,
        takes_cursor=takes_cursor,
    )


def check_params(plan: AdapterPlan, params: Mapping[str, Any]) -> None:
    """Refuse params that the adapter's ``fetch`` cannot be called with.

    Raises:
        SetupError: naming the adapter and what does not fit.
    """
    try:
        inspect.signature(plan.fetch).bind(**params)
    except TypeError as error:
        raise SetupError(
            f"The adapter {plan.source!r} cannot fetch with the params "
            f"{abbreviated(dict(params))}: {error}."
        ) from error
    except ValueError:
        return  # a callable without a signature: only the call can tell


def refuse_engine_event(event: PipelineEvent) -> None:
    """Refuse an adapter's event of a class that only the engine may emit.

    Raises:
        SetupError: naming the class.
    """
    if isinstance(event, ENGINE_EVENTS):
        raise SetupError(
            f"An adapter yielded a {type(event).__name__}, which only the engine may emit. "
            f"Derive a class of your own from PipelineEvent."
        )


def _cursor_of(fetch: Callable[..., Any]) -> tuple[bool, bool]:
    """Return whether ``fetch`` names a parameter ``cursor``, and whether it takes one."""
    try:
        parameters = inspect.signature(fetch).parameters.values()
    except ValueError:
        return False, True  # a callable without a signature: only the call can tell
    named = any(p.name == "cursor" for p in parameters)
    return named, named or any(p.kind is p.VAR_KEYWORD for p in parameters)


def _checked_fetch(adapter: object, kind: str) -> Callable[..., AsyncIterator[Any]]:
    fetch = _required(adapter, "fetch", kind, "that yields records")
    if inspect.iscoroutinefunction(fetch):
        raise SetupError(
            f"{kind}.fetch is a coroutine function; it must be an async generator: "
            f"`yield` each record instead of returning them all."
        )
    if inspect.isgeneratorfunction(fetch):
        raise SetupError(
            f"{kind}.fetch is a plain generator; make it `async def fetch` and keep "
            f"the `yield`."
        )
    return fetch


def _required(adapter: object, name: str, kind: str, what: str) -> Callable[..., Any]:
    found = _callable(adapter, name, kind)
    if found is None:
        raise SetupError(f"An adapter needs a method `{name}` {what}; {kind} has none.")
    return found


def _callable(adapter: object, name: str, kind: str) -> Callable[..., Any] | None:
    found = getattr(adapter, name, None)
    if found is not None and not callable(found):
        raise SetupError(f"{kind}.{name} must be a method; it is {abbreviated(found)}.")
    return found


def _plain(adapter: object, name: str, kind: str) -> Callable[..., Any] | None:
    found = _callable(adapter, name, kind)
    if inspect.iscoroutinefunction(found):
        raise SetupError(
            f"{kind}.{name} must be a plain method: it is called for each record, and "
            f"never awaited. Write it as `def {name}`."
        )
    return found
