"""Tools for testing pipelines, adapters, sinks and consumers.

``ScriptedAdapter`` yields what a list says. ``run_deterministic`` runs an async function the
same way each time, ``explore`` searches for a schedule that breaks it, ``cancel_everywhere``
cancels it at each of its cancellation points. ``crash_everywhere`` kills a program at each
step of its sink. ``check_adapter`` and ``check_sink`` make conformance tests.

``strategies`` and ``stateful`` need Hypothesis, and are loaded when they are imported.
"""

from typing import TYPE_CHECKING

# On demand: a process that is going to be killed imports this package.
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

# The module of each name; those without an entry are in ``scripted``. A test holds it
# together with the imports above.
_MODULES = {
    "CancellationReport": "cancellation",
    "Check": "conformance",
    "CrashReport": "crash",
    "ExplorationReport": "deterministic",
    "cancel_everywhere": "cancellation",
    "check_adapter": "conformance",
    "check_sink": "conformance",
    "crash_everywhere": "crash",
    "explore": "deterministic",
    "run_deterministic": "deterministic",
}

# Hidden from type checkers, for whom every name would exist otherwise.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module 'trio_ingest.testing' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415 - as above

        module = import_module(f"{__name__}.{_MODULES.get(name, 'scripted')}")
        value = globals()[name] = getattr(module, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
