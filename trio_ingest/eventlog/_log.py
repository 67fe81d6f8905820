"""A log of events, line by line: plain or compressed, whole or torn at its end."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Generator, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from trio_ingest import IngestError, PipelineEvent
from trio_ingest.storage import Inflated, is_whole, path_text

from .errors import EventLogError

if TYPE_CHECKING:
    from trio_ingest.serialization import EventCodec

_READ_BYTES: Final = 256 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"

# The first fields of a line, in the order in which they are written.
_RUN_ID: Final = re.compile(
    rb'\{"type": ?"[^"\\]*", ?"version": ?\d+, ?"timestamp": ?[^,"{]+, ?'
    rb'"pipeline_id": ?("(?:[^"\\]|\\.)*")'
)


class Line(NamedTuple):
    """One line of a log.

    Args:
        number: counted from 1.
        text: its bytes, without the line feed.
        damage: the reason why neither it nor anything behind it can be read.
    """

    number: int
    text: bytes
    damage: str | None = None


class Log:
    """The lines of a log.

    Args:
        path: the file; a compressed one is recognised by its first bytes.

    Memory: 1 MiB, and the longest line.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.fspath(path)
        # Known at the end only. A damaged file is not torn: it goes on behind the damage.
        self.is_torn = False
        self.damage: str | None = None

    def lines(self) -> Generator[Line, None, None]:
        """Yield the lines that are whole, blank ones left out.

        Raises:
            EventLogError: the file cannot be read.
        """
        number, parts = 0, [b""]
        for piece in self._pieces():
            first, *others = piece.split(b"\n")
            parts.append(first)
            if not others:
                continue
            *whole, last = [b"".join(parts), *others]
            parts = [last]
            for text in whole:
                number += 1
                if text and not text.isspace():
                    yield Line(number, text)
        rest = b"".join(parts)
        if self.damage is not None:
            yield Line(number + 1, rest, self.damage)
        elif is_whole(rest):
            yield Line(number + 1, rest)
        elif rest and not rest.isspace():
            self.is_torn = True

    def _pieces(self) -> Iterator[bytes]:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except (OSError, ValueError) as error:
            raise self._unreadable(error) from error
        try:
            piece = os.read(descriptor, _READ_BYTES)
            if piece.startswith(_GZIP_MAGIC):
                inflated = Inflated(descriptor, piece)
                yield from inflated.pieces()
                self.is_torn = inflated.is_torn and not inflated.is_damaged
                if inflated.is_damaged:
                    self.damage = (
                        f"the compressed file is damaged from byte {inflated.whole:,} on, and "
                        f"nothing behind that can be read. Restore a copy of it."
                    )
                return
            while piece:
                yield piece
                piece = os.read(descriptor, _READ_BYTES)
        except OSError as error:
            raise self._unreadable(error) from error
        finally:
            os.close(descriptor)

    def _unreadable(self, error: Exception) -> EventLogError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return EventLogError(
            f"{path_text(self.path)!r} cannot be read: {reason}. Give the file that a "
            f"recorder, or --events, has written."
        )


def default_codec() -> EventCodec:
    """Return the codec for a log when none is given: it keeps unknown events as they came."""
    from trio_ingest.serialization import EventCodec  # noqa: PLC0415 -- it takes time

    return EventCodec(unknown_events="keep")


def event_of(codec: EventCodec, line: Line) -> PipelineEvent:
    """Return the event that a line is.

    Raises:
        EventLogError: it is none.
    """
    if line.damage is not None:
        raise EventLogError(f"line {line.number}: {line.damage}")
    try:
        event = codec.decode(line.text, line=line.number)
    except IngestError as error:
        raise EventLogError(str(error)) from error
    if not isinstance(event, PipelineEvent):
        raise EventLogError(
            f"line {line.number}: this is a {type(event).__name__}, and a log has events only."
        )
    return event


def take_lines(lines: Iterator[Line], count: int, most_bytes: int) -> list[Line]:
    """Return the next ``count`` lines, or fewer that have at least ``most_bytes``."""
    batch: list[Line] = []
    size = 0
    for line in islice(lines, count):
        batch.append(line)
        size += len(line.text)
        if size >= most_bytes:
            break
    return batch


def run_of(line: bytes) -> str | None:
    """Return the ``pipeline_id`` of a line; None when it has none."""
    found = _RUN_ID.match(line)
    try:
        if found is not None:
            return str(json.loads(found[1]))
        run = json.loads(line)["pipeline_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return run if isinstance(run, str) else None


class RecordedRun(NamedTuple):
    """One run in a log.

    Args:
        pipeline_id: of all its events.
        line: the number of its first line.
    """

    pipeline_id: str
    line: int


RecordedRun.__module__ = "trio_ingest.eventlog"


def recorded_runs(path: str | os.PathLike[str]) -> list[RecordedRun]:
    """Return the runs that a log holds, in its order.

    Args:
        path: the file, compressed or not. It is read through, which takes about a second for
            a million events.

    Raises:
        EventLogError: it cannot be read.

    Memory: O(runs), and the longest line.
    """
    found: list[RecordedRun] = []
    newest: bytes | None = None
    for number, text, _ in Log(path).lines():
        match = _RUN_ID.match(text)
        if match is not None and match[1] == newest:
            continue
        run = run_of(text)
        if run is None:
            continue
        newest = None if match is None else match[1]
        if not found or found[-1].pipeline_id != run:
            found.append(RecordedRun(run, number))
    return found
