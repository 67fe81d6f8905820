"""Every event, checkpoint and cursor as a line of JSON, and back.

``EventCodec`` writes and reads them; ``event_schema`` is the JSON Schema of what it writes.
"""

from __future__ import annotations

from ._codec import EventCodec
from ._described import OpaqueValue, RecordedError, UnknownEvent
from ._schema import event_schema
from .errors import DecodeError

__all__ = [
    "DecodeError",
    "EventCodec",
    "OpaqueValue",
    "RecordedError",
    "UnknownEvent",
    "event_schema",
]
