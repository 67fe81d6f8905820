"""What was listed and is gone, one file or a whole share, is no end of the tree."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.worlds import WORLDS, call_of, in_world, run
from trio_ingest import Checkpoint, DocumentCompleted, DocumentFailed, IngestionPipeline
from trio_ingest.adapters import FilesAdapter
from trio_ingest.adapters.files import _reading

EVERYWHERE = pytest.mark.parametrize("name", WORLDS)
PATHS = [f"{folder}/{number:03}.txt" for folder in "abc" for number in range(100)]


def the_file(root: Path) -> None:
    (root / "a/090.txt").unlink()


def the_folder(root: Path) -> None:
    shutil.rmtree(root / "c")


def everything(root: Path) -> None:
    shutil.rmtree(root)


def what_is_in_it(root: Path) -> None:
    for folder in "abc":
        shutil.rmtree(root / folder)


def fill(root: Path) -> None:
    for path in PATHS:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path, encoding="utf-8")


async def ingest(
    name: str, root: Path, point: Checkpoint | None, then: Callable[[Path], None] | None = None
) -> tuple[list[str], list[str], Checkpoint, OSError | None]:
    pipeline = IngestionPipeline(FilesAdapter(root, source="docs"))
    stream = call_of(pipeline, "stream_events")(resume_from=point, buffer_size=5)
    done: list[str] = []
    failed: list[str] = []
    failure: OSError | None = None
    async with stream as events:
        try:
            async for event in events:
                if isinstance(event, DocumentCompleted):
                    done.append(event.document.doc_id)
                elif isinstance(event, DocumentFailed):
                    failed.append(str(event.doc_id))
                if len(done) == 10 and then is not None:
                    then(root)
                    then = None
        except OSError as error:
            failure = error
        point = Checkpoint.from_dict(stream.checkpoint().to_dict())
    return done, failed, point, failure


@pytest.mark.one_in(5)
@EVERYWHERE
@pytest.mark.parametrize(
    "vanish",
    [the_file, the_folder, everything, what_is_in_it],
    ids=lambda function: function.__name__,
)
def test_it_kills_the_adapter_and_the_rest_comes_when_it_is_back(
    tmp_path: Path, name: str, vanish: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "BATCH_FILES", 16)
    monkeypatch.setattr(_reading, "CURSOR_FILES", 32)
    root = tmp_path / "docs"
    fill(root)
    with in_world(name):
        done, failed, point, failure = run(lambda: ingest(name, root, None, vanish))
        assert failure is not None
        assert "gone" in str(failure) or failure.errno == errno.ENOENT
        assert not point.finished
        assert done == PATHS[: len(done)]
        assert failed == []
        fill(root)
        rest, failed, point, failure = run(lambda: ingest(name, root, point))
    assert (failure, failed, point.finished) == (None, [], True)
    assert done + rest == PATHS


def test_what_stays_gone_is_a_failed_document_in_the_end(tmp_path: Path) -> None:
    fill(tmp_path)

    async def main() -> None:
        done, _, point, failure = await ingest("trio", tmp_path, None, the_file)
        assert failure is not None
        rest, failed, point, failure = await ingest("trio", tmp_path, point)
        assert (failure, failed, point.finished) == (None, ["a/090.txt"], True)
        assert done + rest == [path for path in PATHS if path != "a/090.txt"]

    with in_world("trio"):
        run(main)


def test_a_folder_that_an_error_of_the_disk_hides_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path)
    scandir = os.scandir

    def broken(path: Any) -> Any:
        if str(path).endswith("/b/"):
            raise OSError(errno.EIO, "Input/output error", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", broken)
    with in_world("trio"):
        _, _, point, failure = run(lambda: ingest("trio", tmp_path, None))
    assert failure is not None
    assert failure.errno == errno.EIO
    assert not point.finished


def test_links_that_lead_nowhere_are_still_passed_over(tmp_path: Path) -> None:
    fill(tmp_path)
    (tmp_path / "a/link").symlink_to("nowhere")
    with in_world("trio"):
        done, _, point, failure = run(lambda: ingest("trio", tmp_path, None))
    assert (len(done), point.finished, failure) == (300, True, None)
