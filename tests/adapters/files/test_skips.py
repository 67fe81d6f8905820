"""What in a directory is no document is skipped and said, and holds nobody."""

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from trio_ingest import IngestionPipeline, PipelineEvent
from trio_ingest.adapters import FileRecord, FilesAdapter, FileSkipped
from trio_ingest.adapters.files import _reading

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs pipes and symbolic links")


async def seen(adapter: FilesAdapter) -> tuple[list[str], dict[str, str]]:
    """The paths of the records, and the reasons of what was skipped by path."""
    paths, skipped = [], {}
    async with contextlib.aclosing(adapter.fetch()) as items:
        async for item in items:
            if isinstance(item, FileRecord):
                paths.append(item.path)
            elif isinstance(item, FileSkipped):
                assert item.path not in skipped
                skipped[item.path] = item.reason
    return paths, skipped


def make_odd_things(directory: Path) -> None:
    (directory / "a.txt").write_text("text")
    os.mkfifo(directory / "pipe.txt")
    (directory / "device.txt").symlink_to("/dev/null")
    (directory / "broken.txt").symlink_to("nowhere")
    (directory / "itself.txt").symlink_to("itself.txt")
    with socket.socket(socket.AF_UNIX) as server, contextlib.chdir(directory):
        server.bind("socket.txt")


ODD = {
    "pipe.txt": "it is a named pipe, not a file",
    "socket.txt": "it is a socket, not a file",
    "device.txt": "it is a device, not a file",
    "broken.txt": "No such file or directory",
    "itself.txt": "Too many levels of symbolic links",
}


async def test_what_is_no_file_is_skipped_and_said_and_never_opened(tmp_path: Path) -> None:
    make_odd_things(tmp_path)
    assert await seen(FilesAdapter(tmp_path)) == (["a.txt"], ODD)


async def test_what_the_pattern_does_not_mean_is_not_worth_a_word(tmp_path: Path) -> None:
    make_odd_things(tmp_path)
    assert await seen(FilesAdapter(tmp_path, pattern="a*.txt")) == (["a.txt"], {})
    assert await seen(FilesAdapter(tmp_path, pattern="p*")) == (
        [],
        {"pipe.txt": ODD["pipe.txt"]},
    )


async def test_a_stream_has_the_skipped_ones_as_events(tmp_path: Path) -> None:
    make_odd_things(tmp_path)
    events: list[PipelineEvent] = []
    pipeline = IngestionPipeline(FilesAdapter(tmp_path, source="notes"), workers=3)
    async with pipeline.stream_events() as stream:
        events = [event async for event in stream]
    skipped = [event for event in events if isinstance(event, FileSkipped)]
    assert {event.path: event.reason for event in skipped} == ODD
    assert {event.adapter for event in skipped} == {"notes"}


async def test_links_to_files_and_directories_are_followed(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.txt").write_text("text")
    root = tmp_path / "root"
    root.mkdir()
    (root / "file.txt").symlink_to("../outside/b.txt")
    (root / "more").symlink_to("../outside")
    assert await seen(FilesAdapter(root)) == (["file.txt", "more/b.txt"], {})
    assert await seen(FilesAdapter(root, pattern="*")) == (["file.txt"], {})
    (tmp_path / "link").symlink_to("root")
    assert await seen(FilesAdapter(tmp_path / "link")) == (["file.txt", "more/b.txt"], {})


async def test_a_link_to_a_directory_above_is_skipped_and_one_to_another_is_not(
    tmp_path: Path,
) -> None:
    for name in ("a/deep/x.txt", "b/y.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / "a/deep/root").symlink_to("../..")
    (tmp_path / "a/deep/up").symlink_to("..")
    (tmp_path / "a/here").symlink_to(".")
    (tmp_path / "a/other").symlink_to("../b")
    paths, skipped = await seen(FilesAdapter(tmp_path))
    assert paths == ["a/deep/x.txt", "a/other/y.txt", "b/y.txt"]
    assert set(skipped) == {"a/deep/root", "a/deep/up", "a/here"}
    assert set(skipped.values()) == {"it leads back to a directory that it lies in"}


# Everything is imported as root, who may read this Python. The directory is the current
# one, so that those above it need not be open to the other user.
AS_SOMEBODY_ELSE = """
import contextlib, os, anyio.to_thread, trio
from trio_ingest.adapters import FilesAdapter, FileRecord, FileSkipped
from trio_ingest import SetupError

trio.run(anyio.to_thread.run_sync, int)
os.setgroups([])
os.setgid(65534)
os.setuid(65534)

async def main():
    async with contextlib.aclosing(FilesAdapter(".").fetch()) as items:
        async for item in items:
            if isinstance(item, FileRecord):
                print(item.path, item.data.decode())
            elif isinstance(item, FileSkipped):
                print(item.path, "skipped:", item.reason)

trio.run(main)
for name in ("closed", "not-entered"):
    try:
        FilesAdapter(name)
    except SetupError as error:
        print(error)
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can become a user who may not read these files",
)
def test_what_this_user_may_not_read_is_skipped_and_said(tmp_path: Path) -> None:
    for name in ("a.txt", "b.txt", "closed/c.txt", "not-entered/d.txt", "e.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    tmp_path.chmod(0o755)
    (tmp_path / "b.txt").chmod(0o600)
    (tmp_path / "closed").chmod(0o700)
    (tmp_path / "not-entered").chmod(0o744)
    command = [sys.executable, "-c", AS_SOMEBODY_ELSE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    refused = (
        "The directory {0} cannot be read ([Errno 13] Permission denied: '{0}/.'). Give this "
        "user the right to read it, or give another one."
    )
    assert sorted(done.stdout.splitlines()) == sorted(
        [
            "a.txt text",
            "b.txt skipped: this user may not read it",
            "closed skipped: the directory cannot be listed (Permission denied)",
            "e.txt text",
            "not-entered/d.txt skipped: Permission denied",
            refused.format("closed"),
            refused.format("not-entered"),
        ]
    )


async def test_many_odd_things_in_a_row_come_a_batch_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_reading, "LISTED_AT_ONCE", 10)
    for number in range(95):
        (tmp_path / f"{number:02}").symlink_to("nowhere")
    (tmp_path / "zz").write_text("text")
    paths, skipped = await seen(FilesAdapter(tmp_path))
    assert (paths, len(skipped)) == (["zz"], 95)
