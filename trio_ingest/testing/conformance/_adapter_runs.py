"""Runs of an adapter under test, and the outcomes of its records."""

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

from ._check import run_strictly

# The end of a record, as far as two runs can be compared.
Outcome: TypeAlias = tuple[str, ...]

# The most places at which a run is broken off, spread over it: all of some dozens.
_PLACES: Final = 60


@attrs.frozen
class AdapterUnderTest:
    """The factory of an adapter, and runs of what it makes.

    Args:
        factory: makes it.
        params: for its ``fetch``.
        limit: the most records that it may have.
    """

    factory: Callable[[], Any]
    params: Sequence[Mapping[str, Any]]
    limit: int

    def outcomes(self) -> list[Outcome]:
        """Return the outcomes of an undisturbed run, in order.

        Raises:
            AssertionError: it has more records than the limit, or no document.
        """
        outcomes, _ = run_strictly(self.run)
        if not any(kind == "completed" for kind, *_ in outcomes):
            first = outcomes[0] if outcomes else None
            why = f" They failed with {first[1]}: {first[3]}." if first else ""
            raise AssertionError(
                f"No document was completed, of {len(outcomes)} records, so nothing can be "
                f"checked.{why} Let the factory give an adapter whose source has some good "
                f"records, which parse without a warning."
            )
        return outcomes

    async def run(
        self,
        pipeline: IngestionPipeline | None = None,
        *,
        most: int | None = None,
        resume_from: Checkpoint | None = None,
        linger_seconds: float = 0,
    ) -> tuple[list[Outcome], Checkpoint]:
        """Run it until ``most`` records have ended; return outcomes and checkpoint.

        Args:
            pipeline: a new one when None.
            most: leave the block when the next one has ended; at the end when None.
            resume_from: an earlier checkpoint.
            linger_seconds: how long to wait before leaving the block, so that the engine
                has run ahead and ``fetch`` is suspended at a ``yield``.
        """
        outcomes: list[Outcome] = []
        if pipeline is None:
            pipeline = IngestionPipeline(self.factory())
        stream = pipeline.stream_events(
            params=self.params, resume_from=resume_from, buffer_size=2
        )
        async with stream as events:
            async for event in events:
                outcome = _outcome_of(event)
                if outcome is None:
                    continue
                if len(outcomes) == most:
                    await trio.sleep(linger_seconds)
                    break  # this one does not count: it is not acknowledged
                outcomes.append(outcome)
                self._check_limit(len(outcomes))
            point = stream.checkpoint()
        return outcomes, point

    async def items(self, adapter: Any) -> list[Any]:
        """Return all that its ``fetch`` yields."""
        await trio.lowlevel.checkpoint()
        items: list[Any] = []
        try:
            for params in self.params:
                async with _closing(adapter.fetch(**params)) as fetched:
                    async for item in fetched:
                        items.append(item)
                        self._check_limit(len(items))
        finally:
            if getattr(adapter, "aclose", None) is not None:
                await adapter.aclose()  # noqa: ASYNC102 -- nothing cancels this run
        return items

    async def records(self, adapter: Any) -> list[Any]:
        """Return the records that its ``fetch`` yields."""
        items = await self.items(adapter)
        return [item for item in items if not isinstance(item, Cursor | PipelineEvent)]

    def _check_limit(self, count: int) -> None:
        if count > self.limit:
            raise AssertionError(
                f"The source has more than {self.limit:,} records, which is limit. Let the "
                f"factory give an adapter of a small source that ends, or raise limit."
            )


async def parse(adapter: Any, record: Any) -> Document | None:
    """Return the document that its ``parse`` makes of a record; None when that fails."""
    await trio.lowlevel.checkpoint()
    try:
        document = adapter.parse(record)
        if inspect.isawaitable(document):
            document = await document
    except Exception:  # noqa: BLE001 -- it may raise anything
        return None
    return document if isinstance(document, Document) else None


def describe(outcome: Outcome) -> str:
    """Describe a record for a message."""
    kind, name, *_ = outcome
    if kind == "failed":
        return f"a record that fails with {name}"
    return f"the document {name!r:.80}"


def compare(expected: Sequence[Outcome], found: Sequence[Outcome], sentence: str) -> None:
    """Check that both have the same outcomes, in any order.

    Raises:
        AssertionError: they have not.
    """
    lost, more = Counter(expected) - Counter(found), Counter(found) - Counter(expected)
    if lost or more:
        parts = [
            f"{sum(outcomes.values())} {problem}, like {describe(next(iter(outcomes)))}"
            for outcomes, problem in ((lost, "are missing"), (more, "are there besides"))
            if outcomes
        ]
        raise AssertionError(f"{sentence}: {'; '.join(parts)}.")


def spread(count: int) -> list[int]:
    """Choose some of the numbers from 0 to ``count``, both of them among them."""
    return sorted({number * count // _PLACES for number in range(_PLACES + 1)})


def _outcome_of(event: PipelineEvent) -> Outcome | None:
    match event:
        case DocumentCompleted(document=document):
            return "completed", document.doc_id, document.content
        case DocumentFailed(error_type=kind, doc_id=doc_id, error=error):
            return "failed", kind, str(doc_id), str(error)
    return None


def _closing(fetched: Any) -> AbstractAsyncContextManager[Any]:
    """Close an iterator at the end; one under ``trio.as_safe_channel`` does so itself."""
    if isinstance(fetched, AbstractAsyncContextManager):
        return fetched
    return aclosing(fetched)
