"""The bytes of a file in large chunks, without holding up the event loop.

A thread hop costs about as much as parsing five lines, so a hop fetches hundreds of lines.
Pipes and terminals may stay silent for hours: the event loop waits for them, which a
cancellation interrupts at once, and not a thread, which it could only abandon.
"""

from __future__ import annotations

import io
import os
import stat

import anyio

from trio_ingest.threads import run_in_thread

from .decompression import GZIP_MAGIC, GzipDecompressor
from .opening import STANDARD_INPUT, open_unbuffered
from .positions import FilePosition, PositionTracker, read_at, shorter_file_error, tracker_at

# Smaller, and the thread hops show (0.3 µs a line at 256 KiB and 500-byte
# lines); larger, and a pipeline starts later and holds more for no gain.
CHUNK_BYTES = 256 * 1024


class ChangedFile(Exception):
    """A file is no longer what it was when its first bytes were read."""


class ChunkReader:
    """Reads one file, or standard input, to its end.

    Args:
        path: the file; ``-`` is standard input.
        name: its name in errors.
        start: the position that a run goes on from; the start of the file when None.

    Gzip is decompressed: a file named ``.gz`` must hold it, and anything else that begins
    with its two magic bytes is taken for it as well. Only a plain file is gone into at
    ``start``; anything else is read from its beginning, and held against it on the way.

    Memory: O(``CHUNK_BYTES``).
    """

    def __init__(self, path: str, name: str, start: FilePosition | None = None) -> None:
        self._path = path
        self._name = name
        self._start = start
        # Of the bytes as they are stored.
        self._tracker = PositionTracker()
        self._file: io.FileIO | None = None
        # A pipe, a socket or a terminal: the event loop waits for it, not a thread.
        self._is_pipe = False
        # A file that can be looked into again; what it was like when it was last read.
        self._is_regular = False
        self._stamp: tuple[int, ...] = ()
        self._gzip: GzipDecompressor | None = None
        # The first bytes until they tell whether this is gzip, and the right file; then None.
        self._head: bytes | None = b""
        self._at_end = False
        # The lines that end before the first chunk.
        self.first_line = 0

    async def read(self) -> bytes:
        """Return the next chunk, or ``b""`` at the end.

        Raises:
            OSError: the file cannot be opened or read; ``filename`` is set.
            CheckpointError: it is not the file that ``start`` is a position in.
            ChangedFile: it was cut or written over while it was read. That it grows is
                no change.
            zlib.error: its gzip data is damaged, or it is not gzip.
            EOFError: its gzip data ends early.

        If cancelled, the file is still open, and nothing that was read is lost but the
        chunk under way.
        """
        try:
            if self._file is None:
                await run_in_thread(self._open)
            if self._is_pipe:
                return await self._pipe_chunk()
            return await run_in_thread(self._file_chunk)
        except OSError as error:
            if error.filename is not None:
                raise
            # A failed read names no file of its own accord.
            raise OSError(error.errno, error.strerror, self._name) from error

    def position(self, unfinished_bytes: int, line: int) -> FilePosition | None:
        """Return the place behind the last line, if a later run can find it.

        Args:
            unfinished_bytes: the bytes that have come since the last line feed.
            line: the number of lines that have ended.

        Returns:
            None where the newest chunk ends no line, or more will come of the compressed
            bytes that were read last.
        """
        if self._head is not None:
            return None
        if self._gzip is None:
            return self._tracker.position(unfinished_bytes, line)
        return self._tracker.position(0, line) if self._gzip.needs_input else None

    def first_position(self) -> FilePosition:
        """Return the start of the file, with its first bytes."""
        return self._tracker.first_position()

    @property
    def is_verified(self) -> bool:
        """True where a gzip member has just ended, its checksum right."""
        return self._gzip is not None and self._gzip.at_member_end

    def close(self) -> None:
        """Close the file; standard input stays open, it is not ours."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        file = self._file = open_unbuffered(self._path)
        if self._path.lower().endswith(".gz"):
            self._gzip = GzipDecompressor(CHUNK_BYTES)
        status = os.fstat(file.fileno())
        mode = status.st_mode
        may_stay_silent = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()
        self._is_pipe = os.name == "posix" and may_stay_silent
        self._is_regular = stat.S_ISREG(mode) and self._path != STANDARD_INPUT
        if self._is_regular:
            self._stamp = _stamp(status)
            if self._start is not None:
                self._go_to(file, self._start)

    def _go_to(self, file: io.FileIO, start: FilePosition) -> None:
        tracker = tracker_at(file, start, self._name)
        self._start = None
        if self._gzip is None and read_at(file, 0, len(GZIP_MAGIC)) != GZIP_MAGIC:
            file.seek(start.offset)
            self._tracker, self.first_line = tracker, start.line
            if start.offset:
                self._head = None  # its first bytes were looked at just now

    async def _pipe_chunk(self) -> bytes:
        assert self._file is not None
        while True:
            if self._gzip is None or self._head is not None:
                await anyio.wait_readable(self._file)
                chunk = self._step()
            else:
                if self._gzip.needs_input:
                    await anyio.wait_readable(self._file)
                # Decompressing takes long enough for a thread.
                chunk = await run_in_thread(self._step)
            if chunk or self._at_end:
                return chunk

    def _file_chunk(self) -> bytes:
        while True:
            chunk = self._step()
            if chunk or self._at_end:
                return chunk

    def _step(self) -> bytes:
        """Read at most once; no bytes mean the end only with ``_at_end``."""
        assert self._file is not None
        if self._at_end:
            return b""
        if self._gzip is not None and self._head is None and not self._gzip.needs_input:
            return self._gzip.decompress()
        self._refuse_changes(self._file)
        data = self._file.read(CHUNK_BYTES)
        if data is None:
            # Another reader of the same pipe was quicker.
            return b""
        self._at_end = not data
        if self._at_end:
            self._refuse_changes(self._file, always=True)
        else:
            self._tracker.advance(data)
        self._refuse_another()
        if self._head is not None:
            data = self._sniffed(data)
        if self._gzip is None:
            return data
        if self._at_end:
            self._gzip.finish()
        return self._gzip.decompress(data) if data else b""

    def _refuse_changes(self, file: io.FileIO, *, always: bool = False) -> None:
        """Look again at what was read of a file that something has touched since.

        Size and time only spare that: they may stay the same, and change when it grows. But
        what has become shorter has lost something, read or not.
        """
        if not self._is_regular:
            return
        stamp = _stamp(os.fstat(file.fileno()))
        is_cut = stamp[0] < self._stamp[0]
        if is_cut or ((always or stamp != self._stamp) and self._tracker.differs(file)):
            raise ChangedFile
        self._stamp = stamp

    def _refuse_another(self) -> None:
        """Hold a pipe against ``start`` as soon as so much of it has come."""
        start = self._start
        if start is None:
            return
        if self._tracker.end >= max(start.offset, start.head_bytes):
            self._tracker.refuse_another(start, self._name)
            self._start = None
        elif self._at_end:
            raise shorter_file_error(self._name, start)

    def _sniffed(self, data: bytes) -> bytes:
        """Hold back the first bytes until they tell what this is."""
        assert self._head is not None
        data = self._head + data
        is_start = self._start is not None and len(data) < self._start.head_bytes
        if (data == GZIP_MAGIC[:1] or is_start) and not self._at_end:
            self._head = data
            return b""
        self._head = None
        if data.startswith(GZIP_MAGIC) and self._gzip is None:
            self._gzip = GzipDecompressor(CHUNK_BYTES)
        return data


def _stamp(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns
