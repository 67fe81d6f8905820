"""The bytes of a file in large chunks, waited for where nobody is held up.

A thread hop costs about as much as parsing five lines, so a hop fetches
hundreds of lines. Pipes and terminals may stay silent for hours: they are
waited for by the event loop, which a cancellation interrupts at once, and not
by a thread, which it could only abandon.
"""

from __future__ import annotations

import io
import os
import stat

import anyio

from trio_ingest.threads import run_in_thread

from .gunzip import MAGIC, Gunzip
from .positions import FilePosition, Trail, other_file, trail_from

STANDARD_INPUT = "-"

# Smaller, and the thread hops show (0.3 µs a line at 256 KiB and 500-byte
# lines); larger, and a pipeline starts later and holds more for no gain.
CHUNK_BYTES = 256 * 1024


class ChunkReader:
    """Reads one file, or standard input, to its end.

    Args:
        path: the file; ``-`` is standard input.
        name: what to call it in an error.
        start: where to begin in a plain file; at its start when None.

    Gzip is unpacked on the way: a file named ``.gz`` must hold it, and anything
    else that begins with its two magic bytes is taken for it as well.

    Memory: O(``CHUNK_BYTES``).
    """

    def __init__(self, path: str, name: str, start: FilePosition | None = None) -> None:
        self._path = path
        self._name = name
        self._start = start
        # Only where bytes can be found again: in a regular file that is not gzip.
        self._trail: Trail | None = None
        self._file: io.FileIO | None = None
        self._waits = False
        self._gunzip: Gunzip | None = None
        self._head: bytes | None = b""
        self._ended = False

    async def read(self) -> bytes:
        """The next chunk, or ``b""`` at the end.

        Raises:
            OSError: the file cannot be opened or read; ``filename`` is set.
            CheckpointError: it is not the file that ``start`` is a place in.
            zlib.error: its gzip data is damaged, or it is not gzip.
            EOFError: its gzip data ends early.

        Cancelled here, the file is still open and nothing read is lost but the
        chunk under way: go on to ``close``.
        """
        try:
            if self._file is None:
                await run_in_thread(self._open)
            if self._waits:
                return await self._chunk_of_a_pipe()
            chunk = await run_in_thread(self._chunk)
        except OSError as error:
            if error.filename is not None:
                raise
            # A failed read names no file of its own accord.
            raise OSError(error.errno, error.strerror, self._name) from error
        if self._trail is not None:
            self._trail.follow(chunk)
        return chunk

    def position(self, unfinished_bytes: int, line: int) -> FilePosition | None:
        """The place behind the last line feed, when the newest chunk has one.

        None also where no place can be found again: in gzip, pipes and devices.

        Args:
            unfinished_bytes: how many bytes have come since that line feed.
            line: how many lines have ended.
        """
        return None if self._trail is None else self._trail.position(unfinished_bytes, line)

    @property
    def is_verified(self) -> bool:
        """Whether a gzip member has just ended, its checksum right."""
        return self._gunzip is not None and self._gunzip.between_members

    def close(self) -> None:
        """Close the file; standard input stays open, it is not ours."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        if self._path == STANDARD_INPUT:
            # Unbuffered, and not ``sys.stdin.buffer``: a thread inside that one
            # holds a lock that the interpreter needs on its way out.
            self._file = io.FileIO(0, "rb", closefd=False)
        else:
            self._file = io.FileIO(self._path, "rb", opener=_open_without_waiting)
            if self._path.lower().endswith(".gz"):
                self._head = None
                self._gunzip = Gunzip(CHUNK_BYTES)
        self._waits = os.name == "posix" and _may_stay_silent(self._file)
        is_regular = stat.S_ISREG(os.fstat(self._file.fileno()).st_mode)
        if is_regular and self._path != STANDARD_INPUT and self._gunzip is None:
            self._trail = Trail()
        if self._start is not None:
            self._go_to(self._start)

    def _go_to(self, start: FilePosition) -> None:
        assert self._file is not None
        if self._trail is None or self._file.read(len(MAGIC)) == MAGIC:
            raise other_file(
                self._name,
                "the checkpoint goes on in the middle of a plain file, and this is none now: "
                "gzip, pipes and standard input can only be read from their start",
            )
        self._trail = trail_from(self._file, start, self._name)
        # What the magic bytes would tell is known.
        self._head = None

    async def _chunk_of_a_pipe(self) -> bytes:
        assert self._file is not None
        while True:
            if self._gunzip is None:
                await anyio.wait_readable(self._file)
                chunk = self._step()
            else:
                if self._gunzip.hungry:
                    await anyio.wait_readable(self._file)
                chunk = await run_in_thread(self._step)
            if chunk or self._ended:
                return chunk

    def _chunk(self) -> bytes:
        while True:
            chunk = self._step()
            if chunk or self._ended:
                return chunk

    def _step(self) -> bytes:
        """At most one read; an empty answer is the end only when ``_ended``."""
        assert self._file is not None
        if self._ended:
            return b""
        if self._gunzip is not None and not self._gunzip.hungry:
            return self._gunzip.inflate()
        data = self._file.read(CHUNK_BYTES)
        if data is None:
            # Another reader of the same pipe was quicker.
            return b""
        self._ended = not data
        if self._head is not None:
            data = self._sniffed(data)
        if self._gunzip is None:
            return data
        if self._ended:
            self._gunzip.finish()
        return self._gunzip.inflate(data) if data else b""

    def _sniffed(self, data: bytes) -> bytes:
        """Hold back a first byte that could begin the magic ones, then decide."""
        assert self._head is not None
        data = self._head + data
        if data == MAGIC[:1] and not self._ended:
            self._head = data
            return b""
        self._head = None
        if data.startswith(MAGIC):
            self._gunzip = Gunzip(CHUNK_BYTES)
            self._trail = None
        return data


def _open_without_waiting(path: str, flags: int) -> int:
    # A named pipe that nobody has opened for writing would hold the thread.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _may_stay_silent(file: io.FileIO) -> bool:
    mode = os.fstat(file.fileno()).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or file.isatty()
