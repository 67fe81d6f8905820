"""Documents into a JSON Lines file, each exactly once, however often the run is killed."""

from __future__ import annotations

import os
from collections.abc import Sequence

from trio_ingest.delivery import Batch, Guarantee, Rejection
from trio_ingest.storage import ThreadSink

from ._files import JobFiles
from ._lines import lines_of


class JsonLinesSink(ThreadSink):
    """Appends documents to a file of JSON objects, one a line.

    Args:
        path: the file; it is made when missing. Of a link, the file that it leads to.
        keep_raw: False for lines without the field ``raw``.

    A line is ``{"doc_id", "source", "content", "raw", "metadata"}`` in UTF-8, which
    ``JsonLinesAdapter(path, id_field="doc_id", content_field="content")`` reads again.
    A raw of bytes is written as text when it is UTF-8. A document that has no line is
    rejected: raw or metadata without a JSON form (other bytes, a date, NaN), half of a
    surrogate pair.

    Beside it are ``<path>.checkpoint``, which says how much of the file is committed, and
    once there are any, the dead letters in ``<path>.failed``, one JSON object a line.
    The file belongs to the job: what another program appends to it is cut off before the
    next batch, and one that has something in it and no checkpoint is refused. Dead letters
    may be moved away between two runs. ``<path>.lock`` keeps a second run away.

    ``async with`` raises:
        SetupError: the path is empty, a directory, a pipe or a device, or may not be
            written; its folder is missing; another program has written it; another run
            uses it.
        SinkError: the disk fails.

    A checkpoint that is damaged, or does not fit the file, is a ``CheckpointError`` of
    ``load`` and ``write``. ``forget`` drops documents, dead letters and checkpoint; when it
    fails, open the sink again to see what there is.

    However the block is left, a write under way has been committed or taken back, the
    files are closed and the thread is gone.

    Memory: the text of one batch.
    """

    __module__ = "trio_ingest.sinks"

    def __init__(self, path: str | os.PathLike[str], *, keep_raw: bool = True) -> None:
        self._keep_raw = keep_raw
        self._files = JobFiles(os.fspath(path))
        super().__init__(f"jsonl:{os.fspath(path)}", self._files)

    # Documents and checkpoint are committed in one step.
    guarantee: Guarantee = "exactly-once"

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Append a batch and its dead letters, and commit them with its checkpoint.

        Args:
            batch: what has come since the last one.

        Returns:
            the documents that have no line, with the reason; all others are committed.

        Raises:
            CheckpointError: what is there does not fit the checkpoint.
            SinkError: the disk is full or fails, or the file was taken away. Nothing of
                the batch is committed, and once that is mended the next write goes on.

        Cancelled here, the batch has been committed whole, or was not begun.

        Memory: the text of the batch.
        """
        return await self._run_in_thread(lambda: self._write(batch))

    def _write(self, batch: Batch) -> list[Rejection]:
        """Make the lines and commit them, both in the thread."""
        lines = lines_of(batch, keep_raw=self._keep_raw)
        self._files.commit(
            lines.documents, lines.dead_letters, batch.delivered(lines.rejections)
        )
        return lines.rejections
