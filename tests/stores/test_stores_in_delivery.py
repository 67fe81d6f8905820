"""A list of documents and a store behind it, killed and resumed, lose nothing.

As a program it runs the job once, in the current directory, from wherever its store says.
"""

import sqlite3
import sys
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import pytest
import trio

from trio_ingest import CheckpointError, Document, IngestionPipeline
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkState, deliver, resume_point
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore, SqliteLedger
from trio_ingest.testing import crash_everywhere

COUNT = 23
STORES: dict[str, Callable[[Path], Any]] = {
    "file": FileCheckpointStore,
    "sqlite": SqliteCheckpointStore,
    "ledger": SqliteLedger,
}
KINDS = pytest.mark.parametrize("kind", STORES)


class Feed:
    """Records of which some fail, some come again, and one comes again and fails."""

    source = "feed"
    stable_order = True

    async def fetch(self) -> AsyncIterator[int]:
        for number in range(COUNT):
            await anyio.lowlevel.checkpoint()
            yield number

    def identify(self, record: int) -> str:
        return str(record - 1 if record in {6, 12, 13} else record)

    def parse(self, record: int) -> Document:
        if record % 6 == 0:
            raise ValueError(f"{record} is bad")
        return Document(self.identify(record), self.source, f"line {record}")


EXPECTED = sorted(f"line {number}" for number in range(COUNT) if number % 6)


class Lines:
    """A sink that keeps no checkpoint: a line for each document, in a list or in a file."""

    name = "lines"
    guarantee: Guarantee = "at-least-once"

    def __init__(self, path: Path | None = None) -> None:
        self.lines: list[str] = []
        self.path = path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        await anyio.lowlevel.checkpoint()
        new = [document.content for document in batch.documents]
        self.lines += new
        if self.path is not None:
            with self.path.open("a") as file:
                file.writelines(f"{line}\n" for line in new)
        return ()


class Killed(Exception):
    pass


class Dying:
    """A store that a power cut meets before or after one of its writes."""

    def __init__(self, store: Any, before: int, after: int) -> None:
        self._store = store
        self._left = [before, after]
        self.name, self.guarantee = store.name, store.guarantee
        self.load, self.forget = store.load, store.forget

    async def __aenter__(self) -> Self:
        await self._store.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        with anyio.CancelScope(shield=True):
            await self._store.__aexit__(*error)

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        self._step(0)
        rejections: Sequence[Rejection] = await self._store.write(batch)
        self._step(1)
        return rejections

    def _step(self, side: int) -> None:
        if self._left[side] == 0:
            raise Killed
        self._left[side] -= 1


async def run(lines: Lines, store: Any, batch_size: int) -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(lines)
        await stack.enter_async_context(store)
        point = await resume_point(lines, store)
        # No progress event but the last: batches end by their size alone.
        stream = IngestionPipeline(Feed()).stream_events(resume_from=point)
        await deliver(stream, lines, store, batch_size=batch_size, max_wait_seconds=3600)


def rows_of(path: Path) -> list[Any]:
    """All that a ledger says, but for times."""
    with closing(sqlite3.connect(path)) as connection:
        columns = "doc_id, source, state, attempts, error_type, error"
        return connection.execute(f"SELECT {columns} FROM ledger ORDER BY doc_id").fetchall()


@KINDS
@pytest.mark.parametrize("side", [0, 1], ids=["before", "after"])
def test_killed_at_every_batch_nothing_is_lost(tmp_path: Path, kind: str, side: int) -> None:
    path = tmp_path / "kept"
    lines, runs = Lines(), 0
    while True:
        # Every run dies at its second batch.
        at = [99, 99]
        at[side] = 1
        runs += 1
        try:
            trio.run(run, lines, Dying(STORES[kind](path), *at), 5)
            break
        except Killed:
            assert runs < 30
    assert runs >= 3
    assert set(lines.lines) == set(EXPECTED)
    if side == 1:
        # The store had what the list had, each time.
        assert sorted(lines.lines) == EXPECTED
    if kind == "ledger":
        trio.run(run, Lines(), SqliteLedger(tmp_path / "quiet"), 5)
        assert rows_of(path) == rows_of(tmp_path / "quiet")


@KINDS
async def test_a_job_that_has_ended_can_be_begun_again(tmp_path: Path, kind: str) -> None:
    store, lines = STORES[kind](tmp_path / "kept"), Lines()
    await run(lines, store, 5)
    await run(lines, STORES[kind](tmp_path / "kept"), 5)
    assert sorted(lines.lines) == EXPECTED
    async with store:
        with pytest.raises(CheckpointError, match=r"call `await sink\.forget\(\)` first"):
            await deliver(IngestionPipeline(Feed()).stream_events(), lines, store)
        await store.forget()
    await run(lines, STORES[kind](tmp_path / "kept"), 5)
    assert sorted(lines.lines) == sorted(EXPECTED * 2)


async def test_a_ledger_ends_with_the_truth_about_every_record(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    async with SqliteLedger(path) as ledger:
        await deliver(IngestionPipeline(Feed()).stream_events(), ledger, batch_size=7)
        found = {entry.doc_id: entry async for entry in ledger.entries()}
        delivered = await ledger.load()
        assert ledger.refused == 2
    failed = {doc_id for doc_id, entry in found.items() if entry.state == "failed"}
    # 6 and 12 failed under the names 5 and 11, which were completed before.
    assert failed == {"0", "18"}
    assert found.keys() == {str(n) for n in range(COUNT)} - {"6", "13"}
    assert found["12"].attempts == 1
    assert found["0"].error == "0 is bad"
    assert isinstance(delivered, SinkState)
    assert delivered.totals.failed == 4
    assert delivered.totals.completed == COUNT - 4


async def test_what_a_sink_did_not_take_has_failed_and_comes_again(tmp_path: Path) -> None:
    class Picky(Lines):
        async def write(self, batch: Batch) -> Sequence[Rejection]:
            await super().write(batch)
            return [Rejection(d, "It is odd.") for d in batch.documents if d.doc_id == "7"]

    async with SqliteLedger(tmp_path / "kept") as ledger:
        await deliver(IngestionPipeline(Feed()).stream_events(), Picky(), ledger)
        entry = await ledger.entry("7")
        assert entry is not None
        assert (entry.state, entry.error_type, entry.error) == (
            "failed",
            "Rejected",
            "It is odd.",
        )
        assert entry.duration_seconds is None
        await ledger.forget()
        again = Lines()
        events = IngestionPipeline(Feed()).stream_events(completed_ids=ledger)
        await deliver(events, again, ledger)
        assert again.lines == ["line 7"]
        assert "7" in ledger


@KINDS
@pytest.mark.slow
def test_killed_at_every_single_step_nothing_is_lost(kind: str) -> None:
    def contents(folder: Path) -> Iterable[Hashable]:
        rows = rows_of(folder / "kept") if kind == "ledger" else []
        return [*(folder / "lines").read_text("utf-8").splitlines(), *rows]

    program = [sys.executable, "-m", "tests.stores.test_stores_in_delivery", kind]
    # The lines themselves are not synced, so what is counted is the store's; and nobody
    # needs to know after a crash whose the lock was.
    report = crash_everywhere(
        program,
        contents,
        guarantee="at-least-once",
        least_fsyncs=4,
        may_be_unsynced=["lines", "*.lock"],
    )
    assert report.crashes == report.points > 30


def main() -> None:
    store = STORES[sys.argv[1]](Path("kept"))
    trio.run(run, Lines(Path("lines")), store, 10)


if __name__ == "__main__":
    main()
