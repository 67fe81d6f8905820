"""The effect of Ctrl-C, SIGTERM and SIGHUP, from the first import to the last line.

This file imports next to nothing, and nothing of ours: it comes before everything else,
so that a signal during the imports finds its handler. An exception raised there could end
up anywhere, in an import lock's callback for one, and be printed as a traceback.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType

_STANDARD_ERROR = 2

# The live display hides it.
SHOW_CURSOR = "\033[?25h"

# A program that forwards signals to its children (timeout, a package runner) and shares their
# terminal gives them one Ctrl-C twice, within milliseconds; a finger takes longer.
_SAME_SIGNAL_SECONDS = 0.05

# An abort takes milliseconds, unless a lock or a disk does not answer; a person has waited
# long enough then, and a killed run can be resumed.
_ABORT_SECONDS = 1.0

_ABORTED = "Aborted. What was stored before stays, and can be gone on from."

_NAMES: dict[int, str] = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}
if hasattr(signal, "SIGHUP"):
    _NAMES[signal.SIGHUP] = "SIGHUP"  # the terminal has gone


class Signals:
    """The handler of these signals for the whole process.

    Before anything listens, a signal ends the process at once: nothing has been begun.
    While something listens, it is asked to drain, then to abort, and a third signal ends
    the process. When nothing listens any more, the end is near, and is not held up.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self._is_installed = False
        self._heard_at = float("-inf")
        self._asked = 0
        self._late = 0
        self._ask: Callable[[int], None] | None = None
        self._is_over = False

    @property
    def exit_status(self) -> int:
        """The exit status when a signal has ended the run."""
        return 128 + (signal.SIGINT if self.first is None else self.first)

    @property
    def name(self) -> str:
        """The name of the first signal for people."""
        return _NAMES[self.first or signal.SIGINT]

    def install(self) -> None:
        """Take the signals over for good; those that are ignored stay ignored."""
        try:
            for number in _NAMES:
                # A shell lets its background jobs ignore Ctrl-C.
                if signal.getsignal(number) is not signal.SIG_IGN:
                    signal.signal(number, self._handle)
        except ValueError:
            return  # not the main thread: its owner decides about signals
        self._is_installed = True

    def listen(self, ask: Callable[[int], None]) -> None:
        """Let ``ask`` hear of signals, with 1 for the first and 2 for the second.

        Called from the handler, between any two steps of the main thread, so it must do
        nothing but pass the word on, or raise an exception.
        """
        self._ask = ask

    def listen_no_more(self) -> None:
        """Ignore signals from now on: the end is near, and one would only spoil it."""
        self._is_over = True
        self._ask = None
        if self._asked > 1:
            self._set_alarm(0)

    def ignore(self) -> None:
        """Hear of no signal any more: all is said and done.

        Python takes our handler away before the process has ended, but leaves this.
        """
        if self._is_installed:
            for number in _NAMES:
                signal.signal(number, signal.SIG_IGN)

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        # Before anything else is called: a handler can be interrupted by the next signal.
        now = time.monotonic()
        if now - self._heard_at < _SAME_SIGNAL_SECONDS:
            return
        self._heard_at = now
        if self.first is None:
            self.first = number
        if self._ask is None:
            self._heard_by_nobody()
            return
        self._asked += 1
        if self._asked > 2:
            self._leave(_ABORTED)
        if self._asked == 2:
            self._set_alarm(_ABORT_SECONDS)
        self._ask(self._asked)

    def _heard_by_nobody(self) -> None:
        if not self._is_over:
            self._leave("Interrupted.")
        # What is said at the end may never be read, and then nothing else would end it.
        self._late += 1
        if self._late > 1:
            self._leave(_ABORTED)

    def _set_alarm(self, seconds: float) -> None:
        if self._is_installed and hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, lambda *_: self._leave(_ABORTED))
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def say(self, sentence: str) -> bool:
        """Write to standard error from the handler; True when it can have been read."""
        try:
            # Without a reader, the word is left out, and not the end.
            if os.name == "posix" and not select.select([], [_STANDARD_ERROR], [], 0)[1]:
                return False
            # The live display may have no time to bring it back.
            cursor = SHOW_CURSOR if os.isatty(_STANDARD_ERROR) else ""
            os.write(_STANDARD_ERROR, f"{cursor}\n{sentence}\n".encode())
        except (OSError, ValueError):
            return False
        return True

    def _leave(self, sentence: str) -> None:
        # Not by print: what was interrupted may be in the middle of printing.
        self.say(sentence)
        os._exit(self.exit_status)


SIGNALS = Signals()
