"""``--events``: every event, as it comes."""

from __future__ import annotations

from typing import Final

from trio_ingest import BatchProgress, PipelineEvent
from trio_ingest.adapters import FileSkipped

from ._ndjson import LinesFile

# The events that our own adapters emit; another's are written by their fields all the same.
EXTRA: Final = (FileSkipped,)


class EventFile(LinesFile):
    """Writes every event of a run as a line of JSON.

    Args:
        path: the file; ``-`` is standard output, whose reader holds up the run when it is
            slow.

    A resumed run adds to the file that is there; its events have a ``pipeline_id`` of their
    own. Lines reach the reader at each progress event, so at least once a second.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            "--events",
            path,
            beginning=b'{"type":"',
            further=(b'"version":', b'"pipeline_id":', b'"sequence":'),
        )
        # Not for every run: cattrs takes a while to load.
        from trio_ingest.serialization import EventCodec  # noqa: PLC0415

        self._codec = EventCodec(EXTRA)

    def take(self, event: PipelineEvent) -> None:
        """Write an event.

        Raises:
            OutputClosed: the reader of standard output has gone.
            OutputError: it cannot be written any more.
        """
        self.write(self._codec.encode(event))
        if type(event) is BatchProgress:
            self.flush()
