"""The files of one job, and the order of steps by which no crash leaves a part of a batch.

The output grows first, then the dead letters, and the side file is replaced last: that
one rename is the commit. What was appended without it is cut off by whoever comes next.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from pathlib import Path
from typing import Final

from trio_ingest import CheckpointError, SetupError
from trio_ingest.delivery import SinkError, SinkState
from trio_ingest.storage import FileLock, checked_path, path_text, replace_file

from ._append import AppendFile, Mark
from ._side import Side

# What no later attempt changes: somebody must give another path, or permission.
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
    """An output, its dead letters and its side file, of which one batch is committed a time.

    Args:
        path: of the output, as it was given.

    For one thread. Memory: nothing besides what is committed.
    """

    def __init__(self, path: str) -> None:
        self._given = path
        self._lock = FileLock(path)
        self._output = AppendFile(path, _MEND_OUTPUT)
        self._failed = AppendFile(path, _MEND_FAILED)
        self._side_path = path
        # What the side file holds, to tell whether a failed commit has changed it.
        self._side = b""
        self._delivered: SinkState | None = None
        # Why nothing can be committed, and whether to begin again would help.
        self._trouble: CheckpointError | SinkError | None = None
        self._is_curable = True

    @property
    def delivered(self) -> SinkState | None:
        """What the last commit left.

        Raises:
            CheckpointError: that cannot be read, or the files are no longer what it left.
            SinkError: an earlier failure left open what it is.
        """
        if self._trouble is not None:
            raise self._trouble
        return self._delivered

    def open(self) -> None:
        """Take the lock, and bring the files to where the last commit left them.

        A checkpoint that does not fit is kept for ``delivered`` to raise: ``forget`` must
        be able to drop it.

        Raises:
            SetupError: the path cannot work, or another run uses it.
            SinkError: the disk failed.
        """
        try:
            # A lock would be left beside a file of another program, so look first.
            self._place_at(checked_path(self._given))
            self._lock.take()
            side = self._read_side()
            self._restore(self._begun() if side is None else side)
        except OSError as error:
            raise self._explained_at_opening(error) from error

    def commit(self, lines: bytearray, letters: bytearray, delivered: SinkState) -> None:
        """Append both, then let the side file say so.

        Raises:
            CheckpointError, SinkError: as ``delivered``.
            SinkError: it failed; the files are at the commit before.
        """
        if self._trouble is not None:
            raise self._trouble
        try:
            output, failed = self._output.append(lines), self._failed.append(letters)
            side = Side(output, failed, delivered).to_bytes()
            replace_file(self._side_path, side)
        except OSError as error:
            raise self._taken_back(error) from error
        self._output.keep()
        self._failed.keep()
        self._side, self._delivered = side, delivered

    def forget(self) -> None:
        """Begin again, with files that hold nothing.

        Raises:
            CheckpointError: the output is not what the last commit left, so it may be
                somebody else's; it is as it was.
            SinkError: it failed; the job is either what it was or begins again.
        """
        if self._trouble is not None and not self._is_curable:
            raise self._trouble
        try:
            # First of all: from here on, whoever opens the files empties them.
            side = Side().to_bytes()
            replace_file(self._side_path, side)
            self._output.create()
            if Path(self._failed.path).exists():
                self._failed.create()
        except OSError as error:
            self._trouble = self._left_open(error)
            raise self._trouble from error
        self._side, self._delivered, self._trouble = side, None, None

    def close(self) -> None:
        """Close the files and give the lock back."""
        self._output.close()
        self._failed.close()
        self._lock.release()

    # -- opening ---------------------------------------------------------------------------

    def _place_at(self, path: str) -> None:
        self._output = AppendFile(path, _MEND_OUTPUT)
        self._failed = AppendFile(f"{path}.failed", _MEND_FAILED)
        self._side_path = f"{path}.checkpoint"
        for other in (self._failed.path, self._side_path):
            checked_path(other)
        self._refuse_what_is_not_ours()
        self._lock = FileLock(path)
        self._trouble, self._is_curable = None, True

    def _refuse_what_is_not_ours(self) -> None:
        # In this order: the side file is there before anything is written.
        sizes = [(path, _size(path)) for path in (self._output.path, self._failed.path)]
        if Path(self._side_path).exists():
            return
        for path, size in sizes:
            if size:
                raise SetupError(
                    f"{path_text(path)} has {size:,} bytes that no job with a checkpoint has "
                    f"written: there is no {path_text(self._side_path)}. Move it away or give "
                    f"another path; or delete it, if it is left over from an earlier job."
                )

    def _read_side(self) -> bytes | None:
        try:
            return Path(self._side_path).read_bytes()
        except FileNotFoundError:
            return None

    def _begun(self) -> bytes:
        """A new job's side file: before the output, which is never without one."""
        self._refuse_what_is_not_ours()
        side = Side().to_bytes()
        replace_file(self._side_path, side)
        return side

    def _restore(self, data: bytes) -> None:
        self._side = data
        try:
            side = Side.from_bytes(data, self._side_path)
        except CheckpointError as error:
            # Whether the output is ours, nobody can tell.
            self._trouble, self._is_curable = error, not _size(self._output.path)
            return
        try:
            self._restore_output(side)
        except CheckpointError as error:
            self._trouble = error
            return
        self._delivered, self._trouble = side.delivered, side.damage
        if side.damage is not None and not side.output.offset:
            # There was nothing to know the output by.
            self._is_curable = not _size(self._output.path)
        try:
            self._failed.open(side.failed)
        except FileNotFoundError:
            if side.failed.offset:
                # Dead letters that somebody has dealt with and moved away are not missed;
                # but the next ones, cut off by a crash, must not look like damage to them.
                self._side = Side(side.output, Mark(), side.delivered).to_bytes()
                replace_file(self._side_path, self._side)
        except CheckpointError as error:
            self._trouble, self._is_curable = error, False

    def _restore_output(self, side: Side) -> None:
        try:
            self._output.open(side.output)
        except FileNotFoundError as error:
            if side.output.offset == 0:
                self._output.create()
                return
            raise CheckpointError(
                f"{path_text(self._output.path)} is missing, and {path_text(self._side_path)} "
                f"says that it has {side.output.offset:,} bytes. Bring it back; or begin "
                f"again with `await sink.forget()`, on the command line with --restart."
            ) from error
        except CheckpointError:
            self._is_curable = False
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

    def _taken_back(self, error: OSError) -> SinkError:
        """Bring the files back to the commit before, as far as the disk lets us."""
        if self._read_or_nothing() != self._side:
            # Cutting now could leave a checkpoint that claims more than there is.
            self._trouble = self._left_open(error)
            return self._trouble
        for file in (self._output, self._failed):
            # Whoever appends next, or opens the files, cuts them first.
            with suppress(OSError):
                file.cut()
        return SinkError(
            f"{self._where(error)} cannot be written: {error.strerror}. {_remedy(error)} "
            f"{_WHAT_STAYS}"
        )

    def _left_open(self, error: OSError) -> SinkError:
        return SinkError(
            f"{self._where(error)} failed: {error.strerror}. The step may have been done or "
            f"not: close the sink and open it again to find out. {_WHAT_STAYS}"
        )

    def _read_or_nothing(self) -> bytes:
        try:
            return self._read_side() or b""
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
