"""What the two checkpoint stores keep, and what they refuse."""

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import pytest
import trio
import trio.testing

from tests.sinks.batches import batch_of, checkpoint_at, document, failure
from trio_ingest import Checkpoint, CheckpointError, Position, SetupError
from trio_ingest.delivery import ResumableSink, SinkError, SinkState, Totals
from trio_ingest.stores import FileCheckpointStore, SqliteCheckpointStore
from trio_ingest.stores import checkpoint_file as file

Store: TypeAlias = FileCheckpointStore | SqliteCheckpointStore

KINDS = pytest.mark.parametrize("kind", [FileCheckpointStore, SqliteCheckpointStore])


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def threads() -> list[str]:
    return [
        t.name for t in threading.enumerate() if t.name.startswith(("checkpoint:", "file:"))
    ]


@KINDS
async def test_what_was_saved_last_is_loaded(
    tmp_path: Path, kind: Callable[..., Store]
) -> None:
    path = tmp_path / "kept"
    async with kind(path) as store:
        assert await store.load() is None
        await store.save(checkpoint_at(1))
        assert await store.load() == SinkState(checkpoint_at(1), Totals())
        await store.save(checkpoint_at(2), Totals(completed=2))
    async with kind(path) as store:
        assert await store.load() == SinkState(checkpoint_at(2), Totals(completed=2))


@KINDS
async def test_a_batch_leaves_its_checkpoint_and_totals(
    tmp_path: Path, kind: Callable[..., Store]
) -> None:
    batch = batch_of([document("a")], failed=[failure(1)], before=Totals(completed=5))
    async with kind(tmp_path / "kept") as store:
        assert isinstance(store, ResumableSink)
        assert store.guarantee == "at-least-once"
        assert await store.write(batch) == ()
        assert await store.load() == batch.delivered()
    assert batch.delivered().totals == Totals(completed=6, failed=1)


@KINDS
async def test_whatever_a_source_or_a_cursor_holds_is_kept(
    tmp_path: Path, kind: Callable[..., Store]
) -> None:
    cursor = {"größe": ["\ud800", "nul\0", "😀", None, 1.5, 2**70]}
    position = Position("a\udc00b", "{}", 3, ((5, 7),), cursor, 2, stable_order=True)
    async with kind(tmp_path / "kept") as store:
        await store.save(Checkpoint((position,)))
    async with kind(tmp_path / "kept") as store:
        assert await store.load() == SinkState(Checkpoint((position,)))


@KINDS
async def test_a_forgotten_job_begins_again(
    tmp_path: Path, kind: Callable[..., Store]
) -> None:
    async with kind(tmp_path / "kept") as store:
        await store.forget()
        await store.save(checkpoint_at(1))
        await store.forget()
        assert await store.load() is None
        await store.save(checkpoint_at(2))
        await store.forget()
    async with kind(tmp_path / "kept") as store:
        assert await store.load() is None


@KINDS
async def test_a_second_run_is_refused(tmp_path: Path, kind: Callable[..., Store]) -> None:
    async with kind(tmp_path / "kept") as store:
        with pytest.raises(SetupError, match=f"in use by process {os.getpid()}"):
            async with kind(tmp_path / "kept"):
                pytest.fail("the second one opened")
        with pytest.raises(SetupError, match="open already"):
            await store.__aenter__()
        # Neither has taken the lock from the first one.
        with pytest.raises(SetupError, match="in use by process"):
            await kind(tmp_path / "kept").__aenter__()
        await store.save(checkpoint_at(1))
    with pytest.raises(SetupError, match="`async with"):
        await store.load()


@KINDS
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "path is empty"),
        ("folder", "it is a directory"),
        ("missing/kept", "missing does not exist"),
        ("x" * 300, "File name too long"),
        ("a\0b", "is none that a file can have"),
    ],
)
async def test_a_path_that_cannot_work_is_a_setup_error(
    tmp_path: Path, kind: Callable[..., Store], name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SetupError) as caught:
        async with kind(tmp_path / name if name else ""):
            pytest.fail("the store opened")
    assert why in str(caught.value)
    assert threads() == []
    assert names_in(tmp_path) == ["folder"]


