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
from .positions import FilePosition, PositionTracker, changed_file_error, seek_position

# Smaller, and the thread hops show (0.3 µs a line at 256 KiB and 500-byte
# lines); larger, and a pipeline starts later and holds more for no gain.
CHUNK_BYTES = 256 * 1024


class ChunkReader:
    """Reads one file, or standard input, to its end.

    Args:
        path: the file; ``-`` is standard input.
        name: its name in errors.
        start: the position to begin at in a plain file; its start when None.

    Gzip is decompressed: a file named ``.gz`` must hold it, and anything else that begins
    with its two magic bytes is taken for it as well.

    Memory: O(``CHUNK_BYTES``).
    """

    def __init__(self, path: str, name: str, start: FilePosition | None = None) -> None:
        self._path = path
        self._name = name
        self._start = start
        # Only where bytes can be found again: in a regular file that is not gzip.
        self._tracker: PositionTracker | None = None
        self._file: io.FileIO | None = None
        # A pipe, a socket or a terminal: the event loop waits for it, not a thread.
        self._is_pipe = False
        self._gzip: GzipDecompressor | None = None
        # The first bytes until they tell whether this is gzip; then None.
        self._head: bytes | None = b""
        self._at_end = False

    async def read(self) -> bytes:
        """Return the next chunk, or ``b""`` at the end.

        Raises:
            OSError: the file cannot be opened or read; ``filename`` is set.
            CheckpointError: it is not the file that ``start`` is a position in.
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
            chunk = await run_in_thread(self._file_chunk)
        except OSError as error:
            if error.filename is not None:
                raise
            # A failed read names no file of its own accord.
            raise OSError(error.errno, error.strerror, self._name) from error
        if self._tracker is not None:
            self._tracker.advance(chunk)
        return chunk

    def position(self, unfinished_bytes: int, line: int) -> FilePosition | None:
        """Return the place behind the last line feed, if the newest chunk has one.

        Args:
            unfinished_bytes: the bytes that have come since that line feed.
            line: the number of lines that have ended.

        Returns:
            None also where no place can be found again: in gzip, pipes and devices.
        """
        tracker = self._tracker
        return None if tracker is None else tracker.position(unfinished_bytes, line)

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
            self._head = None
            self._gzip = GzipDecompressor(CHUNK_BYTES)
        mode = os.fstat(file.fileno()).st_mode
        may_stay_silent = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()
        self._is_pipe = os.name == "posix" and may_stay_silent
        if stat.S_ISREG(mode) and self._path != STANDARD_INPUT and self._gzip is None:
            self._tracker = PositionTracker()
        if self._start is not None:
            self._go_to(self._start)

    def _go_to(self, start: FilePosition) -> None:
        assert self._file is not None
        if self._tracker is None or self._file.read(len(GZIP_MAGIC)) == GZIP_MAGIC:
            raise changed_file_error(
                self._name,
                "the checkpoint goes on in the middle of a plain file, and this is none now: "
                "gzip, pipes and standard input can only be read from their start",
            )
        self._tracker = seek_position(self._file, start, self._name)
        # The magic bytes were looked at just now.
        self._head = None

    async def _pipe_chunk(self) -> bytes:
        assert self._file is not None
        while True:
            if self._gzip is None:
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
        if self._gzip is not None and not self._gzip.needs_input:
            return self._gzip.decompress()
        data = self._file.read(CHUNK_BYTES)
        if data is None:
            # Another reader of the same pipe was quicker.
            return b""
        self._at_end = not data
        if self._head is not None:
            data = self._sniffed(data)
        if self._gzip is None:
            return data
        if self._at_end:
            self._gzip.finish()
        return self._gzip.decompress(data) if data else b""

    def _sniffed(self, data: bytes) -> bytes:
        """Hold back a first byte that could begin the magic ones, then decide."""
        assert self._head is not None
        data = self._head + data
        if data == GZIP_MAGIC[:1] and not self._at_end:
            self._head = data
            return b""
        self._head = None
        if data.startswith(GZIP_MAGIC):
            self._gzip = GzipDecompressor(CHUNK_BYTES)
            self._tracker = None
        return data
