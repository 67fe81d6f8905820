"""Cancellation of a function at every point where it can come."""

from ._cancel_everywhere import CancellationReport, cancel_everywhere

__all__ = ["CancellationReport", "cancel_everywhere"]

CancellationReport.__module__ = "trio_ingest.testing"  # the one that users import it from
