"""``--events``: every event, as it comes."""

from __future__ import annotations

from trio_ingest import PipelineEvent
from trio_ingest.connectors import adapter_connectors
from trio_ingest.eventlog import EventLines
from trio_ingest.serialization import EventCodec

from .dead_letter_file import MEND


def connector_events() -> list[type[PipelineEvent]]:
    """Return the events that the installed kinds of sources emit."""
    return [event for kind in adapter_connectors().values() for event in kind.events]


def event_codec() -> EventCodec:
    """Return what writes the events of a run, and reads a log, whatever events are in it."""
    # The events of a user's own adapter are written by their fields all the same.
    return EventCodec(connector_events(), unknown_events="keep")


def event_file(path: str) -> EventLines:
    """The file of ``--events``.

    A resumed run adds to the file that is there; its events have a ``pipeline_id`` of their
    own.
    """
    return EventLines(path, who="which --events names", mend=MEND, codec=event_codec())
