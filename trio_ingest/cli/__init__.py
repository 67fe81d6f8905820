"""The command line: a door to the engine that does nothing a program could not.

``_command`` says which words there are, ``_ends`` what SOURCE and SINK mean,
``_ingest`` moves the documents, ``_report`` and ``_display`` say what happened.
"""

from __future__ import annotations

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
    """
    try:
        return _command_line(arguments)
    except MissingExtraError as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201 - click, which would, is missing
        return 2


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
