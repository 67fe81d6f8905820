"""The checkpoint of a job in a file of its own, as JSON that people can read."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from trio_ingest import Checkpoint, CheckpointError, SetupError
from trio_ingest.delivery import Batch, Guarantee, Rejection, SinkError, SinkState, Totals
from trio_ingest.storage import FileLock, OwnerThread, path_text, replace_file, sync_folder

from ._taking import take

Answer = TypeVar("Answer")


class FileCheckpointStore:
    """Keeps the checkpoint of a job in a JSON file, replaced in one step.

    Args:
        path: the file; its folder exists. A file ``<path>.lock`` beside it keeps a second
            run away; it stays, and means nothing by itself.

    In a delivery it comes last, after the sink that has the documents: killed between the
    two, it is behind, and what it lacks comes again.

    Use it with ``async with``, which raises:
        SetupError: the path is empty, a directory, or something else that is no file; its
            folder is missing or may not be written; or another run has it.
        CheckpointError: the file is there and holds no checkpoint, so it may be somebody
            else's; or a newer release wrote it.
        SinkError: the file is there and cannot be read.

    However the block is left, a save under way has been finished, and the thread and the
    lock are gone.

    Memory: O(one checkpoint).
    """

    __module__ = "trio_ingest.stores"

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)
        self._lock = FileLock(self._path)
        self._owner: OwnerThread | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"file:{self._path}"

    @property
    def guarantee(self) -> Guarantee:
        """It commits after the documents, not with them."""
        return "at-least-once"

    async def __aenter__(self) -> Self:
        if self._owner is not None:
            raise SetupError(
                f"{path_text(self._path)} is open already. Make one store for each block."
            )
        self._owner = OwnerThread(f"file {self._path}")
        try:
            await self._owner.call(self._open)
        except BaseException:
            await self._close()  # noqa: ASYNC102 -- it shields itself, with a limit
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()  # noqa: ASYNC102 -- it shields itself, with a limit

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Keep the checkpoint of the batch, once everybody before it has its documents.

        Raises:
            SinkError: as ``save``.

        Cancelled here, it is kept, or was not begun.
        """
        await self._save(batch.delivered())
        return ()

    async def save(self, checkpoint: Checkpoint, totals: Totals | None = None) -> None:
        """Keep a checkpoint in the place of the one before.

        Args:
            checkpoint: covers what is safe.
            totals: of the whole job until there, where somebody counts.

        Raises:
            SinkError: the file cannot be written, or not be made to outlive a crash.

        Cancelled here, it is kept, or was not begun.
        """
        await self._save(SinkState(checkpoint, Totals() if totals is None else totals))

    async def load(self) -> SinkState | None:
        """What was kept last, or None when there is no file.

        Raises:
            CheckpointError: it is damaged, or a newer release wrote it.
            SinkError: the file cannot be read.
        """
        return await self._run(self._read)

    async def forget(self) -> None:
        """Remove the file, so that the job can begin again.

        Raises:
            SinkError: it cannot be removed, or not for good.

        Cancelled here, it is removed, or was not touched.
        """
        await self._run(self._remove)

    async def _save(self, delivered: SinkState) -> None:
        await self._run(lambda: self._replace(delivered))

    async def _run(self, work: Callable[[], Answer]) -> Answer:
        if self._owner is None:
            raise SetupError(
                f"{path_text(self._path)} is not open. Use it inside `async with "
                f"FileCheckpointStore(...)`."
            )
        return await self._owner.call(work)

    async def _close(self) -> None:
        owner, self._owner = self._owner, None
        assert owner is not None
        await owner.aclose(self._lock.release)

    # Everything below runs in the thread, where a slow disk holds up nobody.

    def _open(self) -> None:
        if not self._path:
            raise SetupError("path is empty; give the file to keep the checkpoint in.")
        try:
            _check_place(self._path)
            take(self._lock, self._path)
            # A file without a name, to see that there may be files, and room for one.
            with tempfile.TemporaryFile(dir=_folder_of(self._path)) as file:
                file.write(b"{}")
        except OSError as error:
            raise SetupError(
                f"No checkpoint can be kept in {path_text(self._path)}: {error.strerror}. "
                f"Give a file in a folder that you may write."
            ) from error
        except ValueError as error:
            if isinstance(error, SetupError):
                raise
            raise SetupError(
                f"The path {path_text(repr(self._path))} is none that a file can have: "
                f"{error}."
            ) from error
        # Looked at before it is written over: it may be somebody else's.
        self._read()

    def _read(self) -> SinkState | None:
        path = path_text(self._path)
        try:
            with open(self._path, "rb") as file:  # noqa: PTH123 - as it was given
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

    def _replace(self, delivered: SinkState) -> None:
        text = json.dumps(delivered.to_dict(), indent=2, ensure_ascii=False)
        # Half of a surrogate pair, replaced like this, is an escape that JSON knows.
        data = f"{text}\n".encode(errors="backslashreplace")
        try:
            replace_file(self._path, data)
        except OSError as error:
            raise SinkError(
                f"The checkpoint cannot be written to {path_text(self._path)}: "
                f"{error.strerror}. What the file had before stays, and the job can be "
                f"resumed from there."
            ) from error

    def _remove(self) -> None:
        # Of a link, the file that it leads to, which is what was written.
        path = os.path.realpath(self._path)
        try:
            if os.path.lexists(path):
                os.unlink(path)  # noqa: PTH108 - as it was given
                sync_folder(path)
        except OSError as error:
            raise SinkError(
                f"The checkpoint in {path_text(self._path)} cannot be removed: "
                f"{error.strerror}. Remove that file by hand."
            ) from error


def _folder_of(path: str) -> str:
    return os.path.dirname(os.path.realpath(path))  # noqa: PTH120 - as it was given


def _check_place(path: str) -> None:
    """Refuse what can never be a file with a checkpoint.

    Raises:
        SetupError: it is there and no file, or its folder is not.
        OSError: the path cannot be looked at.
    """
    folder = _folder_of(path)
    if not os.path.isdir(folder):  # noqa: PTH112 - Path.is_dir may raise
        raise SetupError(
            f"No checkpoint can be kept in {path_text(path)}: the folder "
            f"{path_text(folder)} does not exist. Make it first."
        )
    try:
        status = os.stat(path)  # noqa: PTH116 - the error is what is wanted
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise SetupError(
            f"No checkpoint can be kept in {path_text(path)}: it is a directory, or something "
            f"else that is no file. Give a file."
        )
