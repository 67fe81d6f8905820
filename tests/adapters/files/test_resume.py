"""A run over a directory that is stopped anywhere goes on there, though the tree changed."""

import contextlib
import json
import os
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from trio_ingest import (
    Checkpoint,
    CheckpointError,
    Cursor,
    DocumentCompleted,
    DocumentFailed,
    IngestionPipeline,
    PipelineEvent,
)
from trio_ingest.adapters import FileRecord, FilesAdapter, FileSkipped
from trio_ingest.adapters.files import _reading
from trio_ingest.delivery import deliver, resume_point
from trio_ingest.sinks import SqliteSink

NAMES = [f"{d}/{f}.txt" for d in "acegi" for f in "bdfh"] + ["b.txt", "d.txt", "j.txt"]


class PowerCut(Exception):
    """Stands for whatever may end a run."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_reading, "BATCH_FILES", 4)
    monkeypatch.setattr(_reading, "CURSOR_FILES", 8)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    for name in NAMES:
        add(root, name)
    return root


def add(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(name)


async def items_of(adapter: FilesAdapter, *, cursor: object = None) -> list[Any]:
    async with contextlib.aclosing(adapter.fetch(cursor=cursor)) as items:
        return [item async for item in items]


def in_order(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: name.split("/"))


async def job(
    root: Path,
    database: Path,
    *,
    workers: int = 1,
    ordered: bool = True,
    batch_size: int = 1,
    stop_at: int | None = None,
    pattern: str = "**/*",
) -> None:
    """Deliver until the end, or until the power fails with this many documents seen."""
    count = 0

    def cut(event: PipelineEvent) -> None:
        nonlocal count
        if isinstance(event, DocumentCompleted | DocumentFailed):
            count += 1
            if count - 1 == stop_at:
                raise PowerCut

    adapter = FilesAdapter(root, pattern=pattern, source="tree")
    pipeline = IngestionPipeline(adapter, workers=workers, ordered=ordered)
    async with SqliteSink(database, duplicates="allow") as sink:
        stream = pipeline.stream_events(
            resume_from=await resume_point(sink), checkpoint_interval=3
        )
        with contextlib.suppress(PowerCut):
            await deliver(stream, sink, batch_size=batch_size, on_event=cut)


def column(database: Path, query: str) -> list[str]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute(query)]


def documents_in(database: Path) -> list[str]:
    return column(database, "SELECT doc_id FROM documents ORDER BY row_id")


def dead_letters_in(database: Path) -> list[str]:
    return column(database, "SELECT doc_id FROM trio_ingest_dead_letters ORDER BY letter_id")


@pytest.mark.one_in(3)
@pytest.mark.parametrize("batch_size", [1, 5])
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_run_stopped_at_any_file_delivers_each_exactly_once(
    tree: Path, workers: int, batch_size: int
) -> None:
    for stop_at in range(len(NAMES)):
        database = tree.parent / f"{stop_at}.db"
        options: dict[str, Any] = {"workers": workers, "batch_size": batch_size}
        await job(tree, database, stop_at=stop_at, **options)
        done = len(documents_in(database))
        assert stop_at - batch_size <= done <= stop_at
        await job(tree, database, **options)
        assert documents_in(database) == in_order(NAMES)


async def test_a_run_stopped_at_every_file_comes_to_the_end(tree: Path) -> None:
    database = tree.parent / "documents.db"
    for number in range(len(NAMES) + 1):
        await job(tree, database, workers=1 + 2 * (number % 2), stop_at=1)
    assert documents_in(database) == in_order(NAMES)


@pytest.mark.parametrize("name", ["batch that is read", "ones that are promised", "rest"])
@pytest.mark.parametrize("workers", [1, 3])
async def test_a_file_removed_between_the_runs_shifts_no_other(
    tree: Path, workers: int, name: str
) -> None:
    order = in_order(NAMES)
    stop_at = 6
    removed = order[{"batch that is read": 5, "ones that are promised": 8, "rest": 20}[name]]
    database = tree.parent / "documents.db"
    await job(tree, database, workers=workers, stop_at=stop_at)
    (tree / removed).unlink()
    await job(tree, database, workers=workers)
    had_ended = order.index(removed) < stop_at
    assert documents_in(database) == [n for n in order if n != removed or had_ended]
    # It had its number already, and so it must end; or the others would shift.
    promised = name == "ones that are promised"
    assert dead_letters_in(database) == ([removed] if promised else [])


@pytest.mark.parametrize("workers", [1, 3])
async def test_files_added_between_the_runs_come_once_or_were_passed(
    tree: Path, workers: int
) -> None:
    order = in_order(NAMES)
    added = {
        "a/a.txt": False,  # before everything
        "c/a.txt": False,  # between files that have ended
        "e/a.txt": False,  # among those whose numbers were promised
        "i/a.txt": True,
        "i/z/new.txt": True,
        "z.txt": True,
    }
    database = tree.parent / "documents.db"
    await job(tree, database, workers=workers, stop_at=6)
    for name in added:
        add(tree, name)
    await job(tree, database, workers=workers)
    expected = order + [name for name, comes in added.items() if comes]
    assert documents_in(database) == in_order(expected)


@pytest.mark.one_in(3)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
async def test_whatever_changes_what_was_there_both_times_comes_exactly_once(
    tree: Path, workers: int, ordered: bool
) -> None:
    dice = random.Random(7)
    for trial in range(25):
        names = dice.sample(NAMES, 15)
        root, database = tree.parent / f"{trial}", tree.parent / f"{trial}.db"
        for name in names:
            add(root, name)
        always, ever = set(names), set(names)
        for _ in range(3):
            options: dict[str, Any] = {"workers": workers, "ordered": ordered}
            stop_at = dice.randrange(8)
            batch_size = dice.choice([1, 2, 5])
            await job(root, database, stop_at=stop_at, batch_size=batch_size, **options)
            for name in dice.sample(sorted(always), 2):
                (root / name).unlink()
                always.remove(name)
            for name in dice.sample(sorted(set(NAMES) - ever), 2):
                add(root, name)
                ever.add(name)
        await job(root, database, workers=workers, ordered=ordered)
        counts = Counter(documents_in(database))
        assert set(counts.values()) == {1}
        assert always <= set(counts) <= ever


async def test_a_whole_directory_may_become_a_file_and_the_other_way_round(tree: Path) -> None:
    database = tree.parent / "documents.db"
    await job(tree, database, stop_at=2)
    for path in (tree / "i").iterdir():
        path.unlink()
    (tree / "i").rmdir()
    add(tree, "i")
    (tree / "j.txt").unlink()
    add(tree, "j.txt/in.txt")
    await job(tree, database)
    rest = [n for n in NAMES if n[:2] != "i/" and n != "j.txt"]
    assert documents_in(database) == in_order([*rest, "i", "j.txt/in.txt"])


async def test_what_is_skipped_is_said_though_the_run_was_stopped_before(tree: Path) -> None:
    for name in ("a/c", "c/c", "e/c", "i/c", "z"):
        (tree / name).symlink_to("nowhere")
    for count in range(60):
        said: set[str] = set()
        point: Checkpoint | None = None
        for most in (count, 10**6):
            pipeline = IngestionPipeline(FilesAdapter(tree))
            async with pipeline.stream_events(resume_from=point) as stream:
                received = 0
                async for event in stream:
                    if received == most:
                        break
                    received += 1
                    said |= {event.path} if isinstance(event, FileSkipped) else set()
            point = stored(stream.checkpoint())
        assert said == {"a/c", "c/c", "e/c", "i/c", "z"}, count


def stored(point: Checkpoint) -> Checkpoint:
    """As a store gives it back that keeps UTF-8."""
    text = json.dumps(point.to_dict(), ensure_ascii=False).encode()
    return Checkpoint.from_dict(json.loads(text))


@pytest.mark.skipif(os.name != "posix", reason="needs file names that are bytes")
async def test_names_that_are_not_utf_8_can_be_resumed(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    try:
        for number in range(9):
            (tmp_path / "odd" / os.fsdecode(b"%d-\xff" % number)).touch()
    except OSError:
        pytest.skip("this file system takes no such names")
    for item in await items_of(FilesAdapter(tmp_path / "odd")):
        if isinstance(item, Cursor):
            json.dumps(item.value, ensure_ascii=False).encode()  # not every store escapes
    for stop_at in range(9):
        database = tmp_path / f"{stop_at}.db"
        await job(tmp_path / "odd", database, stop_at=stop_at)
        await job(tmp_path / "odd", database)
        assert len(set(documents_in(database))) == len(documents_in(database)) == 9


async def test_dead_letters_have_the_path_of_a_bad_file_and_not_its_bytes(
    tmp_path: Path,
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/image.png").write_bytes(b"\xff" * 10**6)
    database = tmp_path / "documents.db"
    await job(tmp_path / "tree", database)
    assert dead_letters_in(database) == ["image.png"]
    [raw] = column(database, "SELECT raw FROM trio_ingest_dead_letters")
    assert "path='image.png', size_bytes=1000000" in raw
    assert len(raw) < 200


async def test_another_pattern_does_not_go_on_from_this_checkpoint(tree: Path) -> None:
    database = tree.parent / "documents.db"
    await job(tree, database, stop_at=2)
    with pytest.raises(CheckpointError, match=r"with the pattern '\*\*/\*', and this run has"):
        await job(tree, database, pattern="*.txt")


@pytest.mark.parametrize(
    "cursor",
    [
        7, "a", {}, {"pattern": "**/*"}, {"pattern": "**/*", "paths": []},
        {"pattern": "**/*", "paths": [3]}, {"pattern": "**/*", "paths": ["../etc/passwd"]},
        {"pattern": "**/*", "paths": ["/etc/passwd"]}, {"pattern": "**/*", "paths": ["a\0"]},
        {"pattern": "**/*", "paths": [""]}, {"pattern": "**/*", "paths": [{"hex": "2e2e"}]},
        {"pattern": "**/*", "paths": [{"hex": "x"}]}, {"pattern": "**/*", "paths": [{}]},
        {"pattern": "**/*", "paths": ["a"], "more": 1},
        {"offset": 1, "line": 1, "check": 1},
    ],
)  # fmt: skip
async def test_a_cursor_that_is_no_place_in_a_directory_is_refused(
    tree: Path, cursor: object
) -> None:
    with pytest.raises(CheckpointError, match=r"which is no place in a directory.*--restart"):
        await items_of(FilesAdapter(tree), cursor=cursor)


async def test_a_resumed_run_does_not_list_what_lies_behind(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = FilesAdapter(tree)
    cursors = [item.value for item in await items_of(adapter) if isinstance(item, Cursor)]
    listed: list[str] = []
    scandir = os.scandir
    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", lambda path: (listed.append(str(path)), scandir(path))[1])
        items = await items_of(adapter, cursor=cursors[3])
    paths = [item.path for item in items if isinstance(item, FileRecord)]
    assert paths == in_order(NAMES)[12:]
    assert [Path(path).name for path in listed] == ["tree", "i"]