@KINDS
async def test_a_cancelled_save_is_whole_or_not_begun(
    tmp_path: Path, kind: Callable[..., Store]
) -> None:
    async with kind(tmp_path / "kept") as store:
        with trio.CancelScope() as scope:
            scope.cancel()
            await store.save(checkpoint_at(1))
        assert await store.load() is None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.save, checkpoint_at(2))
            # The save is in its thread once it has run up to its first wait.
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert await store.load() == SinkState(checkpoint_at(2))
        await store.save(checkpoint_at(3))
    assert threads() == []


@KINDS
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_it_serves_both_event_loops(
    tmp_path: Path, kind: Callable[..., Store], backend: str
) -> None:
    async def use() -> None:
        async with kind(tmp_path / "kept") as store:
            await store.save(checkpoint_at(1))
            assert await store.load() == SinkState(checkpoint_at(1))

    anyio.run(use, backend=backend)


# -- the file ------------------------------------------------------------------------------


async def test_the_file_can_be_read_by_people(tmp_path: Path) -> None:
    path = tmp_path / "größe.json"
    async with FileCheckpointStore(path) as store:
        assert store.name == f"file:{path}"
        await store.save(checkpoint_at(7), Totals(completed=7))
    text = path.read_text("utf-8")
    assert '      "watermark": 7,\n' in text.replace("        ", "      ")
    assert json.loads(text) == SinkState(checkpoint_at(7), Totals(completed=7)).to_dict()
    assert names_in(tmp_path) == ["größe.json", "größe.json.lock"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "it is not JSON"),
        (b"Dear diary", "it is not JSON"),
        (b"\xff\xfe\xfd", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON (RecursionError)"),
        (b"[]", "is damaged"),
        (b'{"name": "somebody else\'s"}', "is damaged (KeyError('version'))"),
        (b'{"version": 1, "checkpoint": {"version": 99}, "totals": {}}', "has version 99"),
        (b'{"version": 99}', "reads up to version"),
    ],
)
async def test_a_file_that_is_no_checkpoint_is_refused_and_stays(
    tmp_path: Path, data: bytes, why: str
) -> None:
    path = tmp_path / "kept.json"
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        async with FileCheckpointStore(path):
            pytest.fail("the store opened")
    assert why in str(caught.value)
    assert "kept.json" in str(caught.value)
    assert "move that file away" in str(caught.value)
    assert path.read_bytes() == data
    assert threads() == []


async def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("needs named pipes")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SetupError, match="is no regular file"):
        async with FileCheckpointStore(tmp_path / "pipe"):
            pytest.fail("the store opened")


async def test_a_full_disk_fails_the_save_and_keeps_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FileCheckpointStore(tmp_path / "kept") as store:
        await store.save(checkpoint_at(1))
        with monkeypatch.context() as patch:
            real = os.write

            def full(descriptor: int, data: Any) -> int:
                real(descriptor, bytes(data)[:10])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

            patch.setattr(os, "write", full)
            with pytest.raises(SinkError, match=r"cannot be written to .*: No space left"):
                await store.save(checkpoint_at(2))
        assert await store.load() == SinkState(checkpoint_at(1))
        await store.save(checkpoint_at(3))
        assert await store.load() == SinkState(checkpoint_at(3))
    assert names_in(tmp_path) == ["kept", "kept.lock"]


async def test_a_removal_that_fails_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    async with FileCheckpointStore(tmp_path / "kept") as store:
        await store.save(checkpoint_at(1))
        monkeypatch.setattr(file, "sync_folder", fails)
        with pytest.raises(SinkError, match="cannot be removed: Input/output error"):
            await store.forget()


async def test_a_link_stays_a_link(tmp_path: Path) -> None:
    link, kept = tmp_path / "link", tmp_path / "kept"
    link.symlink_to(kept)
    async with FileCheckpointStore(link) as store:
        await store.save(checkpoint_at(1))
        assert kept.exists()
        await store.forget()
        assert not kept.exists()
        await store.save(checkpoint_at(2))
    assert link.is_symlink()
    async with FileCheckpointStore(kept) as store:
        assert await store.load() == SinkState(checkpoint_at(2))


