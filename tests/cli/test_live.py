"""What a person at a terminal sees while a run goes on, wide and narrow."""

import contextlib
import io
import os
import pty
import select
import subprocess
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from rich.console import Console

from trio_ingest.cli.jobs.run_stats import RunStats
from trio_ingest.cli.terminal.live import Live, View

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

HIDE_CURSOR, SHOW_CURSOR = "\033[?25l", "\033[?25h"


class Clock:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture(autouse=True)
def _terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)


def figures(**changes: Any) -> RunStats:
    return attrs.evolve(FIGURES, **changes)


def drawn(columns: int, of: RunStats = FIGURES, encoding: str = "utf-8") -> str:
    written = io.BytesIO()
    screen = io.TextIOWrapper(written, encoding=encoding, write_through=True)
    console = Console(file=screen, width=columns, force_terminal=True, color_system="standard")
    console.print(View(of))
    return written.getvalue().decode(encoding)


def shown(columns: int, of: RunStats = FIGURES) -> list[str]:
    screen = io.StringIO()
    console = Console(file=screen, width=columns, color_system=None)
    console.print(View(of))
    return [line.rstrip() for line in screen.getvalue().splitlines()]


# -- what there is room for ---------------------------------------------------------------


def test_a_wide_terminal_has_two_lines() -> None:
    for columns in (140, 200, 1000):
        first, second = shown(columns)
        assert first == f"{'━' * 24}{'─' * 16}   61%  18,304 of 30,000 documents"
        assert second == (
            "6,120 documents/s · 2 failed · 1 min 11 s to go · slowest: parse · "
            "3 retried · 4 in flight · buffer 12 of 100"
        )


def test_an_ordinary_terminal_has_three_and_shows_as_much() -> None:
    assert shown(80) == [
        f"{'━' * 24}{'─' * 16}   61%  18,304 of 30,000 documents",
        "6,120 documents/s · 2 failed · 1 min 11 s to go · slowest: parse",
        "3 retried · 4 in flight · buffer 12 of 100",
    ]


def test_a_narrow_terminal_shows_what_matters_most() -> None:
    assert shown(40) == [
        f"{'━' * 9}{'─' * 6}   61%  18,304 of 30,000",
        "6,120 documents/s · 2 failed",
        "1 min 11 s to go · slowest: parse",
    ]
    assert shown(20) == ["━━━━━━━──────   61%", "6,120 documents/s", "2 failed"]


@pytest.mark.parametrize("total", [None, 30_000])
def test_nothing_is_wrapped_or_cut_at_any_width(total: int | None) -> None:
    of = figures(total=total)
    known = {word for line in shown(200, of) for word in line.split()}
    for columns in range(1, 200):
        lines = shown(columns, of)
        assert len(lines) == (2 if columns > 130 else 3)
        for line in lines:
            assert len(line) < columns
            assert {word for word in line.split() if word.strip("━─")} <= known


def test_an_unknown_total_is_a_counter() -> None:
    assert shown(80, figures(total=None))[0] == "18,304 documents"
    assert shown(12, figures(total=None))[0] == "18,304"


def test_a_total_that_was_exceeded_is_unknown() -> None:
    assert shown(100, figures(total=18_303))[0] == "18,304 documents"


def test_an_empty_source_is_no_division_by_zero() -> None:
    assert shown(80, figures(done=0, total=0))[0] == "0 of 0 documents"


def test_a_hundred_percent_are_for_the_end() -> None:
    assert shown(80, figures(done=29_999))[0].startswith(f"{'━' * 39}─   99%  29,999 of")
    assert shown(80, figures(done=30_000))[0].startswith(f"{'━' * 40}  100%  30,000 of")


def test_an_encoding_without_lines_has_a_bar_of_signs() -> None:
    drawing = drawn(80, encoding="ascii")
    assert "=" * 24 in drawing
    assert "-" * 16 in drawing
    assert "6,120 documents/s, " in drawing


# -- colours ------------------------------------------------------------------------------


def test_failures_are_red_and_none_are_dim() -> None:
    assert "\033[1;31m2 failed\033[0m" in drawn(80)
    assert "\033[2m0 failed\033[0m" in drawn(80, figures(failed=0))


