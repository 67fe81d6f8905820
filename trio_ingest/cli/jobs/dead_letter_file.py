"""``--errors``: the dead letters of a run."""

from __future__ import annotations

import json
import math
from typing import Final

import attrs

from trio_ingest import DocumentCompleted, DocumentFailed
from trio_ingest.delivery import DeadLetter, Rejection
from trio_ingest.eventlog import EventLogError
from trio_ingest.storage import JsonLinesFile

# What to do when a file beside the sinks cannot be written any more.
MEND: Final = (
    "What was delivered before stays; make room, or give another path, and go on with "
    "--resume."
)

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class DeadLetterFile(JsonLinesFile):
    """Writes each failed record and each rejected document as a line of JSON.

    Args:
        path: the file; ``-`` is standard output.

    Those of failed records are written before their batch is committed: after a crash, a
    resumed run may write the last ones again, and loses none. That of a rejected document
    follows the commit that rejected it, so a crash between the two leaves it with the sink,
    which keeps each of them exactly once.
    """

    def __init__(self, path: str) -> None:
        super().__init__(
            path,
            who="which --errors names",
            mend=MEND,
            beginning=b'{"doc_id":',
            further=(b'"adapter":', b'"record_number":', b'"stage":'),
            error=EventLogError,
        )

    def failed(self, event: DocumentFailed) -> None:
        """Write the dead letter of a record that became no document; raises as ``flush``."""
        self._write_letter(DeadLetter.of_failure(event))

    def rejected(self, event: DocumentCompleted, rejection: Rejection) -> None:
        """Write that of a document that a sink did not take; raises as ``flush``."""
        letter = DeadLetter.of_rejection(event, rejection.document, rejection.reason)
        self._write_letter(letter)

    def _write_letter(self, letter: DeadLetter) -> None:
        fields = attrs.asdict(letter)
        if not math.isfinite(letter.timestamp):
            fields["timestamp"] = None  # a clock may say that it is no number
        self.write(_ENCODER.encode(fields).encode())
        # Before the batch is committed: a resumed run does not write it again.
        self.flush()
