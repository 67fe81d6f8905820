"""The JSON Schema of the lines, made of the same forms that write and read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._classes import Known


def event_schema(extra: Iterable[type] = ()) -> dict[str, Any]:
    """The JSON Schema of a line, draft 2020-12.

    Args:
        extra: as of ``EventCodec``.

    Raises:
        SetupError: as there.
    """
    from ._codec import known_of

    return schema_of(known_of(extra))


def schema_of(known: Known) -> dict[str, Any]:
    return {}
