"""``crash_everywhere`` finds each mistake that a sink can make, and says where."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.testing import bad_programs
from trio_ingest import SetupError
from trio_ingest.testing import CrashReport, crash_everywhere

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def steps_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Coverage would write files in the watched processes, and each write is a step."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


def lines(folder: Path) -> list[str]:
    path = folder / bad_programs.OUT
    return path.read_text().splitlines() if path.exists() else []


def rows(folder: Path) -> list[int]:
    with closing(sqlite3.connect(folder / "out.db")) as database:
        return [number for (number,) in database.execute("SELECT number FROM numbers")]


def crash(mistake: str, contents: Any = lines, **options: Any) -> CrashReport:
    program = [sys.executable, ROOT / "tests" / "testing" / "bad_programs.py", mistake]
    return crash_everywhere(program, contents, **options)


@pytest.mark.one_in(4)
@pytest.mark.parametrize(
    ("mistake", "options", "message"),
    [
        (
            "checkpoint_first",
            {"most": 4},
            r"killed after .* at bad_programs.py:\d+ in keep_done \(point \d+ of 28.*: 2 lost",
        ),
        pytest.param(
            "documents_first",
            {},
            r"killed after .* in append .*: 2 there twice, the first '0'\.",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "by_pieces",
            {"guarantee": "at-least-once"},
            r"killed after write .*: 1 lost, .*; 1 never written undisturbed, .* '0000'\.",
            marks=pytest.mark.slow,
        ),
        (
            "locked",
            {},
            r"the run after it ended with 1\. It said:(.|\n)*FileExists",
        ),
        (
            "in_two_transactions",
            {"contents": rows, "most": 3},
            r"COMMIT at bad_programs.py:\d+ in in_two_transactions.*: [24] lost",
        ),
        (
            "far_away",
            {"contents": rows, "least_fsyncs": 0},
            r"killed crash point 'the numbers are stored' at .*in far_away .*: 2 there twice",
        ),
        ("not_synced", {}, r"synced 0 times, and least_fsyncs is 1.*Call os\.fsync"),
        ("checkpoint_alone_is_synced", {}, r"left 1 files written and not synced, .* 'out'"),
        ("resumes_in_place", {"most": 5}, r"killed .*, and then .*: \d lost"),
        ("breaks_when_done", {}, r"not killed, and run again .*: .* ended with 7\. It said:"),
        pytest.param(
            "never_ends",
            {"timeout_seconds": 2},
            r"the run after it had not ended after 2 sec",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_mistake_is_found_and_its_line_is_named(
    mistake: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        crash(mistake, **options)


@pytest.mark.parametrize("most", [2, pytest.param(7, marks=pytest.mark.slow)])
def test_a_sink_that_keeps_its_promise_passes(most: int) -> None:
    report = crash("documents_first", guarantee="at-least-once", least_fsyncs=4, most=most)
    # Twice: two files opened, two written, two synced, one renamed; on both sides.
    assert report.points == 2 * 7 * 2
    assert report == CrashReport(28, most, report.runs, 4, report.crashes_again)
    assert 2 + 2 * most < report.runs <= 2 + 3 * most
    # A run after a late crash has fewer steps than are counted for it.
    assert 0 < report.crashes_again < most


@pytest.mark.parametrize("most", [1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("program", ["by_keywords", "with_helpers"])
def test_a_program_is_watched_without_being_disturbed(program: str, most: int) -> None:
    report = crash(program, most=most, timeout_seconds=30)
    assert report.crashes == most


def test_some_steps_are_tried_when_all_are_too_many() -> None:
    report = crash("documents_first", guarantee="at-least-once", most=1, processes=1)
    assert report.crashes == 1
    assert report.points == 28


@pytest.mark.parametrize(
    ("mistake", "options", "message"),
    [
        ("fails", {}, r"ended with 3 although nothing disturbed it(.|\n)*\n    no such thing"),
        ("writes_nothing", {}, "took no step that can be seen: it must be a Python program"),
        ("documents_first", {"contents": lambda _: []}, "found nothing after an undisturbed"),
        ("documents_first", {"contents": lambda _: [[]]}, "can be compared and hashed"),
        ("documents_first", {"guarantee": "at-least-once", "most": 0}, "at least 1"),
    ],
)
def test_what_cannot_be_tried_is_said(
    mistake: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(SetupError, match=message):
        crash(mistake, **options)


@pytest.mark.slow
def test_contents_that_cannot_be_read_after_a_crash_are_a_finding() -> None:
    def whole(folder: Path) -> list[float]:
        return [1 / (int(line) < 100) for line in lines(folder)]

    said = r"killed .* in by_pieces .*: contents raised ZeroDivisionError: "
    with pytest.raises(AssertionError, match=said):
        crash("by_pieces", whole, guarantee="at-least-once")


def test_a_command_that_is_not_there_is_said() -> None:
    with pytest.raises(SetupError, match=r"cannot be started: .*no-such-program"):
        crash_everywhere(["no-such-program"], lines)
