"""Killed before and after each statement, commit, write, fsync and rename: nothing is lost."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterable
from pathlib import Path

import pytest

from tests.crash import job
from trio_ingest.testing import crash_everywhere

# Some are bad, and some replace others.
LINES = 110

KINDS = pytest.mark.parametrize("kind", ["sqlite", "rows", "jsonl"])


def crash(kind: str, folder: Path, most: int | None) -> None:
    source = folder / "lines.jsonl"
    job.write_source(source, LINES, characters=40)

    def contents(place: Path) -> Iterable[Hashable]:
        sink = f"{kind}:{place / 'out'}"
        return [*job.hashes(sink), *job.dead_letters(sink)]

    sink = f"{kind}:out"
    program = [sys.executable, "-m", "tests.crash.job", source, sink, "--batch-size=30"]
    # A commit for making the tables, or the side file; four batches and the end.
    # The lock says whose it is, to people; nobody needs that after a crash.
    report = crash_everywhere(
        program, contents, least_fsyncs=5, may_be_unsynced=["*.lock"], most=most
    )
    # Documents, dead letters, checkpoint and commit, four times, on both sides.
    assert report.points > 60
    assert report.crashes == (report.points if most is None else most)


@pytest.mark.one_in(3)
@KINDS
def test_a_crash_at_some_points_loses_nothing_and_doubles_nothing(
    kind: str, tmp_path: Path
) -> None:
    crash(kind, tmp_path, 2)


@pytest.mark.slow
@KINDS
def test_a_crash_at_each_point_loses_nothing_and_doubles_nothing(
    kind: str, tmp_path: Path
) -> None:
    crash(kind, tmp_path, None)
