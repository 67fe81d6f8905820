"""Records that are only passed over get their checkpoint committed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import trio
import trio.testing

from tests.delivery.memory_sinks import Table
from tests.worlds import run
from trio_ingest import Cursor, Document, IngestionPipeline
from trio_ingest.delivery import deliver, resume_point

PAGES, PAGE = 300, 10


class Pages:
    """Pages of records, a tenth of a second each, whose ids are known before any work."""

    source = "pages"

    async def fetch(self, *, cursor: int = 0) -> AsyncIterator[int | Cursor]:
        for page in range(cursor, PAGES):
            await trio.sleep(0.1)
            for number in range(PAGE):
                yield page * PAGE + number
            yield Cursor(page + 1)

    def identify(self, record: int) -> str:
        return str(record)

    def parse(self, record: int) -> Document:
        raise AssertionError


class All:
    def __contains__(self, doc_id: object) -> bool:
        return True


@pytest.mark.parametrize("max_wait_seconds", [1, 5])
def test_records_that_are_only_passed_over_get_their_checkpoint_committed(
    max_wait_seconds: float,
) -> None:
    sink, commits = Table(), []
    cursors: list[Any] = []

    def note(report: Any) -> None:
        commits.append(trio.current_time())
        cursors.append(report.checkpoint.positions[0].cursor)

    async def main() -> None:
        pipeline = IngestionPipeline(Pages(), clock=trio.current_time)
        stream = pipeline.stream_events(
            completed_ids=All(), resume_from=await resume_point(sink)
        )
        began = trio.current_time()
        with trio.move_on_after(25):
            await deliver(stream, sink, max_wait_seconds=max_wait_seconds, on_commit=note)
        commits[:] = [when - began for when in commits]

    run(main)
    # A progress event comes about once a second; the clock is looked at then.
    gaps = [after - before for before, after in pairwise([0, *commits])]
    assert max(gaps) <= max_wait_seconds + 2.5
    assert min(gaps[1:]) >= max_wait_seconds
    assert 25 - commits[-1] <= max_wait_seconds + 2.5
    # The cursor of some pages ago is in it.
    for when, cursor in zip(commits, cursors, strict=True):
        assert when * 10 - 25 <= cursor <= when * 10
    assert sink.delivered.checkpoint.positions[0].cursor == cursors[-1]
    assert sink.rows == []
