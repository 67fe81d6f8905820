"""``--events``: every event, as it comes."""

from __future__ import annotations

from trio_ingest import BatchProgress, PipelineEvent

from ._event_json import line_of
from ._ndjson import LinesFile


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
            beginning=b'{"type": "',
            further=(b'"version": ', b'"pipeline_id": ', b'"sequence": '),
        )

    def take(self, event: PipelineEvent) -> None:
        """Write an event.

        Raises:
            OutputClosed: the reader of standard output has gone.
            OutputError: it cannot be written any more.
        """
        self.write(line_of(event))
        if type(event) is BatchProgress:
            self.flush()
