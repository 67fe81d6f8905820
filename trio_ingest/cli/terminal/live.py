"""The live display of a terminal: a bar or a counter, and how the run stands."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from typing import Final, TextIO, cast

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.text import Text

from trio_ingest.cli.jobs.run_stats import RunStats
from trio_ingest.cli.signals import SHOW_CURSOR

from .lines import TERMINAL_SECONDS, Outlet
from .text import counted, details, known_total, printable, row

# A longer bar tells nothing more, and pulls the eye from the figures.
_BAR_COLUMNS: Final = 40
# A shorter one tells nothing.
_LEAST_BAR_COLUMNS: Final = 8
_GAP: Final = "  "

# From here on all the other figures have room on one line, with long numbers too. It is
# fixed, so that lines do not come and go while the numbers grow.
_WIDE_COLUMNS: Final = 130
# Retried, in flight, buffer: where there are two lines, they begin the second.
_LESS_IMPORTANT: Final = 3


class View:
    """The figures as two lines, or three where it is narrow.

    Args:
        figures: of one moment.

    Whatever has no room is left out as a whole, and never wrapped or cut. Bold, dim, and
    colours that are the terminal's own can be read on any background; without colours and
    without dim, the bar still shows by its shape how far it has come.
    """

    def __init__(self, figures: RunStats) -> None:
        self._figures = figures

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the lines."""
        # One column stays free: some terminals wrap when the last one is filled.
        columns = options.max_width - 1
        yield self._first_line(columns, "=-" if options.ascii_only else "━─")
        between = ", " if options.ascii_only else " · "
        for parts in _rows(details(self._figures), columns, between):
            yield Text(between).join(Text(part, style=self._style(part)) for part in parts)

    def _first_line(self, columns: int, shapes: str) -> Text:
        wordings = _wordings(self._figures)
        total = known_total(self._figures)
        words = _longest(wordings, columns - len(_GAP) - _LEAST_BAR_COLUMNS)
        if not total or not words:
            return Text(_longest(wordings, columns), style="bold")
        width = min(columns - len(_GAP) - len(words), _BAR_COLUMNS)
        full = width * self._figures.done // total
        return Text.assemble(
            (shapes[0] * full, "cyan"),
            (shapes[1] * (width - full), "dim"),
            _GAP,
            (words, "bold"),
        )

    def _style(self, part: str) -> str:
        if part.endswith(" failed"):
            return "bold red" if self._figures.failed else "dim"
        return "bold" if part.startswith("slowest") else ""


def _wordings(figures: RunStats) -> list[str]:
    """The wordings of the progress, the longest first."""
    words, total = counted(figures), known_total(figures)
    bare = words.rpartition(" ")[0]
    if not total:
        return [words, bare]
    # Rounded down: 100 % is for when nothing is left.
    share = f"{100 * figures.done // total:3}%"
    return [f"{share}{_GAP}{words}", f"{share}{_GAP}{bare}", share]


def _longest(wordings: list[str], columns: int) -> str:
    return next((words for words in wordings if len(words) <= columns), "")


def _rows(parts: list[str], columns: int, between: str) -> list[list[str]]:
    """The parts of one line or of two; those that have no room are left out."""
    if columns >= _WIDE_COLUMNS:
        return [row(parts, columns, between)]
    fit = [part for part in parts[:-_LESS_IMPORTANT] if len(part) <= columns]
    first = row(fit, columns, between)
    rest = fit[len(first) :] + parts[-_LESS_IMPORTANT:]
    return [first, row(rest, columns, between)]


class Live:
    """Shows some lines that move, and sentences above them that stay.

    Args:
        stream: a terminal.
        clock: seconds, from anywhere.

    It has no thread: it is drawn when there is progress, so at least once a second.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown_at = float("-inf")
        # Given the stream itself, rich would end the process when its pipe is broken, and
        # keep all that it could not write.
        self._outlet = Outlet(stream)
        self._console = Console(
            file=cast("TextIO", self._outlet),
            force_terminal=True,
            highlight=False,
            markup=False,
            emoji=False,
        )
        self._live: RichLive | None = None

    def progress(self, figures: Callable[[], RunStats]) -> None:
        """Show ``figures()``, unless the last progress is too recent."""
        now = self._clock()
        if now - self._shown_at < TERMINAL_SECONDS:
            return
        self._shown_at = now
        view = View(figures())
        if self._live is None:
            self._begin(view)
        else:
            self._live.update(view, refresh=True)

    def say(self, sentence: str) -> None:
        """Show a line that stays."""
        self._console.print(Text(printable(sentence)), soft_wrap=True)

    def close(self) -> None:
        """Take the moving lines away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
            atexit.unregister(self._show_cursor)

    def _begin(self, view: View) -> None:
        # A process that ends by an exception may close nothing. The lines stay then, above
        # its traceback, but the cursor must be there again.
        atexit.register(self._show_cursor)
        self._live = RichLive(
            view,
            console=self._console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start(refresh=True)

    def _show_cursor(self) -> None:
        self._outlet.write(SHOW_CURSOR)
        self._outlet.flush()
