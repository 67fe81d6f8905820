"""Documents from the files of a directory, one each."""

from __future__ import annotations

import datetime
import os
from collections.abc import AsyncGenerator, Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

import anyio.to_thread
import attrs

from trio_ingest import Cursor, Document, PipelineEvent, SetupError
from trio_ingest.adapters._bytes.opening import printable_path
from trio_ingest.adapters.errors import BadDocumentError
from trio_ingest.storage import absolute_path

from ._decoding import canonical_encoding, decode_text
from ._pattern import Pattern
from ._reading import BatchReader, FileRecord, cursor_value, paths_of_cursor
from ._walk import WalkItem, walk

# The entries that are counted in one thread hop: a few milliseconds' worth.
_COUNTED_AT_ONCE: Final = 2000


@attrs.frozen(kw_only=True)
class FileSkipped(PipelineEvent):
    """Something in the directory is no document, or cannot be looked into.

    A named pipe, a socket, a device, a link that leads nowhere or in a circle, a file
    that this user may not read, a directory that cannot be listed. The event comes
    before the documents around it, and may come again in a resumed run.

    Args:
        adapter: the adapter's ``source``.
        path: relative to the directory, with forward slashes.
        reason: a clause without a full stop.
    """

    __module__ = "trio_ingest.adapters"

    adapter: str
    path: str
    reason: str


class FilesAdapter:
    """Makes a document of each file in a directory and the directories below it.

    Args:
        directory: the root of the tree. Symbolic links are followed.
        pattern: a glob relative to the directory: ``*.txt``, ``**/*.md``, ``docs/**``.
            A name that begins with a dot is matched only by a part that does so
            too, as in ``.github/**``.
        encoding: of the text in the files. A byte order mark is removed; one of another
            encoding makes the file a failed document.
        max_record_bytes: the largest file that is read. A larger one is a failed
            document.
        source: the name of this input in events and documents; the directory when None.

    ``doc_id`` is the path relative to the directory, with forward slashes, ``content``
    the text with its line ends as they are, and ``raw`` None. ``metadata`` has the
    ``path`` to open the file by, its ``name``, its ``size_bytes``, and when it was last
    ``modified``, in UTC.

    Files come sorted by the parts of their paths. A resumed run gives each file that is
    there both times exactly once, and of files that were added between the runs those
    that come behind the place where the run stopped and its next 128 files.
    With ``ordered=False`` that holds while no file is overtaken by more than 64 others.

    Raises:
        SetupError: an argument is empty or cannot work, or the directory is missing, is
            none or cannot be read.

    Memory: O(1 MiB + ``max_record_bytes`` + the names in the directories on the path).

    >>> record = FileRecord("cats/about.txt", b"On cats.", 8, 0.0)
    >>> FilesAdapter(".").parse(record)  # doctest: +NORMALIZE_WHITESPACE
    Document(doc_id='cats/about.txt', source='.', content='On cats.', raw=None,
    metadata={'path': './cats/about.txt', 'name': 'about.txt', 'size_bytes': 8,
    'modified': '1970-01-01T00:00:00.000000+00:00'})
    """

    __module__ = "trio_ingest.adapters"

    # A cursor names the records that follow it, so counting off what had ended behind it
    # means the same files in a tree that has changed.
    stable_order = True

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        pattern: str = "**/*",
        encoding: str = "utf-8",
        max_record_bytes: int = 16 * 1024 * 1024,
        source: str | None = None,
    ) -> None:
        self._directory = os.fsdecode(directory)
        _check_directory(self._directory)
        if type(max_record_bytes) is not int or max_record_bytes < 1:
            raise SetupError(
                f"max_record_bytes must be a whole number of at least 1; "
                f"got {max_record_bytes!r:.80}."
            )
        if source is not None and not source:
            raise SetupError("source is empty; give a name, or None for the directory's.")
        self._pattern = Pattern(pattern)
        self._encoding = canonical_encoding(encoding)
        self._max_record_bytes = max_record_bytes
        self._name = printable_path(self._directory)
        # Never two slashes, as it would be for "/" or "docs/".
        self._prefix = self._name if self._name.endswith("/") else self._name + "/"
        self.source = self._name if source is None else source

    def place_of(self, path: str) -> str:
        """Return the path to open a file by, as the metadata of its document has it.

        Args:
            path: relative to the directory, as events have it.
        """
        return self._prefix + path

    async def fetch(
        self, *, cursor: object = None
    ) -> AsyncGenerator[FileRecord | Cursor | FileSkipped, None]:
        """Yield a record for each file, events for what is skipped, and cursors.

        Args:
            cursor: the value of a cursor, to go on from there; None for the start.

        Raises:
            OSError: the directory itself cannot be listed, or something that was listed is
                gone. What was read before that has been yielded, and a resumed run goes on
                there; what is still gone then is a failed document.
            CheckpointError: ``cursor`` is no place in a directory, or was made with
                another pattern.

        A cursor comes before each batch of files that are read together, at most 64. It
        names the paths of the next 128 records. A resumed run yields just these first,
        as failed documents where they are gone, so that the numbers of the records stay
        what they were; then it lists on behind the last.
        """
        upcoming = () if cursor is None else paths_of_cursor(cursor, self._pattern, self._name)
        # Whatever another adapter does to the working directory.
        root = absolute_path(self._directory)
        reader = BatchReader(root, self._pattern, self._max_record_bytes, upcoming)
        is_last = False
        while not is_last:
            # Abandoned when cancelled: a disk that does not answer must not hold up a
            # cancellation, and the thread owns everything that it touches.
            skipped, upcoming, records, is_last = await anyio.to_thread.run_sync(
                reader.read, abandon_on_cancel=True
            )
            for path, reason in skipped:
                name = printable_path(path)
                yield FileSkipped(adapter=self.source, path=name, reason=reason)
            if records:
                yield Cursor(cursor_value(self._pattern, upcoming))
            # Taken out one by one, so that no file is held once it has been yielded.
            while records:
                yield records.popleft()

    def would_read(self, path: str) -> bool:
        """Return True if a file of this path would be read, were it there.

        Args:
            path: relative to the directory, with forward slashes.

        Symbolic links are not followed.
        """
        *directories, name = path.split("/")
        states = self._pattern.start
        for directory in directories:
            states = self._pattern.below(states, directory)
        return bool(name) and self._pattern.matches(states, name)

    def identify(self, record: FileRecord) -> str:
        """Return the path relative to the directory.

        Args:
            record: the file.
        """
        return record.path

    async def estimate_total(self) -> int | None:
        """Return how many files there are now; None when the directory cannot be listed.

        Counting takes a small part of the time that reading takes, so it is not cut short.
        """
        count, items = 0, walk(self._directory, self._pattern)
        while True:
            more = await anyio.to_thread.run_sync(_count_files, items, abandon_on_cancel=True)
            if more is None:
                return None
            count += more.files
            if more.is_last:
                return count

    def parse(self, record: FileRecord) -> Document:
        """Return the document that one file is.

        Args:
            record: the file.

        Raises:
            BadDocumentError: the file is no document; the message names it and the reason.
        """
        path = record.path
        if record.problem is not None:
            raise BadDocumentError(path, record.problem)
        metadata: dict[str, Any] = {
            "path": self.place_of(path),
            "name": path.rpartition("/")[2],
            "size_bytes": record.size_bytes,
            "modified": _timestamp(record.modified_seconds),
        }
        content = decode_text(record.data, self._encoding, path)
        return Document(path, self.source, content, None, metadata)


