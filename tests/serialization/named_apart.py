"""Events whose annotations are text: a name of ours, and one for type checkers only."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import attrs

from trio_ingest import PipelineEvent

if TYPE_CHECKING:
    from decimal import Decimal


class Position(enum.Enum):
    """Called as a class of ours is."""

    TOP = "top"


@attrs.frozen(kw_only=True)
class Placed(PipelineEvent):
    at: Position
    count: int
    price: Decimal | None = None
