"""The start of a watched process: its orders are read, and its steps counted from here."""

from __future__ import annotations

import json
import os

from ._steps import ORDERS, Orders, Points


def begin() -> None:
    """Do what the environment says, if it says anything."""
    text = os.environ.pop(ORDERS, None)
    if text is None:
        return
    # Not in a process that is none of ours.
    from trio_ingest.delivery import watch_crash_points  # noqa: PLC0415 - see above

    from ._files import watch_files  # noqa: PLC0415 - the same
    from ._sqlite import watch_sqlite  # noqa: PLC0415 - the same

    points = Points(Orders(**json.loads(text)))
    watch_crash_points(lambda step: points.here(f"crash point {step!r:.60}"))
    watch_sqlite(points)
    watch_files(points)
