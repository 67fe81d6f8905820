"""The live display of a terminal: a bar or a counter, and how the run stands."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ._figures import Figures
from ._lines import TERMINAL_SECONDS
from ._words import counted, details, fitting, known_total, printable

# A longer bar tells nothing more, and pulls the eye from the figures.
_BAR_COLUMNS: Final = 40
# A shorter one tells nothing.
_LEAST_BAR_COLUMNS: Final = 8


class View:
    """The figures as two lines, in as many columns as there are.

    Args:
        figures: of one moment.

    Colours are the terminal's own basic ones, so they can be read on its background.
    """

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give rich the lines."""
        # One column stays free: some terminals wrap when the last one is filled.
        columns = options.max_width - 1
        yield self._first_line(columns)
        yield self._second_line(columns, ", " if options.ascii_only else " · ")

    def _first_line(self, columns: int) -> Table | Text:
        figures, total = self._figures, known_total(self._figures)
        words = counted(figures)
        if total:
            words = f"{min(figures.done / total, 1):4.0%}  {words}"
        room = min(columns - len(words) - 2, _BAR_COLUMNS)
        if len(words) > columns:
            words = fitting([counted(figures)], columns)
        text = Text(words, style="bold", no_wrap=True)
        if not total or room < _LEAST_BAR_COLUMNS:
            return text
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_row(
            ProgressBar(
                total=total,
                completed=figures.done,
                width=room,
                style="dim",
                complete_style="cyan",
                finished_style="cyan",
            ),
            text,
        )
        return line

    def _second_line(self, columns: int, between: str) -> Text:
        line = Text(fitting(details(self._figures), columns, between), no_wrap=True)
        if self._figures.failed:
            line.highlight_regex(r"[\d,]+ failed", "bold red")
        line.highlight_regex(r"slowest: \w+", "yellow")
        return line


class Live:
    """Shows two lines that move, and sentences above them that stay.

    Args:
        stream: a terminal.
        clock: seconds, from anywhere.

    It has no thread: it is drawn when there is progress, so at least once a second.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._shown_at = float("-inf")
        self._console = Console(
            file=stream, force_terminal=True, highlight=False, markup=False, emoji=False
        )
        self._live: RichLive | None = None

    def progress(self, figures: Callable[[], Figures]) -> None:
        """Show ``figures()``, unless the last progress is too recent."""
        now = self._clock()
        if now - self._shown_at < TERMINAL_SECONDS:
            return
        self._shown_at = now
        view = View(figures())
        with suppress(OSError, ValueError):
            if self._live is None:
                self._live = RichLive(
                    view,
                    console=self._console,
                    auto_refresh=False,
                    transient=True,
                    redirect_stdout=False,
                    redirect_stderr=False,
                )
                self._live.start(refresh=True)
            else:
                self._live.update(view, refresh=True)

    def say(self, sentence: str) -> None:
        """Show a line that stays."""
        encoding = self._console.encoding or "utf-8"
        text = printable(sentence).encode(encoding, errors="backslashreplace").decode(encoding)
        with suppress(OSError, ValueError):
            self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Take the two lines away."""
        live, self._live = self._live, None
        if live is not None:
            with suppress(OSError, ValueError):
                live.stop()
