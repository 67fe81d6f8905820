"""Checks that any adapter and any sink must pass."""

from ._adapter_checks import check_adapter
from ._check import Check
from ._sink_checks import check_sink

__all__ = ["Check", "check_adapter", "check_sink"]

Check.__module__ = "trio_ingest.testing"  # the one that users import it from