# -- the database --------------------------------------------------------------------------


async def test_several_jobs_share_a_database_at_one_time(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    first = SqliteCheckpointStore(path)
    second = SqliteCheckpointStore(path, job="über/nacht")
    assert first.name == f"checkpoint:{path}"
    assert second.name == f"checkpoint:{path}#über/nacht"
    async with first, second:
        await first.save(checkpoint_at(1))
        await second.save(checkpoint_at(2))
        await first.forget()
        assert await first.load() is None
        assert await second.load() == SinkState(checkpoint_at(2))
        with pytest.raises(SetupError, match="in use by process"):
            async with SqliteCheckpointStore(path, job="über/nacht"):
                pytest.fail("the second one opened")


@pytest.mark.parametrize("job", ["", "a\0b", "\ud800", 7])
def test_a_job_has_a_name(tmp_path: Path, job: Any) -> None:
    with pytest.raises(SetupError, match="job must be a text"):
        SqliteCheckpointStore(tmp_path / "kept.db", job=job)


@pytest.mark.parametrize("forgotten", [True, False])
async def test_a_run_that_another_one_has_overtaken_can_move_nothing(
    tmp_path: Path, forgotten: bool
) -> None:
    path = tmp_path / "kept.db"
    async with SqliteCheckpointStore(path) as sleeping:
        await sleeping.save(checkpoint_at(1))
        # On another machine, say, where the lock does not reach.
        (tmp_path / "kept.db.checkpoint.lock").unlink()
        async with SqliteCheckpointStore(path) as other:
            if forgotten:
                await other.forget()
                with pytest.raises(SinkError, match="Another run is writing the job"):
                    await sleeping.save(checkpoint_at(5))
                assert await other.load() is None
            await other.save(checkpoint_at(2))
            with pytest.raises(SinkError, match="Another run is writing the job"):
                await sleeping.save(checkpoint_at(5))
            assert await other.load() == SinkState(checkpoint_at(2))
            await other.save(checkpoint_at(3))


async def test_of_two_runs_that_begin_one_job_only_one_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    async with SqliteCheckpointStore(path) as first:
        (tmp_path / "kept.db.checkpoint.lock").unlink()
        async with SqliteCheckpointStore(path) as second:
            await second.save(checkpoint_at(1))
            with pytest.raises(SinkError, match="Another run is writing the job"):
                await first.save(checkpoint_at(2))
            assert await second.load() == SinkState(checkpoint_at(1))


@pytest.mark.parametrize("revision", ["many", b"\xff", 1.5])
async def test_a_damaged_revision_can_be_dropped(tmp_path: Path, revision: Any) -> None:
    path = tmp_path / "kept.db"
    async with SqliteCheckpointStore(path) as store:
        await store.save(checkpoint_at(1))
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE trio_ingest_checkpoint SET revision = ?", (revision,))
    async with SqliteCheckpointStore(path) as store:
        with pytest.raises(CheckpointError, match="it is damaged"):
            await store.load()
        with pytest.raises(SinkError, match="Another run is writing"):
            await store.save(checkpoint_at(2))
        await store.forget()
        await store.save(checkpoint_at(2))
        assert await store.load() == SinkState(checkpoint_at(2))


async def test_a_locked_or_full_database_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    async with SqliteCheckpointStore(path, busy_timeout_seconds=0) as store:
        await store.save(checkpoint_at(1))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(SinkError, match="another program has held a lock"):
                await store.save(checkpoint_at(2))
            other.execute("ROLLBACK")
        keeper: Any = store._keeper
        await store._in_thread(
            lambda: keeper.run(lambda c: c.execute("PRAGMA max_page_count = 4"))
        )
        long = Checkpoint((Position("feed", "{}", 1, cursor="x" * 100_000, cursor_record=1),))
        with pytest.raises(SinkError, match="full"):
            await store.save(long)
        assert await store.load() == SinkState(checkpoint_at(1))
        await store.save(checkpoint_at(3))
        assert await store.load() == SinkState(checkpoint_at(3))
