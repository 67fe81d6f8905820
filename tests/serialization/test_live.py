"""The events of a run, failed ones among them, equal what becomes of them elsewhere."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import AsyncIterator
from typing import Any

import trio

from tests.serialization.values import CODECS
from trio_ingest import Document, DocumentFailed, IngestionPipeline, PipelineEvent, RetryPolicy
from trio_ingest._core.events import ENGINE_EVENTS


class Held:
    """Something that the frames of a failed parse hold."""


class Feed:
    source = "feed"

    def __init__(self) -> None:
        self.held: list[weakref.ref[Held]] = []

    async def fetch(self) -> AsyncIterator[dict[str, Any]]:
        for number in range(4):
            yield {"id": str(number), "tags": ["a", None, 1.5, {"deep": [True]}]}

    def identify(self, record: dict[str, Any]) -> str:
        return str(record["id"])

    def is_retryable(self, error: Exception) -> bool:
        return isinstance(error, ConnectionError)

    def parse(self, record: dict[str, Any]) -> Document:
        held = Held()
        self.held.append(weakref.ref(held))
        try:
            if record["id"] == "1":
                raise ConnectionError("no answer\nat all")
            if record["id"] == "2":
                raise KeyError("text")
        except OSError as error:
            raise ConnectionResetError("gone") from error
        return Document(record["id"], self.source, "text", record, {"n": 1})


class Skipping(Feed):
    """Ids that are known only after the parse."""

    source = "skipping"
    identify: Any = None


def recorded(*adapters: Any) -> list[PipelineEvent]:
    async def main() -> list[PipelineEvent]:
        pipeline = IngestionPipeline(*adapters, retry=RetryPolicy(attempts=2, base_seconds=0))
        async with pipeline.stream_events(completed_ids={"0"}) as events:
            return [event async for event in events]

    return trio.run(main)


def test_every_live_event_equals_itself_after_pickle_deepcopy_and_json() -> None:
    found = recorded(Feed(), Skipping())
    assert {type(event) for event in found} == set(ENGINE_EVENTS)
    for event in found:
        assert pickle.loads(pickle.dumps(event)) == event
        assert copy.deepcopy(event) == event
        for codec in CODECS.values():
            assert codec.decode(codec.encode(event)) == event


def test_a_failed_event_keeps_nothing_that_its_parse_held() -> None:
    feed = Feed()
    found = recorded(feed)
    gc.collect()
    assert sum(isinstance(event, DocumentFailed) for event in found) == 2
    assert [ref() for ref in feed.held if ref() is not None] == []
