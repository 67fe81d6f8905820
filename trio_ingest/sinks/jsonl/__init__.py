"""JSON Lines files as a sink: one document a line."""

from __future__ import annotations

from ._sink import JsonLinesSink

__all__ = ["JsonLinesSink"]
