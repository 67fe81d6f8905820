"""The program ``trio-ingest``, also as ``python -m trio_ingest``.

Its first act is to take over the signals, before whatever else is imported.
"""

from __future__ import annotations

import os
import sys

from trio_ingest.cli.signals import SIGNALS


def main() -> int:
    """Run the command line of this process, and return its exit status."""
    SIGNALS.install()
    _fill_closed_streams()
    from .cli.main import main as command_line  # noqa: PLC0415 - after the signals

    try:
        return command_line()
    finally:
        SIGNALS.ignore()


def _fill_closed_streams() -> None:
    # Started without one of the three, a program would find the next file that we open in
    # its place, and what is said there would be written into that file.
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    sys.exit(main())
