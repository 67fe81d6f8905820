"""Checks that any adapter and any sink must pass."""

from __future__ import annotations

from ._adapter_checks import check_adapter
from ._check import Check
from ._sink_checks import check_sink

__all__ = ["Check", "check_adapter", "check_sink"]
