"""What stays of the JSON Lines sink's files when the disk fails or somebody changes them."""

import errno
import json
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sinks.batches import batch_of, document, failure
from trio_ingest import CheckpointError, Document
from trio_ingest.delivery import Batch, SinkError, Totals
from trio_ingest.sinks import JsonLinesSink

START = '{"offset": 0, "check": 0}'


def ids_of(path: Path) -> list[str]:
    return [json.loads(line)["doc_id"] for line in path.read_bytes().splitlines()]


def side_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.checkpoint")


def failed_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.failed")


def batches() -> tuple[Batch, Batch]:
    first = batch_of([document("a")], failed=[failure(1)])
    totals = first.delivered().totals
    return first, batch_of([document("b")], failed=[failure(3)], before=totals)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    place = tmp_path / "disk"
    place.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mounting, capture_output=True, check=False)
    except OSError as error:
        pytest.skip(f"no small disk can be mounted here: {error}")
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


async def test_on_a_full_disk_the_batch_is_taken_back_and_written_when_there_is_room(
    small_disk: Path,
) -> None:
    path, ballast = small_disk / "out.jsonl", small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    first, _ = batches()
    large = batch_of(
        [document(str(number), "x" * 10_000) for number in range(60)],
        before=first.delivered().totals,
    )
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
        for _ in range(2):
            with pytest.raises(SinkError, match=r"No space left.*Make room, then go on"):
                await sink.write(large)
            assert ids_of(path) == ["a"]
            assert await sink.load() == first.delivered()
        ballast.unlink()
        await sink.write(large)
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == large.delivered()
    assert ids_of(path) == ["a", *map(str, range(60))]


class Breaks:
    """Lets one call of a function of ``os`` fail, after some of its work."""

    def __init__(self, patch: pytest.MonkeyPatch, name: str, is_folder: bool = False) -> None:
        self.left = -1
        self.calls = 0
        self._is_folder = is_folder
        self._real: Callable[..., Any] = getattr(os, name)
        self._name = name
        patch.setattr(os, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._name == "fsync" and self._is_folder != stat.S_ISDIR(
            os.fstat(args[0]).st_mode
        ):
            return self._real(*args, **kwargs)
        self.calls += 1
        self.left -= 1
        if self.left == 0:
            if self._name == "write":
                self._real(args[0], args[1][:9])
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self._real(*args, **kwargs)


@pytest.mark.parametrize(
    ("name", "count"),
    [*(("write", n) for n in (1, 2, 3)), *(("fsync", n) for n in (1, 2, 3)), ("replace", 1)],
)
async def test_whatever_step_fails_the_batch_is_taken_back_and_can_be_written_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, count: int
) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
        before = path.read_bytes(), failed_of(path).read_bytes(), side_of(path).read_bytes()
        with monkeypatch.context() as patch:
            breaks = Breaks(patch, name)
            breaks.left = count
            with pytest.raises(SinkError, match=r"Input/output error.*stays"):
                await sink.write(second)
        after = path.read_bytes(), failed_of(path).read_bytes(), side_of(path).read_bytes()
        assert after == before
        assert await sink.load() == first.delivered()
        await sink.write(second)
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == second.delivered()
    assert ids_of(path) == ["a", "b"]
    assert len(failed_of(path).read_bytes().splitlines()) == 2


async def test_lines_are_on_the_disk_before_the_checkpoint_that_covers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = batches()
    steps: list[str] = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def call(what: Any, *args: Any) -> Any:
            path = Path(f"/proc/self/fd/{what}").readlink() if isinstance(what, int) else what
            steps.append(f"{name} {Path(path).name}")
            return real(what, *args)

        monkeypatch.setattr(os, name, call)

    async with JsonLinesSink(tmp_path / "out") as sink:
        await sink.write(first)
        for name in ("write", "fsync", "replace"):
            spy(name)
        await sink.write(second)
        monkeypatch.undo()
    assert [step for step in steps if "socket" not in step and "event" not in step] == [
        *("write out", "fsync out", "write out.failed", "fsync out.failed"),
        *("write .out.checkpoint.tmp", "fsync .out.checkpoint.tmp"),
        *("replace .out.checkpoint.tmp", f"fsync {tmp_path.name}"),
    ]


