"""``--events``: every event, as it comes."""

from __future__ import annotations

from trio_ingest import BatchProgress, PipelineEvent

from ._event_json import line_of
from ._ndjson import LinesFile


class EventFile:
    """Writes every event of a run as a line of JSON.

    Args:
        path: the file; ``-`` is standard output, whose reader holds up the run when it is
            slow.

    A resumed run adds to the file that is there; its events have a ``pipeline_id`` of their
    own. Lines reach the reader at each progress event, so at least once a second.
    """

    def __init__(self, path: str) -> None:
        self._file = LinesFile(
            "--events",
            path,
            beginning=b'{"type": "',
            further=(b'"version": ', b'"pipeline_id": ', b'"sequence": '),
        )

    def open(self) -> None:
        """Open it, and leave what is in it.

        Raises:
            OutputError: it cannot be written, or is somebody else's.
        """
        self._file.open()

    def begin(self, *, append: bool) -> None:
        """Make ready for the first line.

        Args:
            append: whether to keep what an earlier run wrote.

        Raises:
            OutputError: the disk fails.
        """
        self._file.begin(append=append)

    def take(self, event: PipelineEvent) -> None:
        """Write an event.

        Raises:
            OutputClosed: the reader of standard output has gone.
            OutputError: it cannot be written any more.
        """
        self._file.write(line_of(event))
        if type(event) is BatchProgress:
            self._file.flush()

    def close(self) -> None:
        """Write what is left; raises as ``take``."""
        self._file.close()
