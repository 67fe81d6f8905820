"""The start of a watched process, whose steps are counted from here on."""

from __future__ import annotations

import json
import os

from ._steps import VARIABLE, StepCounter


def begin() -> None:
    """Watch this process, if the environment says so."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return
    # Not in a process that is not to be watched.
    from trio_ingest.delivery import watch_crash_points  # noqa: PLC0415 - see above

    from ._files import watch_files  # noqa: PLC0415 - the same
    from ._sqlite import watch_sqlite  # noqa: PLC0415 - the same

    counter = StepCounter(**json.loads(text))
    watch_crash_points(lambda step: counter.reach(f"crash point {step!r:.60}"))
    watch_sqlite(counter)
    watch_files(counter)