def test_there_is_no_colour_that_a_background_could_swallow() -> None:
    codes = {
        code
        for style in drawn(80).split("\033[")[1:]
        for code in style.partition("m")[0].split(";")
    }
    # Bold, dim, red and cyan.
    assert codes == {"0", "1", "2", "31", "36"}


def test_without_colours_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    drawing = drawn(80)
    assert "2 failed" in drawing
    assert "31m" not in drawing
    assert "36m" not in drawing
    # The bar has an end all the same.
    assert "━" * 24 in drawing
    assert "─" * 16 in drawing


# -- in motion ----------------------------------------------------------------------------


def test_it_is_drawn_ten_times_a_second_at_most() -> None:
    screen, clock = io.StringIO(), Clock()
    display = Live(screen, clock)
    asked = []

    def now() -> RunStats:
        asked.append(clock.seconds)
        return FIGURES

    for _ in range(100):
        clock.seconds += 0.01
        display.progress(now)
    assert 9 <= len(asked) <= 10
    display.close()


def test_the_cursor_is_hidden_while_it_moves_and_only_then() -> None:
    screen = io.StringIO()
    display = Live(screen, Clock())
    display.progress(lambda: FIGURES)
    assert HIDE_CURSOR in screen.getvalue()
    assert SHOW_CURSOR not in screen.getvalue()
    display.close()
    display.close()
    display.say("Done.")
    assert screen.getvalue().endswith("Done.\n")
    assert screen.getvalue().count(HIDE_CURSOR) == screen.getvalue().count(SHOW_CURSOR) == 1


def test_what_cannot_be_written_is_not_kept() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise OSError(5, "Input/output error")

    display = Live(Gone(), Clock())
    for _ in range(100):
        display.say("A sentence.")
    assert not display._console._buffer


# -- in a terminal of its own -------------------------------------------------------------

SCRIPT = """
from tests.cli.test_live import FIGURES
from trio_ingest.cli.terminal.display import display_for

display = display_for()
display.say("Before.")
display.progress(lambda: FIGURES)
display.say("Between.")
"""


def on_a_terminal(script: str) -> str:
    """What a terminal of 80 columns is sent by a process that has run the script."""
    ours, theirs = pty.openpty()
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=Path(__file__).parents[2],
        env=environment | {"TERM": "xterm", "COLUMNS": "80", "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    # At its end Linux answers EIO, others nothing.
    with process, os.fdopen(ours, "rb", buffering=0), contextlib.suppress(OSError):
        while select.select([ours], [], [], 60)[0] and (piece := os.read(ours, 4096)):
            said += piece
    return said.decode()


def screen_after(said: str) -> tuple[list[str], bool]:
    """The lines of a terminal that was sent this, and whether its cursor is there."""
    lines, row, column, visible = [""], 0, 0, True
    while said:
        if said.startswith("\033["):
            end = next(n for n, char in enumerate(said[2:], 2) if char.isalpha())
            code, said = said[2 : end + 1], said[end + 1 :]
            if code == "2K":
                lines[row] = ""
            elif code.endswith("A"):
                row -= int(code[:-1] or 1)
            elif code in {"?25l", "?25h"}:
                visible = code == "?25h"
            else:
                assert code.endswith("m")
            continue
        char, said = said[0], said[1:]
        if char == "\r":
            column = 0
        elif char == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        else:
            lines[row] = lines[row].ljust(column)[:column] + char + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines], visible


def test_a_terminal_has_the_sentences_above_the_lines_that_move() -> None:
    said = on_a_terminal(SCRIPT + "import os; os._exit(0)")
    assert screen_after(said) == (["Before.", "Between.", *shown(80)], False)


def test_closing_leaves_clean_lines_and_the_cursor() -> None:
    said = on_a_terminal(SCRIPT + "display.close(); display.say('After.')")
    lines, visible = screen_after(said)
    assert lines[:3] == ["Before.", "Between.", "After."]
    assert not any(lines[3:])
    assert visible
    # The end of the process has nothing to add.
    assert said.count(SHOW_CURSOR) == 1


def test_a_process_that_does_not_get_to_closing_leaves_the_cursor() -> None:
    said = on_a_terminal(SCRIPT + "raise RuntimeError('a mistake of ours')")
    assert "a mistake of ours" in said
    assert screen_after(said)[1]
