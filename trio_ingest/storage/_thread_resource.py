"""The base of sinks and stores: files or a connection that live in a thread of their own."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self, TypeVar

from trio_ingest import SetupError
from trio_ingest.delivery import SinkState

from ._owner_thread import OwnerThread
from ._paths import path_text

Answer = TypeVar("Answer")


class Resource(Protocol):
    """Files or a connection that one thread opens, uses and closes.

    Every method is called in that thread.
    """

    def open(self) -> object:
        """Open it.

        Raises:
            Exception: it cannot be opened; ``async with`` raises this, after ``close``.
        """

    def close(self) -> object:
        """Close it, also when ``open`` failed half way."""


Resource.__module__ = "trio_ingest.storage"


class ThreadResource:
    """Base of a sink or store whose files or connection belong to one thread.

    ``async with`` opens the resource in a thread of its own. However the block is left, a
    call under way has come to its end, the resource is closed and the thread is gone; a call
    that hangs is left to itself after a minute, with a ``RuntimeWarning``. A subclass awaits
    ``_run_in_thread`` for whatever touches the resource::

        class MySink(ThreadResource):
            def __init__(self, path: str) -> None:
                self._file = MyFile(path)
                super().__init__(f"mine:{path}", self._file)

            async def write(self, batch: Batch) -> Sequence[Rejection]:
                return await self._run_in_thread(lambda: self._file.commit(batch))

    Args:
        name: what messages and the thread are called by, like ``jsonl:PATH``.
        resource: what to open and close.

    ``async with`` raises:
        SetupError: it is open already.
        Exception: what ``resource.open`` raises.

    Memory: a thread while it is open.
    """

    __module__ = "trio_ingest.storage"

    def __init__(self, name: str, resource: Resource) -> None:
        self.name = name
        self._resource = resource
        self._owner: OwnerThread | None = None

    async def __aenter__(self) -> Self:
        if self._owner is not None:
            raise SetupError(
                f"{path_text(self.name)} is open already. Make one {type(self).__name__} "
                f"for each block."
            )
        self._owner = OwnerThread(self.name)
        try:
            await self._owner.call(self._resource.open)
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

    async def _run_in_thread(self, function: Callable[[], Answer]) -> Answer:
        """Return what ``function`` returns in the thread of the resource.

        Raises:
            SetupError: the resource is not open.
            Exception: what ``function`` raises.

        Cancelled before it began, it does not begin; cancelled later, it is waited for.
        """
        if self._owner is None:
            raise SetupError(
                f"{path_text(self.name)} is not open. Use it inside `async with "
                f"{type(self).__name__}(...)`."
            )
        return await self._owner.call(function)

    async def _close(self) -> None:  # noqa: ASYNC910 -- nothing to close, nothing to wait for
        owner, self._owner = self._owner, None
        if owner is not None:
            await owner.aclose(self._resource.close)


class StateResource(Resource, Protocol):
    """Files or a database that also keep the state of a job."""

    def load(self) -> SinkState | None:
        """Return what the last commit left, or None before the first one."""

    def forget(self) -> object:
        """Drop it, so that the job can begin again."""


StateResource.__module__ = "trio_ingest.storage"


class ThreadSink(ThreadResource):
    """Base of a sink or store that keeps the state of a job in its files or its database.

    A subclass has ``guarantee`` and ``write``, which commits the documents together with
    ``batch.delivered(rejections)``; all else is as in ``ThreadResource``.

    Args:
        name: the name in messages, like ``jsonl:PATH``.
        resource: the files or the database.
    """

    __module__ = "trio_ingest.storage"

    def __init__(self, name: str, resource: StateResource) -> None:
        super().__init__(name, resource)
        self._load, self._forget = resource.load, resource.forget

    async def load(self) -> SinkState | None:
        """Return what the last committed batch left, or None before the first one.

        Raises:
            CheckpointError: it is damaged, does not fit the documents, or was written by a
                newer release.
            SinkError: it cannot be read.
        """
        return await self._run_in_thread(self._load)

    async def forget(self) -> None:
        """Drop the state, and what goes with it, so that the job can begin again.

        Raises:
            CheckpointError: the files are not what the last commit left, so another program
                may have written them; they are as they were.
            SinkError: it cannot be dropped, or not for good.

        Cancelled here, all of it is dropped, or nothing was touched.
        """
        await self._run_in_thread(self._forget)
