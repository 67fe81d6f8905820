"""Tools for testing pipelines, adapters and consumers.

``ScriptedAdapter`` is an adapter that does what a list says, and counts what was done to
it. ``cancel_everywhere`` runs a function again and again and cancels it at each of its
cancellation points in turn. ``run_deterministic`` runs it the same way each time, and
``explore`` looks for a schedule that breaks it. ``crash_everywhere`` kills a program at each
step that its sink takes. ``check_adapter`` and ``check_sink`` hold what each must do.

``strategies`` and ``stateful`` are for Hypothesis, and loaded when they are imported.
"""

from typing import TYPE_CHECKING

# On demand, for what a process that is going to be killed has to import.
if TYPE_CHECKING:
    from .cancellation import CancellationReport, cancel_everywhere
    from .conformance import Check, check_adapter, check_sink
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

# Where each name lives; a test holds it together with the imports above.
_HOMES = {
    name: home
    for home, names in {
        "conformance": ("Check", "check_adapter", "check_sink"),
        "cancellation": ("CancellationReport", "cancel_everywhere"),
        "crash": ("CrashReport", "crash_everywhere"),
        "deterministic": ("ExplorationReport", "explore", "run_deterministic"),
        "scripted": (
            *("BadParse", "Crash", "End", "Fail", "FailTimes", "Hang", "Pause"),
            *("ScriptedAdapter", "SlowParse"),
        ),
    }.items()
    for name in names
}

# Hidden from type checkers, for whom every name would exist otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'trio_ingest.testing' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - as above

        value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
        globals()[name] = value  # so that the next one need not ask
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
