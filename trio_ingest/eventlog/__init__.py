"""The events of runs in a file: recorded, replayed, and verified.

``_recorder`` writes a log through ``_event_lines``, ``_log`` reads it. ``_replay`` is a stream
of what is read, its checkpoints come from ``_replay_progress``. ``_verify`` gives each run to
a ``_run_checker``, which holds it against the engine's own state machine.
"""

from __future__ import annotations

from ._event_lines import EventLines
from ._findings import Finding, RunReport, VerifyReport
from ._log import RecordedRun, recorded_runs
from ._recorder import Recorder
from ._replay import ReplayStream, replay
from ._verify import verify
from .errors import EventLogError

__all__ = [
    "EventLines",
    "EventLogError",
    "Finding",
    "RecordedRun",
    "Recorder",
    "ReplayStream",
    "RunReport",
    "VerifyReport",
    "recorded_runs",
    "replay",
    "verify",
]
