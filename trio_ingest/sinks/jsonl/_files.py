"""The files of one job, and the order of steps by which no crash leaves a part of a batch.

The output grows first, then the dead letters, and the commit record is replaced last: that
one rename is the commit. Bytes appended without it are cut off before the next append.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import Final

from trio_ingest import CheckpointError, SetupError
from trio_ingest.delivery import SinkError, SinkState
from trio_ingest.storage import FileLock, checked_path, path_text, replace_file

from ._append import AppendFile, FileMark
from ._commit_record import CommitRecord

# Errors that no later attempt changes: another path or a permission is needed.
_MISTAKES_OF_SETUP: Final = frozenset(
    {
        *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR),
        *(errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL),
    }
)

_NO_ROOM: Final = frozenset(
    {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
)

_MEND_OUTPUT: Final = "move it away, and its checkpoint as well, to begin again"
_MEND_FAILED: Final = "move it away, and a new one will be begun"

_WHAT_STAYS: Final = "What was committed before stays, and the job can be resumed."


class JobFiles:
    """An output, its dead letters and its commit record; for one thread.

    Args:
        path: of the output, as it was given.

    Memory: the batch that is committed.
    """

    def __init__(self, path: str) -> None:
        self._given = path
        self._lock = FileLock(path)
        self._output = AppendFile(path, _MEND_OUTPUT)
        self._failed = AppendFile(path, _MEND_FAILED)
        self._record_path = path
        # The content of the commit record, to tell whether a failed commit has changed it.
        self._record = b""
        self._state: SinkState | None = None
        # The reason why nothing can be committed, and whether ``forget`` would help.
        self._error: CheckpointError | SinkError | None = None
        self._can_begin_again = True

    def load(self) -> SinkState | None:
        """Return the state of the last commit, or None before the first one.

        Raises:
            CheckpointError: it cannot be read, or the files are no longer what it left.
            SinkError: an earlier failure left open what it is.
        """
        if self._error is not None:
            raise self._error
        return self._state

    def open(self) -> None:
        """Acquire the lock, and open the files where the last commit left them.

        A checkpoint that does not fit is kept for ``load`` to raise: ``forget`` must be
        able to drop it.

        Raises:
            SetupError: the path cannot work, or another run uses it.
            SinkError: the disk failed.
        """
        try:
            # A lock would be left beside a file of another program, so look first.
            self._place_at(checked_path(self._given))
            self._lock.acquire()
            data = self._read_record()
            self._restore(self._new_record() if data is None else data)
        except OSError as error:
            raise self._explained_at_opening(error) from error

    def commit(self, documents: bytearray, dead_letters: bytearray, state: SinkState) -> None:
        """Append the lines of both, then replace the commit record.

        Raises:
            CheckpointError: as ``load``.
            SinkError: as ``load``; or it failed, and the files are at the commit before.
        """
        if self._error is not None:
            raise self._error
        try:
            output = self._output.append(documents)
            failed = self._failed.append(dead_letters)
            data = CommitRecord(output, failed, state).to_bytes()
            replace_file(self._record_path, data)
        except OSError as error:
            raise self._rolled_back(error) from error
        self._output.commit()
        self._failed.commit()
        self._record, self._state = data, state

    def forget(self) -> None:
        """Begin again, with files that hold nothing.

        Raises:
            CheckpointError: the output is not what the last commit left, so another program
                may have written it; it is as it was.
            SinkError: it failed; the job is either what it was or begins again.
        """
        if self._error is not None and not self._can_begin_again:
            raise self._error
        try:
            # First of all: from here on, a run that opens the files empties them.
            data = CommitRecord().to_bytes()
            replace_file(self._record_path, data)
            self._output.create()
            if Path(self._failed.path).exists():
                self._failed.create()
        except OSError as error:
            self._error = self._undecided(error)
            raise self._error from error
        self._record, self._state, self._error = data, None, None

    def close(self) -> None:
        """Close the files and release the lock."""
        self._output.close()
        self._failed.close()
        self._lock.release()

    # -- opening ---------------------------------------------------------------------------

    def _place_at(self, path: str) -> None:
        self._output = AppendFile(path, _MEND_OUTPUT)
        self._failed = AppendFile(f"{path}.failed", _MEND_FAILED)
        self._record_path = f"{path}.checkpoint"
        for other in (self._failed.path, self._record_path):
            checked_path(other)
        self._refuse_what_is_not_ours()
        self._lock = FileLock(path)
        self._error, self._can_begin_again = None, True

    def _refuse_what_is_not_ours(self) -> None:
        # In this order: the commit record is there before anything is written.
        sizes = [(path, _size(path)) for path in (self._output.path, self._failed.path)]
        if Path(self._record_path).exists():
            return
        for path, size in sizes:
            if size:
                raise SetupError(
                    f"{path_text(path)} has {size:,} bytes that no job with a checkpoint has "
                    f"written: there is no {path_text(self._record_path)}. Move it away or "
                    f"give another path; or delete it, if an earlier job has left it."
                )

    def _read_record(self) -> bytes | None:
        try:
            return Path(self._record_path).read_bytes()
        except FileNotFoundError:
            return None

    def _new_record(self) -> bytes:
        """Write the first commit record of a job: before the output, which never lacks one."""
        self._refuse_what_is_not_ours()
        data = CommitRecord().to_bytes()
        replace_file(self._record_path, data)
        return data

    def _restore(self, data: bytes) -> None:
        self._record = data
        try:
            record = CommitRecord.from_bytes(data, self._record_path)
        except CheckpointError as error:
            # Nothing tells whether the output is ours.
            self._error, self._can_begin_again = error, not _size(self._output.path)
            return
        try:
            self._restore_output(record)
        except CheckpointError as error:
            self._error = error
            return
        self._state, self._error = record.state, record.damage
        if record.damage is not None and not record.output.offset:
            # There was nothing to know the output by.
            self._can_begin_again = not _size(self._output.path)
        try:
            self._failed.open(record.failed)
        except FileNotFoundError:
            if record.failed.offset:
                # Dead letters that were dealt with and moved away are not missed; but the
                # next ones, cut off by a crash, must not look like damage to them.
                self._record = CommitRecord(record.output, FileMark(), record.state).to_bytes()
                replace_file(self._record_path, self._record)
        except CheckpointError as error:
            self._error, self._can_begin_again = error, False

    def _restore_output(self, record: CommitRecord) -> None:
        try:
            self._output.open(record.output)
        except FileNotFoundError as error:
            if record.output.offset == 0:
                self._output.create()
                return
            raise CheckpointError(
                f"{path_text(self._output.path)} is missing, and "
                f"{path_text(self._record_path)} says that it has {record.output.offset:,} "
                f"bytes. Bring it back; or begin again with `await sink.forget()`, on the "
                f"command line with --restart."
            ) from error
        except CheckpointError:
            self._can_begin_again = False
            raise

    # -- failures --------------------------------------------------------------------------

    def _explained_at_opening(self, error: OSError) -> SetupError | SinkError:
        path, why = self._where(error), error.strerror
        if error.errno in _MISTAKES_OF_SETUP:
            return SetupError(
                f"{path} cannot be opened: {why}. Give a file that you may write, in a folder "
                f"that you may write."
            )
        return SinkError(f"{path} cannot be opened: {why}. {_remedy(error)} {_WHAT_STAYS}")

    def _rolled_back(self, error: OSError) -> SinkError:
        """Bring the files back to the commit before, as far as the disk allows."""
        if self._read_or_nothing() != self._record:
            # Cutting now could leave a checkpoint that claims more than there is.
            self._error = self._undecided(error)
            return self._error
        for file in (self._output, self._failed):
            # Otherwise the next append, or the next run, cuts them first.
            with suppress(OSError):
                file.truncate()
        return SinkError(
            f"{self._where(error)} cannot be written: {error.strerror}. {_remedy(error)} "
            f"{_WHAT_STAYS}"
        )

    def _undecided(self, error: OSError) -> SinkError:
        return SinkError(
            f"{self._where(error)} failed: {error.strerror}. The step may have been done or "
            f"not: close the sink and open it again to find out. {_WHAT_STAYS}"
        )

    def _read_or_nothing(self) -> bytes:
        try:
            return self._read_record() or b""
        except OSError:
            return b""

    def _where(self, error: OSError) -> str:
        return path_text(str(error.filename or self._given))


def _remedy(error: OSError) -> str:
    return "Make room, then go on." if error.errno in _NO_ROOM else "Mend that, then go on."


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except FileNotFoundError:
        return 0
