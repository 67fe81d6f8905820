"""``--errors``: the dead letters of a run."""

from __future__ import annotations

import json
import math
from typing import Final

import attrs

from trio_ingest import DocumentCompleted, DocumentFailed
from trio_ingest.delivery import DeadLetter, Rejection

from ._ndjson import LinesFile

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False)


class DeadLetterFile:
    """Writes each failed record and each rejected document as a line of JSON.

    Args:
        path: the file; ``-`` is standard output.

    Those of failed records are written before their batch is committed: after a crash, a
    resumed run may write the last ones again, and loses none. That of a rejected document
    follows the commit that rejected it, so a crash between the two leaves it with the sink,
    which keeps each of them exactly once.
    """

    def __init__(self, path: str) -> None:
        self._file = LinesFile(
            "--errors",
            path,
            beginning=b'{"doc_id": ',
            further=(b'"adapter": ', b'"record_number": ', b'"stage": '),
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

    def failed(self, event: DocumentFailed) -> None:
        """Write the dead letter of a record that became no document; raises as ``close``."""
        self._write(DeadLetter.of_failure(event))

    def rejected(self, event: DocumentCompleted, rejection: Rejection) -> None:
        """Write that of a document that a sink did not take; raises as ``close``."""
        letter = DeadLetter.of_rejection(event, rejection.document, rejection.reason)
        self._write(letter)

    def close(self) -> None:
        """Close the file.

        Raises:
            OutputClosed: the reader of standard output has gone.
            OutputError: it cannot be written any more.
        """
        self._file.close()

    def _write(self, letter: DeadLetter) -> None:
        fields = attrs.asdict(letter)
        if not math.isfinite(letter.timestamp):
            fields["timestamp"] = None  # a clock may say that it is no number
        self._file.write(_ENCODER.encode(fields).encode())
        # Before the batch is committed: a resumed run does not write it again.
        self._file.flush()
