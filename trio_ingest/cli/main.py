"""The command line as a function: it loads everything else, after the signals."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; those of the process when
            None.

    Returns:
        the exit status: 0 all done; 1 the run failed; 2 usage, configuration or
        a missing file; 3 finished, but documents failed; 130 or 143 stopped by a signal;
        141 the reader of the standard output has gone.

    Nothing but ``SystemExit`` is raised, unless the environment has
    ``TRIO_INGEST_DEBUG``: then an internal error is, with its traceback.

    The program ``trio-ingest`` takes the signals over before it calls this; a
    program that calls it from Python keeps its own.
    """
    try:
        return _command_line(arguments)
    except KeyboardInterrupt:
        _tell("Interrupted.")
        return 130
    except MemoryError:
        _tell("Error: the memory is used up.")
        return 1
    except Exception as error:
        if os.environ.get("TRIO_INGEST_DEBUG"):
            raise
        _tell(
            f"Internal error: {type(error).__name__}: {str(error)[:200]}. Please report it, "
            f"with what TRIO_INGEST_DEBUG=1 shows."
        )
        return 1


def _tell(sentence: str) -> None:
    # Not by click, which may be what is missing.
    try:  # noqa: SIM105 -- contextlib would have to be imported before the signals
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - see above
    except (OSError, ValueError):
        pass  # it has no reader


def _command_line(arguments: Sequence[str] | None) -> int:
    # Not before the signals are taken over: it takes most of the time until the run begins.
    try:
        from .commands.group import invoke  # noqa: PLC0415 - see above
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        _tell(
            "Error: The command line needs click, which is not installed. "
            "Install it: pip install 'trio_ingest[cli]'"
        )
        return 2
    return invoke(arguments)
