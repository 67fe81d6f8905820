"""What a ledger keeps of each document, and which moves it refuses."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from itertools import product
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest

from tests.sinks.batches import TIMESTAMP, batch_of, checkpoint_at, document, failure
from trio_ingest import DocumentCompleted, DocumentFailed, DocumentSkipped
from trio_ingest._core.errors import message_of
from trio_ingest.delivery import Batch, ResumableSink, SinkState, Totals
from trio_ingest.stores import LedgerEntry, LedgerError, LedgerState, SqliteLedger
from trio_ingest.stores.ledger._transitions import LEGAL, STATES

PAIRS = list(product((None, *STATES), STATES))


def completed(doc_id: str, sequence: int = 0, **fields: Any) -> DocumentCompleted:
    [event] = batch_of([document(doc_id)]).completed
    return attrs.evolve(event, sequence=sequence, **fields)


def failed(doc_id: str | None, sequence: int = 0, **fields: Any) -> DocumentFailed:
    return attrs.evolve(failure(doc_id=doc_id), sequence=sequence, **fields)


def skipped(doc_id: str, sequence: int = 0) -> DocumentSkipped:
    return DocumentSkipped(
        timestamp=TIMESTAMP,
        sequence=sequence,
        doc_id=doc_id,
        adapter="feed",
        record_number=0,
        reason="already completed",
    )


def batch(*events: Any) -> Batch:
    """The events as one batch, in the lists in which a delivery has them."""
    of: dict[type, list[Any]] = {
        DocumentCompleted: [],
        DocumentFailed: [],
        DocumentSkipped: [],
    }
    for event in events:
        of[type(event)].append(event)
    lists = [of[DocumentCompleted], of[DocumentFailed], of[DocumentSkipped]]
    return Batch(
        checkpoint=checkpoint_at(1), completed=lists[0], failed=lists[1], skipped=lists[2]
    )


EVENT_OF: dict[str, Callable[[str, int], Any]] = {
    "completed": completed,
    "failed": failed,
    "skipped": skipped,
}


async def state_of(ledger: SqliteLedger, doc_id: str) -> LedgerState | None:
    entry = await ledger.entry(doc_id)
    return None if entry is None else entry.state


async def test_every_end_is_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        assert (
            await ledger.write(
                batch(
                    completed("a", duration=0.25, retry_count=2),
                    failed("b", error="no title", retry_count=1),
                    skipped("c"),
                )
            )
            == ()
        )
    async with SqliteLedger(path) as ledger:
        found = [entry async for entry in ledger.entries()]
        assert await ledger.entry("d") is None
        assert await ledger.counts() == {"completed": 1, "failed": 1, "skipped": 1}
    assert all(isinstance(entry, LedgerEntry) for entry in found)
    assert [attrs.astuple(entry) for entry in found] == [
        ("a", "feed", "completed", 3, None, None, 0.25, TIMESTAMP),
        ("b", "feed", "failed", 2, "ValueError", "no title", None, TIMESTAMP),
        ("c", "feed", "skipped", 1, None, None, None, TIMESTAMP),
    ]


async def test_a_record_that_nobody_could_name_is_kept_as_it_was_started(
    tmp_path: Path,
) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch(failed(None, record_number=17)))
        assert await state_of(ledger, "feed#17") == "failed"


@pytest.mark.parametrize(("old", "new"), PAIRS)
async def test_by_hand_exactly_the_legal_moves_are_made(
    tmp_path: Path, old: LedgerState | None, new: LedgerState
) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        if old is not None:
            await ledger.record("a", old)
        if (old, new) in LEGAL:
            await ledger.record("a", new)
            assert await state_of(ledger, "a") == new
        else:
            with pytest.raises(LedgerError, match="'a' is completed, and a ledger does not"):
                await ledger.record("a", new)
            assert await state_of(ledger, "a") == old


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize(("old", "new"), PAIRS)
async def test_from_a_stream_exactly_the_legal_moves_are_made(
    tmp_path: Path, old: LedgerState | None, new: LedgerState, together: bool
) -> None:
    events = (
        [EVENT_OF[new]("a", 2)]
        if old is None
        else [EVENT_OF[old]("a", 1), EVENT_OF[new]("a", 2)]
    )
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        if together:
            await ledger.write(batch(*events))
        else:
            for event in events:
                await ledger.write(batch(event))
        entry = await ledger.entry("a")
        assert entry is not None
        is_legal = (old, new) in LEGAL
        assert entry.state == (new if is_legal else old)
        # What is refused leaves no trace in the entry.
        assert entry.attempts == (len(events) if is_legal else 1)
        assert ledger.refused == int((old, new) == ("completed", "failed"))


def test_completed_is_final_and_nothing_else_is() -> None:
    illegal = set(PAIRS) - LEGAL
    assert illegal == {("completed", "failed"), ("completed", "skipped")}


async def test_a_batch_is_taken_in_the_order_of_the_stream(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch(skipped("a", 1), failed("a", 2)))
        await ledger.write(batch(failed("b", 3), skipped("b", 4)))
        await ledger.write(batch(failed("c", 5), completed("c", 6)))
        await ledger.write(batch(completed("d", 7), failed("d", 8), failed("d", 9)))
        states = [entry.state async for entry in ledger.entries()]
        assert states == ["failed", "skipped", "completed", "completed"]
        assert ledger.refused == 2


async def test_attempts_are_counted_over_all_runs(tmp_path: Path) -> None:
    for number in range(3):
        async with SqliteLedger(tmp_path / "ledger.db") as ledger:
            await ledger.write(batch(failed("a", retry_count=number)))
            await ledger.record("a", "failed", attempts=10)
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        entry = await ledger.entry("a")
    assert entry is not None
    assert entry.attempts == 1 + 2 + 3 + 30


async def test_an_error_is_gone_when_the_document_is_completed(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch(failed("a")))
        await ledger.write(batch(completed("a")))
        entry = await ledger.entry("a")
    assert entry is not None
    assert (entry.error_type, entry.error, entry.attempts) == (None, None, 2)


async def test_a_reopened_document_may_come_to_any_state(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.record("a", "completed")
        assert await ledger.reopen("a")
        assert "a" not in ledger
        assert not await ledger.reopen("a")
        await ledger.record("a", "failed", error_type="OSError", error="gone", updated_at=1.0)
        entry = await ledger.entry("a")
    assert entry is not None
    assert (entry.error, entry.updated_at, entry.attempts) == ("gone", 1.0, 1)


async def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    unknown: Any = "done"
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        with pytest.raises(LedgerError, match="'done' is no state"):
            await ledger.record("a", unknown)
        with pytest.raises(LedgerError, match="'done' is no state"):
            ledger.entries(state=unknown)
        assert await ledger.counts() == dict.fromkeys(STATES, 0)


@pytest.mark.parametrize("doc_id", ["", "größe", "\ud800", "nul\0inside", "x" * 10_000])
async def test_any_string_is_an_id(tmp_path: Path, doc_id: str) -> None:
    other = doc_id.encode(errors="backslashreplace").decode() + "?"
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        assert doc_id not in ledger
        await ledger.write(batch(completed(doc_id), failed(other)))
        assert doc_id in ledger
        assert other not in ledger
        entries = {entry.doc_id: entry.state async for entry in ledger.entries()}
        assert entries == {doc_id: "completed", other: "failed"}
        assert await state_of(ledger, doc_id) == "completed"
        assert await ledger.reopen(doc_id)
        assert doc_id not in ledger


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text today")


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (ValueError("half \ud800"), "half \\ud800"),
        (ValueError("x" * 9000), "x" * 2000),
        (Mute(), "its text failed with RuntimeError"),
    ],
)
async def test_any_error_can_be_kept(tmp_path: Path, error: Exception, kept: str) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch(failed("a", error=message_of(error))))
        entry = await ledger.entry("a")
    assert entry is not None
    assert entry.error == kept


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 1001, 2500])
async def test_entries_come_in_order_and_a_page_at_a_time(tmp_path: Path, count: int) -> None:
    ids = [f"{number:05}" for number in range(count)]
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch(*(completed(i) for i in ids), failed("z"), skipped("!")))
        entries = ledger.entries(state="completed")
        found = []
        async for entry in entries:
            found.append(entry.doc_id)
            assert len(entries._page) < 1000
        assert found == ids
        assert [entry.doc_id async for entry in ledger.entries()] == ["!", *ids, "z"]
        assert [entry.doc_id async for entry in ledger.entries(state="failed")] == ["z"]


async def test_entries_may_change_while_they_are_read(tmp_path: Path) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.write(batch(*(failed(f"{number:05}") for number in range(2500))))
        async for entry in ledger.entries(state="failed"):
            if entry.doc_id.endswith("00"):
                await ledger.record(entry.doc_id, "completed")
        assert await ledger.counts() == {"completed": 25, "failed": 2475, "skipped": 0}


async def test_it_keeps_the_checkpoint_with_the_states(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = batch_of([document("a")], failed=[failure(1, doc_id="b")])
    async with SqliteLedger(path) as ledger:
        assert isinstance(ledger, ResumableSink)
        assert ledger.guarantee == "exactly-once"
        assert ledger.name == f"ledger:{path}"
        assert await ledger.load() is None
        await ledger.write(first)
    async with SqliteLedger(path) as ledger:
        assert await ledger.load() == SinkState(
            checkpoint_at(2), Totals(completed=1, failed=1)
        )
        await ledger.forget()
        assert await ledger.load() is None
        assert "a" in ledger
        await ledger.write(first)
        await ledger.clear()
        assert await ledger.load() is None
        assert "a" not in ledger
        assert await ledger.counts() == dict.fromkeys(STATES, 0)
        await ledger.write(first)
        assert await ledger.load() == first.delivered()


async def test_nothing_of_a_batch_is_kept_when_its_checkpoint_is_not(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    async with SqliteLedger(path) as ledger:
        await ledger.write(batch(completed("a")))
        with closing(sqlite3.connect(path)) as other, other:
            other.execute("UPDATE trio_ingest_checkpoint SET revision = revision + 1")
        with pytest.raises(Exception, match="Another run is writing the job"):
            await ledger.write(batch(completed("b"), failed("a")))
        assert "b" not in ledger
        assert ledger.refused == 0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_both_event_loops(tmp_path: Path, backend: str) -> None:
    async def use() -> None:
        async with SqliteLedger(tmp_path / "ledger.db") as ledger:
            await ledger.write(batch(completed("a")))
            assert "a" in ledger
            assert [entry.doc_id async for entry in ledger.entries()] == ["a"]

    anyio.run(use, backend=backend)


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts": -1},
        {"attempts": 0},
        {"attempts": True},
        {"attempts": "x"},
        {"attempts": 2**70},
        {"duration_seconds": "x"},
        {"duration_seconds": -0.1},
        {"duration_seconds": float("nan")},
        {"updated_at": float("inf")},
        {"source": None},
        {"source": 5},
        {"error": 5},
    ],
    ids=repr,
)
async def test_a_record_of_the_wrong_kind_is_refused_and_nothing_is_changed(
    wrong: Any, tmp_path: Path
) -> None:
    async with SqliteLedger(tmp_path / "ledger.db") as ledger:
        await ledger.record("a", "failed", attempts=2)
        before = await ledger.entry("a")
        with pytest.raises(LedgerError, match="must be"):
            await ledger.record("a", "failed", **wrong)
        assert await ledger.entry("a") == before