class _Counted(NamedTuple):
    files: int
    is_last: bool


def _count_files(items: Iterator[WalkItem]) -> _Counted | None:
    files, seen = 0, 0
    try:
        for item in islice(items, _COUNTED_AT_ONCE):
            seen += 1
            files += isinstance(item, str)
    except OSError:
        return None  # fetch says why
    return _Counted(files, seen < _COUNTED_AT_ONCE)


def _timestamp(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    try:
        moment = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    except (OverflowError, ValueError, OSError):
        return None  # a file system can hold years that a calendar does not
    return moment.isoformat(timespec="microseconds")


def _check_directory(directory: str) -> None:
    if not directory:
        raise SetupError("directory is empty; give the directory whose files to read.")
    name = printable_path(directory)
    try:
        # With the dot, so that it must be allowed to be entered as well as listed.
        with os.scandir(f"{directory}/.") as entries:
            next(entries, None)
    except FileNotFoundError as error:
        raise SetupError(
            f"The directory {name} does not exist; give the path of one that does."
        ) from error
    except NotADirectoryError as error:
        raise SetupError(
            f"{name} is not a directory. Give the directory that the files are in, and "
            f"choose among them with a pattern."
        ) from error
    except (OSError, ValueError) as error:
        raise SetupError(
            f"The directory {name} cannot be read ({error}). Give this user the right to "
            f"read it, or give another one."
        ) from error
