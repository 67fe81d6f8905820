"""Crashes of a real process at every step of its sink."""

from ._crash_everywhere import CrashReport, crash_everywhere

__all__ = ["CrashReport", "crash_everywhere"]

CrashReport.__module__ = "trio_ingest.testing"  # the one that users import it from
