"""An exception that defies being looked at is one failed document, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from trio_ingest import Document, IngestionPipeline

pytestmark = pytest.mark.filterwarnings("ignore:run_async_legacy is deprecated")


class HidesItsNotes(Exception):
    @property
    def __notes__(self) -> Any:
        raise RuntimeError("notes")


class KeepsItsTraceback(Exception):
    def with_traceback(self, tb: Any) -> Any:
        raise RuntimeError("no")


class HidesItsCause(Exception):
    @property
    def __cause__(self) -> Any:
        raise RuntimeError("cause")


class IsNeitherTrueNorFalse(Exception):
    def __bool__(self) -> bool:
        raise RuntimeError("bool")


class HidesItsText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("text")


KINDS = [HidesItsNotes, KeepsItsTraceback, HidesItsCause, IsNeitherTrueNorFalse, HidesItsText]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["run_async", "run_async_legacy"])
def test_it_is_one_failed_document(kind: type[Exception], call: str) -> None:
    class Feed:
        source = "feed"

        async def fetch(self) -> AsyncIterator[int]:
            yield 1
            yield 2

        def parse(self, record: int) -> Document:
            if record == 1:
                raise kind
            return Document("a", "feed", "")

    result = trio.run(getattr(IngestionPipeline(Feed()), call))
    assert (result.success_count, result.failure_count) == (1, 1)
    assert kind.__name__ in result.errors[0].error_type
