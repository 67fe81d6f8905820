"""``--events``: every event, as it comes."""

from __future__ import annotations

from typing import Final

from trio_ingest.adapters import FileSkipped
from trio_ingest.eventlog import EventLines
from trio_ingest.serialization import EventCodec

from .dead_letter_file import MEND

# The events that our own adapters emit; another's are written by their fields all the same.
EXTRA: Final = (FileSkipped,)


def event_codec() -> EventCodec:
    """What writes the events of a run, and reads a log, with whatever events are in it."""
    return EventCodec(EXTRA, unknown_events="keep")


def event_file(path: str) -> EventLines:
    """The file of ``--events``.

    A resumed run adds to the file that is there; its events have a ``pipeline_id`` of their
    own.
    """
    return EventLines(path, who="which --events names", mend=MEND, codec=event_codec())
