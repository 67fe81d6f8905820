"""The checkpoint of a job in a file of its own, as JSON that people can read."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from trio_ingest import CheckpointError, SetupError
from trio_ingest.delivery import SinkError, SinkState
from trio_ingest.storage import (
    FileLock,
    absolute_path,
    checked_path,
    path_text,
    replace_file,
    sync_folder,
)

from ._checkpoint_store import CheckpointStore


class FileCheckpointStore(CheckpointStore):
    """Keeps the checkpoint of a job in a JSON file, replaced in one step.

    In a delivery it comes last, after the sink that has the documents: killed between the
    two, it is behind, and what it lacks comes again.

    Args:
        path: the file; its folder exists. A file ``<path>.lock`` beside it keeps a second
            run away; it stays, and means nothing by itself.

    ``async with`` raises:
        SetupError: the path is empty, a directory, or something else that is no file; its
            folder is missing or may not be written; or another run has it.
        CheckpointError: the file is there and holds no checkpoint, so another program may
            have written it; or a newer release wrote it.
        SinkError: the file is there and cannot be read.

    However the block is left, a save under way has been finished, and the thread and the
    lock are gone.

    Memory: O(one checkpoint).
    """

    __module__ = "trio_ingest.stores"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        file = _CheckpointFile(os.fspath(path))
        super().__init__(f"file:{os.fspath(path)}", file)


class _CheckpointFile:
    """The file and its lock; every method is called in one thread."""

    def __init__(self, path: str) -> None:
        self._path = path
        # Where that is, once it has been opened: an adapter may change the directory.
        self._full_path = path
        self._lock = FileLock(path)

    def open(self) -> None:
        self._full_path = absolute_path(checked_path(self._path))
        folder = Path(self._full_path).parent
        self._lock.acquire()
        try:
            # A file without a name, to see that there may be files, and room for one.
            with tempfile.TemporaryFile(dir=folder) as file:
                file.write(b"{}")
        except OSError as error:
            raise SetupError(
                f"No checkpoint can be kept in {path_text(self._path)}: {error.strerror}. "
                f"Give a file in a folder that you may write."
            ) from error
        # Looked at before it is written over: another program may have written it.
        self.load()

    def close(self) -> None:
        self._lock.release()

    def load(self) -> SinkState | None:
        path = path_text(self._path)
        try:
            with open(self._full_path, "rb") as file:  # noqa: PTH123 - as it was given
                data = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise SinkError(
                f"The checkpoint in {path} cannot be read: {error.strerror}. Give yourself "
                f"permission to read it, or give another file."
            ) from error
        try:
            return SinkState.from_dict(json.loads(data))
        except CheckpointError as error:
            raise CheckpointError(
                f"{path} holds no checkpoint that can be used. {error} To begin the job "
                f"again, move that file away."
            ) from error
        except (ValueError, RecursionError) as error:
            raise CheckpointError(
                f"{path} holds no checkpoint, or a damaged one: it is not JSON "
                f"({type(error).__name__}). Give another path, or restore an older copy; to "
                f"begin the job again, move that file away."
            ) from error

    def save(self, state: SinkState) -> None:
        text = json.dumps(state.to_dict(), indent=2, ensure_ascii=False)
        # Half of a surrogate pair, replaced like this, is an escape that JSON knows.
        data = f"{text}\n".encode(errors="backslashreplace")
        try:
            replace_file(self._full_path, data)
        except OSError as error:
            raise SinkError(
                f"The checkpoint cannot be written to {path_text(self._path)}: "
                f"{error.strerror}. What the file had before stays, and the job can be "
                f"resumed from there."
            ) from error

    def forget(self) -> None:
        # Of a link, the file that it leads to, which is what was written.
        path = os.path.realpath(self._full_path)
        try:
            if os.path.lexists(path):
                os.unlink(path)  # noqa: PTH108 - as it was given
                sync_folder(path)
        except OSError as error:
            raise SinkError(
                f"The checkpoint in {path_text(self._path)} cannot be removed: "
                f"{error.strerror}. Remove that file by hand."
            ) from error
