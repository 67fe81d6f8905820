"""The command line, sent a signal by itself at one step of its life.

    python signal_at.py STEP SIGNAL WORDS...

The steps are the calls of functions in the main thread, from the moment when the program
has taken the signals over; those of Python's own start and end belong to Python. Without a
STEP ("-"), their number is written to standard output at the end.
"""

import os
import sys
from types import FrameType


class Steps:
    """Counts the calls, and sends the signal at one of them."""

    def __init__(self, place: int | None, number: int) -> None:
        self.place = place
        self.number = number
        self.count = 0

    def watch(self, _frame: FrameType, event: str, _argument: object) -> None:
        if event not in {"call", "c_call"}:
            return
        self.count += 1
        if self.count == self.place:
            sys.setprofile(None)
            os.kill(os.getpid(), self.number)


steps = Steps(None if sys.argv[1] == "-" else int(sys.argv[1]), int(sys.argv[2]))
sys.argv[:] = ["trio-ingest", *sys.argv[3:]]

from trio_ingest.__main__ import main  # noqa: E402 -- the words come first
from trio_ingest.cli.signals import SIGNALS  # noqa: E402 -- the same

SIGNALS.install()
sys.setprofile(steps.watch)
status = main()
# As far as this process can count its own steps: what follows is the interpreter's end.
if steps.place is None:
    sys.setprofile(None)
    os.write(1, b"%d" % steps.count)
sys.exit(status)
