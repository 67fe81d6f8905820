"""Which paths the JSON Lines sink takes, and how it keeps others away."""

import errno
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document
from trio_ingest import SetupError
from trio_ingest.delivery import SinkError
from trio_ingest.sinks import JsonLinesSink

HOLDER = """
import sys, trio
from trio_ingest.sinks import JsonLinesSink

async def main():
    async with JsonLinesSink(sys.argv[1]):
        print("open", flush=True)
        await trio.sleep_forever()

trio.run(main)
"""


def hold(path: Path) -> "subprocess.Popen[bytes]":
    """A second process that has the sink open."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"open\n"
    return holder


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "path is empty"),
        ("folder", "it is a directory"),
        ("missing/out.jsonl", "missing does not exist. Make it first"),
        ("text.txt/out.jsonl", "Not a directory"),
        ("x" * 300, "File name too long"),
        ("x" * 242, "File name too long"),
        ("a\0b", "holds a null character"),
        ("pipe", "is no regular file"),
        ("link to pipe", "is no regular file"),
        ("/dev/full", "is no regular file"),
        ("/dev/null", "is no regular file"),
        ("loop", "symbolic links"),
        ("text.txt", "has 5 bytes that no job with a checkpoint has written"),
        ("link to text", "has 5 bytes that no job with a checkpoint has written"),
        ("late", "late.failed has 5 bytes"),
        ("odd", "odd.checkpoint cannot be opened: it is a directory"),
    ],
)
async def test_a_path_that_cannot_work_is_a_setup_error_and_nothing_is_touched(
    tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "odd.checkpoint").mkdir()
    for text in ("text.txt", "late.failed"):
        (tmp_path / text).write_text("Dear.")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link to pipe").symlink_to("pipe")
    (tmp_path / "link to text").symlink_to("text.txt")
    (tmp_path / "loop").symlink_to("loop")
    before = names_in(tmp_path)
    with pytest.raises(SetupError) as caught:
        async with JsonLinesSink(tmp_path / name if name else ""):
            pytest.fail("the sink opened")
    assert why in str(caught.value)
    assert not [t for t in threading.enumerate() if t.name.startswith("jsonl:")]
    assert (tmp_path / "text.txt").read_text() == "Dear."
    assert {n for n in names_in(tmp_path) - before if not n.endswith(".lock")} == set()


def test_standard_output_into_a_pipe_is_refused() -> None:
    code = (
        "import trio; from trio_ingest.sinks import JsonLinesSink\n"
        "async def main():\n"
        "    async with JsonLinesSink('/dev/stdout'): pass\n"
        "trio.run(main)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 1
    assert b"SetupError: /dev/stdout is no regular file" in ended.stderr


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
async def test_a_folder_that_may_not_be_written_is_a_setup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Any, *args: Any) -> int:
        raise OSError(number, os.strerror(number), os.fspath(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(SetupError, match=r"Give a file that you may write, in a folder"):
        async with JsonLinesSink(tmp_path / "out.jsonl"):
            pytest.fail("the sink opened")


async def test_a_full_disk_at_the_start_is_a_sink_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(SinkError, match=r"checkpoint cannot be opened: No space left"):
            async with JsonLinesSink(tmp_path / "out.jsonl"):
                pytest.fail("the sink opened")
    async with JsonLinesSink(tmp_path / "out.jsonl") as sink:
        await sink.write(batch_of([document("a")]))


async def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    path.touch()
    async with JsonLinesSink(path) as sink:
        assert await sink.load() is None
        await sink.write(batch_of([document("a")]))
    assert path.stat().st_size


async def test_a_link_leads_to_the_job_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "far"
    folder.mkdir()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to("far/out.jsonl")
    async with JsonLinesSink("link") as sink:
        await sink.write(batch_of([document("a")]))
        with pytest.raises(SetupError, match="is in use by process"):
            async with JsonLinesSink(folder / "out.jsonl"):
                pytest.fail("the sink opened")
    async with JsonLinesSink(folder / "out.jsonl") as sink:
        assert await sink.load() == batch_of([document("a")]).delivered()
    assert names_in(folder) == {"out.jsonl", "out.jsonl.checkpoint", "out.jsonl.lock"}
    assert names_in(tmp_path) == {"far", "link"}


async def test_a_relative_path_stays_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    async with JsonLinesSink("out.jsonl") as sink:
        monkeypatch.chdir(tmp_path / "elsewhere")
        await sink.write(batch_of([document("a")]))
    assert names_in(tmp_path / "elsewhere") == set()
    assert (tmp_path / "out.jsonl").stat().st_size


async def test_a_second_run_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    holder = hold(path)
    try:
        with pytest.raises(SetupError, match=f"is in use by process {holder.pid}"):
            async with JsonLinesSink(path):
                pytest.fail("the sink opened")
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.communicate()
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    async with JsonLinesSink(path) as sink:
        assert await sink.load() is not None
