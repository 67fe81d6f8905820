"""A delivery into the sinks and stores that ship: real files, crashes between two of them.

As a program, ``python -m tests.delivery.test_shipped_sinks FOLDER``, it kills runs of the
JSON Lines sink whose dead letters were moved away; of its own, because forking wants a
process without threads.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.jsonl.test_crashes import in_a_fork
from trio_ingest import Document, IngestionPipeline
from trio_ingest.delivery import Batch, DeliveryReport, SinkError, deliver, resume_point
from trio_ingest.sinks import JsonLinesSink, SqliteSink
from trio_ingest.stores import SqliteCheckpointStore, SqliteLedger
from trio_ingest.testing import Fail, ScriptedAdapter

ROOT = Path(__file__).parents[2]


class Killed(BaseException):
    pass


class Feed:
    """Documents ``n0``, ``n1``…, some of which are made of what it is given."""

    source = "feed"
    stable_order = True

    def __init__(self, count: int, odd: Mapping[int, Document] | None = None) -> None:
        self.count = count
        self.odd = {} if odd is None else odd

    async def fetch(self) -> AsyncIterator[int]:
        for number in range(self.count):
            yield number

    def parse(self, record: int) -> Document:
        return self.odd.get(record, Document(f"n{record}", self.source, "text"))


def half(number: int) -> Document:
    """One that no database takes: half of a surrogate pair."""
    return Document(f"n{number}", "feed", "\ud800")


async def go_on(feed: Feed, *sinks: Any, **options: Any) -> DeliveryReport:
    point = await resume_point(*sinks)
    stream = IngestionPipeline(feed).stream_events(resume_from=point, progress_interval=1000)
    return await deliver(stream, *sinks, max_wait_seconds=3600, **options)


def dies_at(sink: Any, at: int) -> None:
    """Let the process be killed before the commit of one write."""
    write, left = sink.write, [at]

    async def dying(batch: Batch) -> Any:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        return await write(batch)

    sink.write = dying


def ids_in(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT doc_id FROM documents ORDER BY rowid")
        return [doc_id for (doc_id,) in found]


# -- what a sink rejected before a crash is heard behind it --------------------------------

# Of each life that is killed: the size of its batches, and the write of the ledger at which
# that happens. The sink in front is ahead of it by one batch then, or by more.
LIVES: dict[str, list[tuple[int, int]]] = {
    "once": [(4, 0)],
    "at the second batch": [(2, 1)],
    "twice at one place": [(4, 0), (4, 0)],
    "further ahead": [(4, 0), (8, 0)],
    "ahead by ever more": [(4, 0), (5, 0), (7, 0), (9, 0)],
    "ahead by nothing rejected": [(4, 0), (6, 0)],
    "in smaller batches": [(8, 0), (2, 0), (2, 1), (3, 1)],
}


@pytest.mark.one_in(3)
@pytest.mark.parametrize("lives", LIVES.values(), ids=list(LIVES))
@pytest.mark.parametrize("last", [1, 3, 1000])
@pytest.mark.parametrize("same_file", [False, True], ids=["two files", "one file"])
async def test_rejection_is_heard_behind_the_sink_after_crashes_between_two_commits(
    tmp_path: Path, lives: list[tuple[int, int]], last: int, same_file: bool
) -> None:
    feed = Feed(10, {number: half(number) for number in (3, 7)})
    main, kept = tmp_path / "a.db", tmp_path / ("a.db" if same_file else "l.db")
    for batch_size, at in lives:
        async with SqliteSink(main) as sink, SqliteLedger(kept) as ledger:
            dies_at(ledger, at)
            with pytest.raises(Killed):
                await go_on(feed, sink, ledger, batch_size=batch_size)
            assert "n3" not in ledger
    async with SqliteSink(main) as sink, SqliteLedger(kept) as ledger:
        report = await go_on(feed, sink, ledger, batch_size=last)
        for doc_id in ("n3", "n7"):
            assert doc_id not in ledger
            entry = await ledger.entry(doc_id)
            assert entry is not None
            assert (entry.state, entry.error_type, entry.attempts) == ("failed", "Rejected", 1)
        assert await ledger.counts() == {"completed": 8, "failed": 2, "skipped": 0}
        assert {totals.rejected for totals in report.totals.values()} == {2}
        assert {totals.completed for totals in report.totals.values()} == {10}
    # Each once, in the order of the feed.
    assert ids_in(main) == [f"n{number}" for number in range(10) if number not in {3, 7}]
    with closing(sqlite3.connect(main)) as connection:
        letters = connection.execute("SELECT doc_id FROM trio_ingest_dead_letters")
        assert letters.fetchall() == [("n3",), ("n7",)]


async def test_one_document_for_several_records_is_rejected_as_often(tmp_path: Path) -> None:
    same = half(3)
    async with (
        SqliteSink(tmp_path / "a.db") as sink,
        SqliteLedger(tmp_path / "b.db") as ledger,
    ):
        report = await go_on(Feed(6, dict.fromkeys((1, 3, 4), same)), sink, ledger)
        assert {totals.rejected for totals in report.totals.values()} == {3}
        entry = await ledger.entry("n3")
        assert entry is not None
        assert (entry.state, entry.attempts) == ("failed", 3)


# -- a database that is taken away ---------------------------------------------------------


def delete(path: Path) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()


def replace(path: Path) -> None:
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    copy.replace(path)


def rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


@pytest.mark.parametrize("take_away", [delete, replace, rename])
@pytest.mark.parametrize("kind", [SqliteSink, SqliteLedger, SqliteCheckpointStore])
async def test_database_that_was_taken_away_during_the_run_is_an_error_and_no_success(
    tmp_path: Path, kind: Any, take_away: Callable[[Path], object]
) -> None:
    path, reports = tmp_path / "a.db", []

    def note(report: DeliveryReport) -> None:
        reports.append(report)
        if len(reports) == 2:
            take_away(path)

    async with kind(path) as sink:
        with pytest.raises(SinkError) as caught:
            await go_on(Feed(10), sink, batch_size=2, on_commit=note)
        said = str(caught.value)
        assert "a.db was deleted or replaced while it was in use" in said
        assert said.endswith("begin the job again if the file is gone.")
        with pytest.raises(SinkError, match="deleted or replaced"):
            await sink.load()
    assert len(reports) == 2


# -- dead letters that were moved away -----------------------------------------------------

SCRIPT = [Fail() if number in {1, 4, 7} else number for number in range(9)]


class Stop(Exception):
    pass


async def job(path: Path, *, stop: bool = False) -> None:
    def note(report: DeliveryReport) -> None:
        if stop:
            raise Stop

    async with JsonLinesSink(path / "out") as sink:
        pipeline = IngestionPipeline(ScriptedAdapter(SCRIPT))
        stream = pipeline.stream_events(resume_from=await resume_point(sink))
        await deliver(stream, sink, batch_size=3, max_wait_seconds=3600, on_commit=note)


async def first_batch(path: Path) -> None:
    try:
        await job(path, stop=True)
    except Stop:
        (path / "out.failed").rename(path / "handled")


def files_of(path: Path) -> tuple[bytes, list[int]]:
    letters = (path / "handled").read_bytes() + (path / "out.failed").read_bytes()
    numbers = [json.loads(line)["record_number"] for line in letters.splitlines()]
    return (path / "out").read_bytes(), numbers


def main(folder: Path, every: int) -> dict[str, Any]:
    """Kill the second life at each or some of its steps; sometimes the third as well."""
    begun, quiet = folder / "begun", folder / "quiet"
    begun.mkdir()
    assert in_a_fork(first_batch, begun) is not None
    shutil.copytree(begun, quiet)
    steps = in_a_fork(job, quiet)
    assert steps is not None
    expected, wrong = files_of(quiet), []
    for fatal in range(0, steps, every):
        path = folder / f"crash{fatal}"
        shutil.copytree(begun, path)
        assert in_a_fork(job, path, fatal) is None
        if fatal % 4 == 0:
            in_a_fork(job, path, fatal % 11)
        try:
            in_a_fork(job, path)
            if files_of(path) != expected:
                wrong.append(f"{fatal}: {files_of(path)[1]}")
        except AssertionError as error:
            wrong.append(f"{fatal}: {error}")
    return {
        "steps": steps,
        "wrong": wrong,
        "letters": expected[1],
        "text": expected[0].decode(),
    }


@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_dead_letters_moved_away_and_a_kill_at_any_step_of_the_next_life_cost_nothing(
    tmp_path: Path, every: int
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.delivery.test_shipped_sinks", str(tmp_path), str(every)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    found = json.loads(ended.stdout)
    assert found["wrong"] == []
    assert found["letters"] == [1, 4, 7]
    ids = [json.loads(line)["doc_id"] for line in found["text"].splitlines()]
    assert ids == ["0", "2", "3", "5", "6", "8"]
    # Two commits, and the side file once more before them.
    assert found["steps"] > 30


# -- too little memory is no fault of a document -------------------------------------------


class Huge(Mapping[str, Any]):
    """A mapping for which there is no memory."""

    def __getitem__(self, key: str) -> Any:
        raise MemoryError

    def __iter__(self) -> Iterator[str]:
        raise MemoryError

    def __len__(self) -> int:
        return 1


HUGE: dict[str, Any] = {
    "metadata": {"metadata": Huge()},
    "inside of metadata": {"metadata": {"a": [Huge()]}},
    "raw": {"raw": Huge()},
    "inside of raw": {"raw": {"a": [Huge()]}},
}


@pytest.mark.parametrize("fields", HUGE.values(), ids=list(HUGE))
@pytest.mark.parametrize("kind", [SqliteSink, JsonLinesSink])
async def test_memory_error_in_making_a_row_is_raised_and_rejects_nothing(
    tmp_path: Path, kind: Any, fields: dict[str, Any]
) -> None:
    told: list[Any] = []
    odd = {4: Document("n4", "feed", "text", **fields)}
    async with kind(tmp_path / "out") as sink:
        with pytest.raises(MemoryError):
            await go_on(
                Feed(6, odd),
                sink,
                batch_size=3,
                on_rejection=lambda *told_: told.append(told_),
            )
        kept = await sink.load()
        assert kept.totals.completed == 3
        # With more memory it goes on as if nothing had been.
        report = await go_on(Feed(6), sink, batch_size=3)
        [totals] = report.totals.values()
        assert (totals.completed, totals.rejected) == (6, 0)
    assert told == []


# -- everything in one file ----------------------------------------------------------------


@pytest.mark.parametrize("fails", ["nobody", 1, 2])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=repr)
async def test_sink_ledger_and_store_in_one_file_work_together_and_resume(
    tmp_path: Path, order: Sequence[int], fails: Any
) -> None:
    path = tmp_path / "all.db"
    count = 10

    async def life(feed: Feed, at: int | None) -> DeliveryReport:
        parts: list[Any] = [SqliteSink(path), SqliteLedger(path), SqliteCheckpointStore(path)]
        async with AsyncExitStack() as stack:
            for place in order:
                await stack.enter_async_context(parts[place])
            if at is not None:
                dies_at(parts[at], 1)
            report = await go_on(feed, *parts, batch_size=3)
            assert await parts[1].counts() == {
                "completed": feed.count,
                "failed": 0,
                "skipped": 0,
            }
            for part in parts:
                kept = await part.load()
                assert kept.checkpoint == report.checkpoint
                assert kept.totals.completed == feed.count
            return report

    if fails != "nobody":
        with pytest.raises(Killed):
            await life(Feed(count), fails)
    report = await life(Feed(count), None)
    assert len(report.totals) == 3
    # A job that has come to its end and is resumed does nothing.
    assert (await life(Feed(count), None)).totals == report.totals
    assert ids_in(path) == [f"n{number}" for number in range(count)]


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]))))
