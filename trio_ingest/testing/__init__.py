"""Tools for testing pipelines, adapters and consumers.

``ScriptedAdapter`` is an adapter that does what a list says, and counts what was done to
it. ``cancel_everywhere`` runs a function again and again and cancels it at each of its
cancellation points in turn. ``run_deterministic`` runs it the same way each time, and
``explore`` looks for a schedule that breaks it. ``crash_everywhere`` kills a program at each
step that its sink takes. ``check_adapter`` and ``check_sink`` hold what each must do.

``strategies`` and ``stateful`` are for Hypothesis, and loaded when they are imported.
"""

from ._check import Check
from .adapter_checks import check_adapter
from .cancellation import CancellationReport, cancel_everywhere
from .crash import CrashReport, crash_everywhere
from .deterministic import ExplorationReport, explore, run_deterministic
from .scripted import (
    BadParse,
    Crash,
    End,
    Fail,
    FailTimes,
    Hang,
    Pause,
    ScriptedAdapter,
    SlowParse,
)
from .sink_checks import check_sink

__all__ = [
    "BadParse",
    "CancellationReport",
    "Check",
    "Crash",
    "CrashReport",
    "End",
    "ExplorationReport",
    "Fail",
    "FailTimes",
    "Hang",
    "Pause",
    "ScriptedAdapter",
    "SlowParse",
    "cancel_everywhere",
    "check_adapter",
    "check_sink",
    "crash_everywhere",
    "explore",
    "run_deterministic",
]
