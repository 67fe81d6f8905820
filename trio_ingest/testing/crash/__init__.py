"""A real process that is killed at every step."""

from __future__ import annotations

from ._crash_everywhere import CrashReport, crash_everywhere

__all__ = ["CrashReport", "crash_everywhere"]
