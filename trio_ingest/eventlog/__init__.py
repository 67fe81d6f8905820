"""Consumers of a stream that keep it, give it again, and hold it against what it promises.

``_recorder`` writes a log through ``_event_lines``, ``_replay`` is a stream of what ``_log``
reads, ``_verify`` drives the engine's own book with it.
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
