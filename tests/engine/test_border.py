"""What adapters and consumers hold is never the engine's own, and ids are plain strings."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio

from tests.worlds import WORLDS, call_of, in_world, run
from trio_ingest import (
    Checkpoint,
    CheckpointError,
    Cursor,
    Document,
    DocumentCompleted,
    DocumentStarted,
    IngestionPipeline,
    Position,
    SetupError,
)

EVERYWHERE = pytest.mark.parametrize("name", WORLDS)


class Pages:
    """Counts on in the very object that the engine has, wherever it gets hold of one."""

    source = "pages"

    async def fetch(self, *, filters: Any = None, cursor: Any = None) -> AsyncIterator[Any]:
        page = {"next": 0} if cursor is None else cursor
        if filters is not None:
            filters["seen"].append(page["next"])
        while page["next"] < 20:
            number = page["next"]
            page["next"] += 1
            yield [f"{number}.0"]
            yield [f"{number}.1"]
            yield Cursor(page)

    def estimate_total(self, *, filters: Any = None, **_: Any) -> int:
        if filters is not None:
            filters["seen"].append("estimated")
        return 40

    def parse(self, record: list[str]) -> Document:
        return Document(record[0], self.source, "", None, {"record": record})


@pytest.mark.one_in(5)
@EVERYWHERE
@pytest.mark.parametrize("stop", range(1, 40, 3))
def test_an_adapter_that_changes_its_cursor_loses_and_doubles_nothing(
    name: str, stop: int
) -> None:
    async def main() -> list[str]:
        found: list[str] = []
        pipeline, point = IngestionPipeline(Pages()), None
        for most in (stop, 1, 100):
            stream = call_of(pipeline, "stream_events")(resume_from=point)
            async with stream as events:
                taken = 0
                async for event in events:
                    if isinstance(event, DocumentCompleted):
                        if taken == most:
                            break
                        taken += 1
                        found.append(event.document.doc_id)
                point = stream.checkpoint()
            for position in point.positions:
                assert position.watermark <= len(found)
        return found

    with in_world(name):
        found = run(main)
    assert len(set(found)) == 40
    # Its order is not declared, so what follows the newest cursor comes again.
    assert len(found) <= 40 + 2 * 2


@EVERYWHERE
def test_params_and_events_cannot_be_changed_from_outside(name: str) -> None:
    params = [{"filters": {"seen": []}}, {"filters": {"seen": [0]}}]

    async def main() -> list[Any]:
        pipeline = IngestionPipeline(Pages())
        stream = call_of(pipeline, "stream_events")(params=params)
        seen: list[Any] = []
        async with stream as events:
            async for event in events:
                if isinstance(event, DocumentStarted):
                    seen.append([*event.parameters["filters"]["seen"]])
                    event.parameters["filters"]["seen"][:] = []
            keys = {position.parameters for position in stream.checkpoint().positions}
        assert keys == {'{"filters":{"seen":[]}}', '{"filters":{"seen":[0]}}'}
        again = call_of(pipeline, "stream_events")(params=params)
        async with again as events:
            started = [event async for event in events if isinstance(event, DocumentStarted)]
        return seen + [event.parameters["filters"]["seen"] for event in started]

    with in_world(name):
        seen = run(main)
    assert "estimated" not in [part for parts in seen for part in parts]
    assert params == [{"filters": {"seen": []}}, {"filters": {"seen": [0]}}]


def test_a_checkpoint_that_is_changed_afterwards_changes_no_run() -> None:
    async def main() -> None:
        pipeline = IngestionPipeline(Pages())
        async with pipeline.stream_events() as events:
            count = 0
            async for event in events:
                count += isinstance(event, DocumentCompleted)
                if count == 9:
                    break
            events.checkpoint().positions[0].cursor["next"] = 19
            assert events.checkpoint().positions[0].cursor == {"next": 4}
            point = events.checkpoint()
        stream = pipeline.stream_events(resume_from=point)
        point.positions[0].cursor["next"] = 19
        async with stream as events:
            rest = [e async for e in events if isinstance(e, DocumentCompleted)]
        assert rest[0].document.doc_id == "4.0"

    trio.run(main)


@EVERYWHERE
def test_a_cursor_of_none_is_refused_with_what_to_do(name: str) -> None:
    class LastPage(Pages):
        async def fetch(self, *, cursor: Any = None) -> AsyncIterator[Any]:
            yield ["0"]
            yield Cursor(None)

    async def main() -> None:
        async with call_of(IngestionPipeline(LastPage()), "stream_events")() as events:
            async for _ in events:
                pass

    with (
        in_world(name),
        pytest.raises(SetupError, match=r"Cursor\(None\).*yield no cursor there"),
    ):
        run(main)


def test_a_checkpoint_with_such_a_cursor_is_refused() -> None:
    point = Checkpoint((Position("pages", "{}", 15, cursor=None, cursor_record=15),))
    with pytest.raises(CheckpointError, match=r"is None.*records would come twice"):
        IngestionPipeline(Pages()).stream_events(resume_from=point)


class Colour(str, enum.Enum):  # noqa: UP042 -- its text is not its value
    RED = "red"


class Unspeakable(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("no text")


class Strange:
    source = "strange"

    async def fetch(self) -> AsyncIterator[str]:
        yield Colour.RED
        yield Unspeakable("blue")

    def parse(self, record: str) -> Document:
        return Document(record, self.source, "")


class StrangeIdentified(Strange):
    def identify(self, record: str) -> str:
        return record


@EVERYWHERE
@pytest.mark.parametrize(
    "adapter", [Strange(), StrangeIdentified()], ids=["parse", "identify"]
)
def test_an_id_is_a_plain_string_the_same_everywhere(name: str, adapter: Any) -> None:
    async def main() -> list[Any]:
        pipeline = IngestionPipeline(adapter)
        async with call_of(pipeline, "stream_events")() as events:
            return [event async for event in events]

    with in_world(name):
        events = run(main)
    ids = [event.document.doc_id for event in events if isinstance(event, DocumentCompleted)]
    assert [(value, type(value)) for value in ids] == [("red", str), ("blue", str)]
    if hasattr(adapter, "identify"):
        started = [event.doc_id for event in events if isinstance(event, DocumentStarted)]
        assert [(value, type(value)) for value in started] == [("red", str), ("blue", str)]


@pytest.mark.filterwarnings("ignore:run_async_legacy is deprecated")
def test_the_old_loop_gives_plain_strings_too() -> None:
    result = trio.run(IngestionPipeline(Strange()).run_async_legacy)
    assert [type(document.doc_id) for document in result.documents] == [str, str]
