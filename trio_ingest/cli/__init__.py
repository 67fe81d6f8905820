"""The command line: a door to the engine that does nothing a program could not.

``_command`` says which words there are, ``_ends`` what SOURCE and SINK mean,
``_ingest`` moves the documents, ``_report`` and ``_display`` say what happened.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

from trio_ingest import MissingExtraError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: the words after the program's name; those of the process when
            None.

    Returns:
        the exit status: 0 all done; 1 the run failed; 2 usage, configuration or
        a missing file; 3 finished, but documents failed; 130 interrupted.

    Nothing but ``SystemExit`` is raised, unless the environment has
    ``TRIO_INGEST_DEBUG``: then an internal error is, with its traceback.
    """
    try:
        return _command_line(arguments)
    except MissingExtraError as error:
        _tell(f"Error: {error}")
        return 2
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
    with contextlib.suppress(OSError, ValueError):
        print(sentence, file=sys.stderr, flush=True)  # noqa: T201 - see above


def _command_line(arguments: Sequence[str] | None) -> int:
    try:
        from ._command import invoke  # noqa: PLC0415 - click may be missing
    except ModuleNotFoundError as error:
        if error.name != "click":
            raise
        raise MissingExtraError(
            "The command line needs click, which is not installed. "
            "Install it: pip install 'trio_ingest[cli]'"
        ) from error
    return invoke(arguments)
