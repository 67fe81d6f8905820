"""When progress is shown, on a clock of the test's own."""

import io

import pytest

from trio_ingest import Checkpoint
from trio_ingest.cli._display import Display
from trio_ingest.cli._report import Report
from trio_ingest.delivery import DeliveryReport, Totals


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_log_has_a_line_every_ten_seconds() -> None:
    log, clock = io.StringIO(), Clock()
    report = Report(["documents.db"], Display(log, clock), clock)
    for second in range(1, 36):
        clock.seconds += 1
        totals = {"sink": Totals(completed=1000 * second)}
        report.committed(DeliveryReport(checkpoint=Checkpoint(()), totals=totals))
        report.progress()
    assert log.getvalue().splitlines() == [
        "10,000 documents, 0 failed, 10.0 seconds, 1,000 documents/s",
        "20,000 documents, 0 failed, 20.0 seconds, 1,000 documents/s",
        "30,000 documents, 0 failed, 30.0 seconds, 1,000 documents/s",
    ]


def test_a_terminal_has_one_line_that_moves_and_is_wiped_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen, clock = Terminal(), Clock()
    display = Display(screen, clock)
    for line in ("a longer line", "too early", "short"):
        clock.seconds += 0.06
        display.progress(lambda line=line: line)  # type: ignore[misc]
    clock.seconds += 1
    display.progress(lambda: "last")
    display.say("Done.")
    assert screen.getvalue() == "\rtoo early\rlast     \r    \rDone.\n"


def test_a_dumb_terminal_is_written_to_as_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    screen, clock = Terminal(), Clock()
    display = Display(screen, clock)
    clock.seconds += 10
    display.progress(lambda: "a line")
    assert screen.getvalue() == "a line\n"


def test_a_line_wider_than_the_terminal_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("TERM", "xterm")
    screen, clock = Terminal(), Clock()
    display = Display(screen, clock)
    clock.seconds += 1
    display.progress(lambda: "x" * 50)
    assert screen.getvalue() == "\r" + "x" * 19


def test_only_the_first_failures_are_kept() -> None:
    log = io.StringIO()
    report = Report(["documents.db"], Display(log))
    for number in range(21):
        report.document_failed(f"line {number}")
    report.finished()
    said = log.getvalue().splitlines()
    assert said[1:3] == ["Failed documents:", "  line 0"]
    assert said[-2:] == ["  line 19", "  … and 1 more."]
