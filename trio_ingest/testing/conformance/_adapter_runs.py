"""Runs of an adapter that is being checked, and what became of its records."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any, Final, TypeAlias

import attrs
import trio

from trio_ingest import (
    Checkpoint,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
)

from ._check import played

# What became of a record, as far as two runs can be compared.
End: TypeAlias = tuple[str, ...]

# A run is broken off at so many places at most, spread over it: all of some dozens.
_PLACES: Final = 60


@attrs.frozen
class Subject:
    """An adapter, as often as a new one is needed.

    Args:
        factory: makes it.
        params: for its ``fetch``.
        limit: the most records that it may have.
    """

    factory: Callable[[], Any]
    params: Sequence[Mapping[str, Any]]
    limit: int

    def ends(self) -> list[End]:
        """What an undisturbed run gives, in order.

        Raises:
            AssertionError: it gives more than the limit, or no document.
        """
        ends, _ = played(self.run)
        if not any(kind == "completed" for kind, *_ in ends):
            why = f" They failed with {ends[0][1]}: {ends[0][3]}." if ends else ""
            raise AssertionError(
                f"No document was completed, of {len(ends)} records, so nothing can be "
                f"checked.{why} Let the factory give an adapter whose source has some good "
                f"records, which parse without a warning."
            )
        return ends

    async def run(
        self,
        pipeline: IngestionPipeline | None = None,
        *,
        most: int | None = None,
        resume_from: Checkpoint | None = None,
        linger_seconds: float = 0,
    ) -> tuple[list[End], Checkpoint]:
        """What a run gives until ``most`` records have ended, and the checkpoint there.

        Args:
            pipeline: one of its own when None.
            most: leave the block when the next one has ended; at the end when None.
            resume_from: an earlier checkpoint.
            linger_seconds: how long to wait before leaving the block, so that the engine
                has run ahead and ``fetch`` stands at a ``yield``.
        """
        ends: list[End] = []
        if pipeline is None:
            pipeline = IngestionPipeline(self.factory())
        stream = pipeline.stream_events(
            params=self.params, resume_from=resume_from, buffer_size=2
        )
        async with stream as events:
            async for event in events:
                end = _end_of(event)
                if end is None:
                    continue
                if len(ends) == most:
                    await trio.sleep(linger_seconds)
                    break  # the one in hand does not count: it is not acknowledged
                ends.append(end)
                self._check(len(ends))
            point = stream.checkpoint()
        return ends, point

    async def items(self, adapter: Any) -> list[Any]:
        """All that its ``fetch`` yields."""
        await trio.lowlevel.checkpoint()
        items: list[Any] = []
        try:
            for params in self.params:
                async with _fetching(adapter.fetch(**params)) as fetched:
                    async for item in fetched:
                        items.append(item)
                        self._check(len(items))
        finally:
            if getattr(adapter, "aclose", None) is not None:
                await adapter.aclose()  # noqa: ASYNC102 -- nothing cancels this run
        return items

    async def records(self, adapter: Any) -> list[Any]:
        """The records among them."""
        items = await self.items(adapter)
        return [item for item in items if not isinstance(item, Cursor | PipelineEvent)]

    def _check(self, count: int) -> None:
        if count > self.limit:
            raise AssertionError(
                f"The source has more than {self.limit:,} records, which is limit. Let the "
                f"factory give an adapter of a small source that ends, or raise limit."
            )


async def parsed(adapter: Any, record: Any) -> Document | None:
    """What its ``parse`` makes of a record; None when that fails."""
    await trio.lowlevel.checkpoint()
    try:
        document = adapter.parse(record)
        if inspect.isawaitable(document):
            document = await document
    except Exception:  # noqa: BLE001 -- what it may raise is anything
        return None
    return document if isinstance(document, Document) else None


def described(document: Document) -> End:
    """A document, as far as two can be compared."""
    return "completed", document.doc_id, document.content


def named(end: End) -> str:
    """A record, as messages call it."""
    kind, name, *_ = end
    if kind == "failed":
        return f"a record that fails with {name}"
    return f"the document {name!r:.80}"


def compare(expected: Sequence[End], found: Sequence[End], sentence: str) -> None:
    """Hold that both have the same records, in any order.

    Raises:
        AssertionError: they have not.
    """
    lost, more = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    if lost or more:
        parts = [
            f"{sum(ends.values())} {what}, like {named(next(iter(ends)))}"
            for ends, what in ((lost, "are missing"), (more, "are there besides"))
            if ends
        ]
        raise AssertionError(f"{sentence}: {'; '.join(parts)}.")


def spread(count: int) -> list[int]:
    """Some of the places from 0 to ``count``, both of them among them."""
    return sorted({number * count // _PLACES for number in range(_PLACES + 1)})


def _end_of(event: PipelineEvent) -> End | None:
    match event:
        case DocumentCompleted(document=document):
            return described(document)
        case DocumentFailed(error_type=kind, doc_id=doc_id, error=error):
            return "failed", kind, str(doc_id), str(error)
    return None


def _fetching(fetched: Any) -> AbstractAsyncContextManager[Any]:
    """Its iterator, closed at the end; one under ``trio.as_safe_channel`` does so itself."""
    if isinstance(fetched, AbstractAsyncContextManager):
        return fetched
    return aclosing(fetched)
