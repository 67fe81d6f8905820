"""How many lines to expect of a file: what a bar needs, at little cost."""

import gzip
import io
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import TypeAlias

import hypothesis
import hypothesis.strategies as st
import pytest
import trio

from trio_ingest import BatchProgress, Cursor, IngestionPipeline
from trio_ingest.adapters import JsonLinesAdapter, LineRecord
from trio_ingest.adapters._bytes import line_count

Estimate: TypeAlias = Callable[[Path | str], int | None]


@pytest.fixture
def estimate() -> Estimate:
    return lambda path: trio.run(JsonLinesAdapter(path).estimate_total)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", 0),
        (b"a", 1),
        (b"a\n", 1),
        (b"a\nb", 2),
        (b"\n\na\n\n\nb\n\n", 2),
        (b"a\r\n\r\nb\r\n", 2),
    ],
)
def test_a_small_file_is_counted(
    tmp_path: Path, estimate: Estimate, content: bytes, lines: int
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert estimate(path) == lines


@hypothesis.given(
    st.lists(st.sampled_from([b"", b"x", b"yy" * 9]), max_size=40), st.booleans()
)
def test_the_count_is_that_of_the_lines_with_something_in_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], ended: bool
) -> None:
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes(b"\n".join(lines) + b"\n" * ended)
    with pytest.MonkeyPatch.context() as patch:
        # So that pieces end everywhere.
        patch.setattr(line_count, "_SAMPLE_BYTES", 7)
        assert line_count.count_lines(str(path)) == len([line for line in lines if line])


@pytest.mark.parametrize(
    "length_at",
    [
        lambda number: 100 if number < 30_000 else 500,
        lambda number: 500 if number < 30_000 else 100,
        lambda number: 100 + number // 75,
        lambda number: 20 + number * 7919 % 700,
    ],
    ids=["longer later", "longer first", "ever longer", "mixed"],
)
def test_a_large_file_is_judged_by_samples(
    tmp_path: Path, estimate: Estimate, length_at: Callable[[int], int]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(
        b"".join(b"x" * length_at(number) + b"\r\n\r\n" for number in range(60_000))
    )
    assert path.stat().st_size > 16 * 1024 * 1024
    assert estimate(path) == pytest.approx(60_000, rel=0.05)


def test_of_a_large_file_little_is_read_and_of_a_small_one_no_more_than_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []

    class Counted(io.FileIO):
        def read(self, size: int | None = -1) -> bytes:
            data = super().read(size)
            reads.append(len(data))
            return data

    monkeypatch.setattr(io, "FileIO", Counted)
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.truncate(5_000_000_000)
    assert line_count.count_lines(str(path)) is None
    assert sum(reads) <= 2 * 1024 * 1024 + 2
    assert max(reads) <= 64 * 1024
    del reads[:]
    path.write_bytes(b"a\n" * 100_000)
    assert line_count.count_lines(str(path)) == 100_000
    assert sum(reads) == 200_000 + 2


def test_lines_longer_than_every_sample_are_not_guessed(
    tmp_path: Path, estimate: Estimate
) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    assert estimate(path) is None


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl"])
def test_gzip_is_not_guessed(tmp_path: Path, estimate: Estimate, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a\nb\n"))
    assert estimate(path) is None


def test_what_is_no_file_is_not_guessed(tmp_path: Path, estimate: Estimate) -> None:
    for path in (tmp_path, tmp_path / "missing", "/dev/null", "-", "nul\0", "\ud800"):
        assert estimate(path) is None


def test_what_became_a_pipe_since_it_was_looked_at_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, pipe = tmp_path / "plain", tmp_path / "pipe"
    plain.write_bytes(b"a\n")
    os.mkfifo(pipe)
    looked_at = plain.stat()
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", lambda _path: looked_at)
        assert line_count.count_lines(str(pipe)) is None


def test_a_pipe_is_not_opened_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    opened: list[str] = []
    monkeypatch.setattr(line_count, "open_unbuffered", opened.append)
    assert line_count.count_lines(str(pipe)) is None
    assert not opened


def test_a_file_called_like_standard_input_is_not_meant(
    tmp_path: Path, estimate: Estimate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "-").write_bytes(b"a\n")
    assert estimate("-") is None
    assert estimate("./-") == 1


def test_progress_has_the_total(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"id": 1}\n{"id": 2}\n')

    estimated = trio.Event()

    class Estimated(JsonLinesAdapter):
        """Records that wait for the estimate, which else may come after the last of them."""

        async def estimate_total(self) -> int | None:
            total = await super().estimate_total()
            estimated.set()
            return total

        async def fetch(
            self, *, cursor: object = None
        ) -> AsyncGenerator[LineRecord | Cursor, None]:
            await estimated.wait()
            async for record in super().fetch(cursor=cursor):
                yield record

    async def totals() -> set[int | None]:
        async with IngestionPipeline(Estimated(path)).stream_events() as events:
            return {e.estimated_total async for e in events if isinstance(e, BatchProgress)}

    assert trio.run(totals) == {2}