async def test_a_torn_line_that_could_not_be_cut_at_once_is_cut_before_the_next_append(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
        with monkeypatch.context() as patch:
            Breaks(patch, "write").left = 1
            Breaks(patch, "ftruncate").left = 1
            with pytest.raises(SinkError):
                await sink.write(second)
        assert path.read_bytes().endswith(b'\n{"doc_id"')
        await sink.write(second)
    assert ids_of(path) == ["a", "b"]


async def test_a_commit_of_which_nobody_knows_is_found_out_by_opening_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
        with monkeypatch.context() as patch:
            Breaks(patch, "fsync", is_folder=True).left = 1
            with pytest.raises(SinkError, match="open it again to find out"):
                await sink.write(second)
        with pytest.raises(SinkError, match="open it again to find out"):
            await sink.write(second)
    async with JsonLinesSink(path) as sink:
        assert await sink.load() == second.delivered()
    assert ids_of(path) == ["a", "b"]


async def test_what_was_appended_after_the_last_commit_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
    old = side_of(path).read_bytes()
    async with JsonLinesSink(path) as sink:
        await sink.write(second)
    side_of(path).write_bytes(old)
    async with JsonLinesSink(path) as sink:
        # Who only looks leaves the file as it is.
        assert await sink.load() == first.delivered()
        assert ids_of(path) == ["a", "b"]
        await sink.write(second)
    assert ids_of(path) == ["a", "b"]
    assert len(failed_of(path).read_bytes().splitlines()) == 2


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
async def test_a_file_that_is_taken_away_in_a_run_is_a_sink_error(
    tmp_path: Path, how: str
) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
        path.rename(tmp_path / "moved")
        if how == "replaced":
            path.write_bytes((tmp_path / "moved").read_bytes())
        with pytest.raises(SinkError, match=r"moved away or deleted while it was written"):
            await sink.write(second)
        if how == "deleted":
            return
        (tmp_path / "moved").replace(path)
        await sink.write(second)
    assert ids_of(path) == ["a", "b"]


async def test_a_file_that_somebody_cuts_short_in_a_run_is_not_filled_with_zeros(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
        os.truncate(path, 3)
        with pytest.raises(SinkError, match="another program has cut it short"):
            await sink.write(second)
    assert path.read_bytes() == b'{"d'


def shorten(path: Path) -> None:
    os.truncate(path, 10)


def change_the_end(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[:-2] + b"]\n")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (shorten, "has 10 bytes, and the last commit ended at byte"),
        (change_the_end, "does not have what the last commit left"),
    ],
)
async def test_an_output_that_is_another_one_is_refused_and_never_emptied(
    tmp_path: Path, change: Callable[[Path], None], why: str
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a", "x" * 5000)]))
    change(path)
    before = path.read_bytes()
    async with JsonLinesSink(path) as sink:
        for call in (sink.load, sink.forget, lambda: sink.write(batch_of())):
            with pytest.raises(CheckpointError, match=why):
                await call()
    assert path.read_bytes() == before


async def test_an_output_that_is_missing_is_a_checkpoint_error_until_the_job_begins_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    path.unlink()
    async with JsonLinesSink(path) as sink:
        for call in (sink.load, lambda: sink.write(batch_of())):
            with pytest.raises(CheckpointError, match=r"is missing, and .* says that it has"):
                await call()
        assert not path.exists()
        await sink.forget()
        await sink.write(batch_of([document("b")]))
    assert ids_of(path) == ["b"]


async def test_dead_letters_may_be_moved_away_between_two_runs(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    first, second = batches()
    async with JsonLinesSink(path) as sink:
        await sink.write(first)
    failed_of(path).unlink()
    for _ in range(2):
        async with JsonLinesSink(path) as sink:
            assert await sink.load() == first.delivered()
    async with JsonLinesSink(path) as sink:
        await sink.write(second)
    assert len(failed_of(path).read_bytes().splitlines()) == 1


async def test_dead_letters_that_somebody_changed_are_refused_as_they_are(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batches()[0])
    shorten(failed_of(path))
    async with JsonLinesSink(path) as sink:
        with pytest.raises(CheckpointError, match="move it away, and a new one will"):
            await sink.load()
    assert failed_of(path).stat().st_size == 10


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no checkpoint of ours, or a damaged one"),
        ("{", "no checkpoint of ours, or a damaged one"),
        ("\xff", "no checkpoint of ours, or a damaged one"),
        ("[" * 100_000, "no checkpoint of ours, or a damaged one"),
        ("[]", "no checkpoint of ours, or a damaged one"),
        ('{"version": 0}', "version is 0"),
        ('{"version": true}', "version is True"),
        ('{"version": 1}', "KeyError"),
        ('{"version": 1, "output": {"offset": -1, "check": 0}, "delivered": 0}', "a mark"),
        ('{"version": 1, "output": {"offset": 1.5, "check": 0}, "delivered": 0}', "a mark"),
        (
            '{"version": 1, "output": {"offset": 0, "check": 4294967296}, "delivered": 0}',
            "a mark",
        ),
        (
            f'{{"version": 1, "output": {START}, "failed": {START}, "delivered": {{}}}}',
            "damaged",
        ),
        ('{"version": 2}', "Upgrade trio_ingest"),
    ],
)
async def test_a_side_file_that_cannot_be_read_is_an_error_and_empties_nothing(
    tmp_path: Path, text: str, why: str
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    side_of(path).write_text(text, "latin-1")
    before = path.read_bytes()
    async with JsonLinesSink(path) as sink:
        for call in (sink.load, lambda: sink.write(batch_of())):
            with pytest.raises(CheckpointError, match=why):
                await call()
    async with JsonLinesSink(path) as sink:
        with pytest.raises(CheckpointError, match=why):
            await sink.forget()
    assert path.read_bytes() == before
    path.write_bytes(b"")
    failed_of(path).unlink(missing_ok=True)
    async with JsonLinesSink(path) as sink:
        await sink.forget()
        await sink.write(batch_of([document("b")]))
    assert ids_of(path) == ["b"]


async def test_a_damaged_checkpoint_of_an_output_that_is_ours_can_be_forgotten(
    tmp_path: Path,
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
    side = json.loads(side_of(path).read_bytes())
    side_of(path).write_text(json.dumps({**side, "delivered": {}}))
    async with JsonLinesSink(path) as sink:
        with pytest.raises(CheckpointError, match="damaged"):
            await sink.load()
        await sink.forget()
        await sink.write(batch_of([document("b")]))
    assert ids_of(path) == ["b"]


@pytest.mark.parametrize("name", ["replace", "ftruncate"])
async def test_beginning_again_can_fail_and_be_done_after_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = tmp_path / "out.jsonl"
    async with JsonLinesSink(path) as sink:
        await sink.write(batch_of([document("a")]))
        with monkeypatch.context() as patch:
            Breaks(patch, name).left = 1
            with pytest.raises(SinkError, match="open it again to find out"):
                await sink.forget()
    async with JsonLinesSink(path) as sink:
        await sink.load()
        await sink.forget()
        await sink.write(batch_of([document("b")], before=Totals()))
    assert ids_of(path) == ["b"]


async def test_the_last_bytes_are_checked_across_small_batches(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    totals = Totals()
    async with JsonLinesSink(path) as sink:
        for number in range(60):
            batch = batch_of([Document(str(number), "feed", "x" * 40)], before=totals)
            totals = batch.delivered(await sink.write(batch)).totals
    async with JsonLinesSink(path) as sink:
        stored = await sink.load()
        assert stored is not None
        assert stored.totals == totals
    assert len(ids_of(path)) == 60
