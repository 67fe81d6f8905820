"""The program ``trio-ingest``, also as ``python -m trio_ingest``.

Its first act is to take over the signals, before whatever else is imported.
"""

from __future__ import annotations

import sys

from trio_ingest.cli._signals import SIGNALS

SIGNALS.install()


def main() -> int:
    """Run the command line of this process, and return its exit status."""
    from trio_ingest.cli import main as command_line  # noqa: PLC0415 - after the signals

    return command_line()


if __name__ == "__main__":
    sys.exit(main())
