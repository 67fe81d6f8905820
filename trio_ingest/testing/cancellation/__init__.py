"""A cancellation at every point where one can come."""

from __future__ import annotations

from ._cancel_everywhere import CancellationReport, cancel_everywhere

__all__ = ["CancellationReport", "cancel_everywhere"]
