"""Small adapters that the promise tests derive theirs from, and how they collect a run."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import attrs
import pytest

from tests.worlds import cancelled, stream_of
from trio_ingest import Document, IngestionPipeline, PipelineEvent

# The bare form, one worker, and several.
FORMS = pytest.mark.parametrize(
    ("bare", "workers"), [(True, 1), (False, 1), (False, 3)], ids=["bare", "one", "three"]
)


class Plain:
    """Yields ``count`` numbers and makes a document of each."""

    stable_order = True

    def __init__(self, source: str = "plain", count: int = 3) -> None:
        self.source = source
        self.count = count
        self.fetched = 0
        self.closed = False

    async def fetch(self) -> AsyncIterator[Any]:
        for number in range(self.count):
            self.fetched += 1
            yield number

    def parse(self, record: Any) -> Any:
        return Document(str(record), self.source, "")

    async def aclose(self) -> None:
        self.closed = True


@attrs.define
class Seen:
    """The events that a consumer received, and what was raised after the last one."""

    events: list[PipelineEvent] = attrs.field(factory=list)
    failure: BaseException | None = None


async def see(pipeline: IngestionPipeline, *, bare: bool = False, **options: Any) -> Seen:
    """Consume a run to its end, in either form."""
    seen = Seen()
    stream = stream_of(pipeline, **options)
    try:
        if bare:
            async with aclosing(aiter(stream)) as events:  # type: ignore[type-var]
                async for event in events:
                    seen.events.append(event)
        else:
            async with stream:
                async for event in stream:
                    seen.events.append(event)
    except cancelled():
        raise
    except BaseException as error:  # noqa: ASYNC103 -- cancelled() is above
        seen.failure = error
    return seen
