"""Tools for testing pipelines, adapters and consumers.

``ScriptedAdapter`` is an adapter that does what a list says, and counts what was done to
it. ``cancel_everywhere`` runs a function again and again and cancels it at each of its
cancellation points in turn.
"""

from .cancellation import CancellationReport, cancel_everywhere
from .scripted import Crash, Fail, FailTimes, Pause, ScriptedAdapter, SlowParse

__all__ = [
    "CancellationReport",
    "Crash",
    "Fail",
    "FailTimes",
    "Pause",
    "ScriptedAdapter",
    "SlowParse",
    "cancel_everywhere",
]
