"""Every event, checkpoint and cursor as a line of JSON, and back."""

from ._codec import EventCodec, event_schema
from ._values import OpaqueValue, UnknownEvent
from .errors import DecodeError

__all__ = ["DecodeError", "EventCodec", "OpaqueValue", "UnknownEvent", "event_schema"]

for _public in (DecodeError, EventCodec, OpaqueValue, UnknownEvent):
    _public.__module__ = __name__
