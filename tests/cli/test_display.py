"""What is shown while a run goes on, on a clock of the test's own."""

import fcntl
import io
import os
import pty
import struct
import sys
import termios
from typing import Any

import pytest

from trio_ingest.cli.jobs.run_stats import RunStats
from trio_ingest.cli.terminal.display import display_for
from trio_ingest.cli.terminal.lines import Lines, MovingLine
from trio_ingest.cli.terminal.live import Live
from trio_ingest.cli.terminal.report import Report
from trio_ingest.cli.terminal.text import details, fitting, printable, span


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        super().isatty()  # raises when it is closed
        return True


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


FIGURES = RunStats(
    done=18_304,
    total=30_000,
    failed=2,
    retried=3,
    in_flight=4,
    queue_depth=12,
    buffer_size=100,
    elapsed_seconds=3.0,
    documents_per_second=6120.4,
    eta_seconds=71.2,
    bottleneck="parse",
)
IN_ONE_LINE = (
    "18,304 of 30,000 documents, 6,120 documents/s, 2 failed, 1 min 11 s to go, "
    "slowest: parse, 3 retried, 4 in flight, buffer 12 of 100"
)


def figures(**changes: Any) -> RunStats:
    from attrs import evolve

    return evolve(FIGURES, **changes)


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


# -- which display ------------------------------------------------------------------------


def test_a_terminal_has_the_live_display() -> None:
    assert type(display_for(Terminal())) is Live


def test_without_rich_a_line_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.delitem(sys.modules, "trio_ingest.cli.terminal.live", raising=False)
    assert type(display_for(Terminal())) is MovingLine


@pytest.mark.parametrize("why", ["no terminal", "dumb", "unknown", "unwanted", "closed"])
def test_elsewhere_there_are_lines(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO() if why == "no terminal" else Terminal()
    if why in {"dumb", "unknown"}:
        monkeypatch.setenv("TERM", why)
    if why == "closed":
        stream.close()
    assert type(display_for(stream, progress=why != "unwanted")) is Lines


# -- lines --------------------------------------------------------------------------------


def test_a_log_has_a_line_every_ten_seconds() -> None:
    log, clock = io.StringIO(), Clock()
    display = display_for(log, clock=clock)
    for second in range(1, 36):
        clock.seconds += 1
        display.progress(lambda n=second: figures(done=n * 100))  # type: ignore[misc]
    said = log.getvalue().splitlines()
    assert [line.partition(" of ")[0] for line in said] == ["1,000", "2,000", "3,000"]


def test_a_line_says_everything() -> None:
    log, clock = io.StringIO(), Clock()
    display = display_for(log, clock=clock)
    clock.seconds += 10
    display.progress(lambda: FIGURES)
    assert log.getvalue() == f"{IN_ONE_LINE}\n"


def test_no_progress_says_only_sentences() -> None:
    log, clock = io.StringIO(), Clock()
    display = display_for(log, progress=False, clock=clock)
    clock.seconds += 100
    display.progress(lambda: FIGURES)
    display.say("Done.")
    assert log.getvalue() == "Done.\n"


def test_a_line_that_moves_is_written_over_and_wiped_at_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen, clock = Terminal(), Clock()
    display = MovingLine(screen, clock)
    for done in (100_000, 1, 2):
        clock.seconds += 0.06
        display.progress(lambda n=done: figures(done=n, total=None))  # type: ignore[misc]
    clock.seconds += 1
    display.progress(lambda: figures(done=3, total=None))
    display.say("Done.")
    assert screen.getvalue().split("\r") == [
        "",
        "1 document, 6,120 documents/s, 2 failed",
        "3 documents, 6,120 documents/s         ",
        " " * 30,
        "Done.\n",
    ]


def test_a_line_that_moves_is_as_wide_as_its_own_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = pty.openpty()
    try:
        # Standard output is another one, or none.
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 40, 0, 0))
        with open(theirs, "w", encoding="utf-8", closefd=False) as screen:
            clock = Clock()
            display = MovingLine(screen, clock)
            clock.seconds += 1
            display.progress(lambda: FIGURES)
            assert os.read(ours, 1000) == b"\r18,304 of 30,000 documents"
            # What would be blanked is longer than what is left.
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 20, 10, 0, 0))
            display.close()
            assert os.read(ours, 1000) == b"\r" + b" " * 9 + b"\r"
    finally:
        os.close(ours)
        os.close(theirs)


