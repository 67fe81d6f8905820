"""Events as lines of a file, for a recorder and for ``trio-ingest run --events``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_ingest import BatchProgress, PipelineEvent
from trio_ingest.storage import JsonLinesFile

from .errors import EventLogError

if TYPE_CHECKING:
    from trio_ingest.serialization import EventCodec


class EventLines(JsonLinesFile):
    """Writes every event of a run as a line of JSON.

    Args:
        path: the file; ``-`` is standard output, whose reader holds up the run when it is
            slow. One that ends in ``.gz`` is compressed.
        who: as for ``JsonLinesFile``, like ``mend``.
        mend: the same.
        codec: makes the lines; one that knows the engine's events when None.

    Lines are in the file at each progress event, so at least once a second.

    Memory: 64 KiB, and the longest line.
    """

    __module__ = "trio_ingest.eventlog"

    def __init__(
        self, path: str, *, who: str, mend: str, codec: EventCodec | None = None
    ) -> None:
        super().__init__(
            path,
            who=who,
            mend=mend,
            beginning=b'{"type":"',
            further=(b'"version":', b'"pipeline_id":', b'"sequence":'),
            error=EventLogError,
        )
        if codec is None:
            from trio_ingest.serialization import EventCodec  # noqa: PLC0415 -- it takes time

            codec = EventCodec()
        self._encode = codec.encode

    def take(self, event: PipelineEvent) -> None:
        """Write an event.

        Args:
            event: the next one of the run.

        Raises:
            OutputClosedError: the reader of standard output has gone.
            EventLogError: it cannot be written any more.
        """
        self.write(self._encode(event))
        if type(event) is BatchProgress:
            self.flush()