# -- foreign texts, and streams that fail ---------------------------------------------------


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_what_a_terminal_would_obey_is_spelled_out(stream: type[io.StringIO]) -> None:
    screen = stream()
    display_for(screen).say("bad\033[2Jname[red]\u202e\ud800\r\n'é'")
    said = screen.getvalue()
    assert said == "bad\\x1b[2Jname[red]\\u202e\\ud800\\r\\n'é'\n"


@pytest.mark.parametrize("tty", [True, False])
def test_what_the_encoding_lacks_is_spelled_out(tty: bool) -> None:
    class Ascii(io.TextIOWrapper):
        def isatty(self) -> bool:
            return tty

    written = io.BytesIO()
    display = display_for(Ascii(written, encoding="ascii", write_through=True))
    display.progress(lambda: FIGURES)
    display.say("Café …")
    display.close()
    assert b"Caf\\xe9 \\u2026\n" in written.getvalue()


@pytest.mark.parametrize(
    "error",
    [
        OSError(28, "No space left on device"),
        # rich answers this one by ending the process.
        BrokenPipeError(32, "Broken pipe"),
        BlockingIOError(11, "Resource temporarily unavailable"),
        ValueError("I/O operation on closed file"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("kind", ["live", "moving", "lines"])
def test_nothing_is_raised_where_nothing_can_be_written(kind: str, error: Exception) -> None:
    class Full(io.StringIO):
        def isatty(self) -> bool:
            return kind != "lines"

        def write(self, _text: str) -> int:
            raise error

    clock = Clock()
    make = MovingLine if kind == "moving" else display_for
    display = make(Full(), clock=clock)
    for _ in range(3):
        clock.seconds += 10
        display.progress(lambda: FIGURES)
        display.say("A sentence.")
    display.close()


def test_without_standard_error_nothing_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    clock = Clock()
    display = display_for(clock=clock)
    clock.seconds += 10
    display.progress(lambda: FIGURES)
    display.say("A sentence.")
    display.close()


def test_a_long_sentence_is_not_broken_into_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    screen = Terminal()
    display_for(screen).say("word " * 40 + "end")
    assert screen.getvalue() == "word " * 40 + "end\n"


# -- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h 0 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_time_has_two_units(seconds: float, words: str) -> None:
    assert span(seconds) == words


def test_parts_are_dropped_whole() -> None:
    assert fitting(["one", "two", "three"], 8) == "one, two"
    assert fitting(["one", "two", "three"], 7) == "one"
    assert fitting(["one"], 2) == "on"


def test_what_is_not_known_is_not_shown() -> None:
    bare = details(figures(eta_seconds=None, bottleneck=None))
    assert not [part for part in bare if "to go" in part or "slowest" in part]


def test_printable_text_is_left_alone() -> None:
    assert printable("naïve, 日本語 [bold]") == "naïve, 日本語 [bold]"


# -- the report ----------------------------------------------------------------------------


def test_only_the_first_failures_are_kept_and_the_result_is_the_last_line() -> None:
    log = io.StringIO()
    report = Report(["documents.db"], display=display_for(log))
    for number in range(11):
        report.document_failed(f"line {number}")
    report.finished()
    said = log.getvalue().splitlines()
    assert said[:2] == ["Failed documents:", "  line 0"]
    assert said[-3:-1] == ["  line 9", "  … and 1 more."]
    assert said[-1].startswith("Done: 0 documents")
