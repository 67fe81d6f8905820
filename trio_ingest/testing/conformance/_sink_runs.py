"""A sink that is being checked, batches for it, and what it has afterwards."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast

import attrs
import trio

from trio_ingest import Checkpoint, Document, IngestionPipeline
from trio_ingest.delivery import (
    Batch,
    DeliveryReport,
    Guarantee,
    Rejection,
    ResumableSink,
    SinkState,
    deliver,
    resume_point,
)

from ._check import played, skip

T = TypeVar("T")

BATCH_SIZE: Final = 3
COUNT: Final = 8


class Died(Exception):
    """The adapter of a check dies, as it was told to."""


class Given:
    """An adapter of given documents; None among them is a record that fails.

    Args:
        documents: what its records become.
        dies_at: the record before which ``fetch`` raises; it lives when None.
    """

    source = "check"
    stable_order = True

    def __init__(
        self, documents: Iterable[Document | None], *, dies_at: int | None = None
    ) -> None:
        self._documents = list(documents)
        self._dies_at = dies_at

    async def fetch(self) -> AsyncIterator[Document | None]:
        """Yield them."""
        for number, document in enumerate(self._documents):
            if number == self._dies_at:
                raise Died
            await trio.lowlevel.checkpoint()
            yield document

    def parse(self, record: Document | None) -> Document:
        """Give it, or fail."""
        if record is None:
            raise ValueError("It is bad on purpose.")
        return record


def ordinary(name: str = "document") -> list[Document | None]:
    """Documents that no sink has a reason to reject, and a record that fails."""
    documents: list[Document | None] = [
        Document(f"{name} {number}", "check", f"The text of {name} {number}.")
        for number in range(COUNT)
    ]
    documents[4] = None
    return documents


def ids_of(batches: Iterable[Batch]) -> list[str]:
    """The ids of their documents."""
    return [document.doc_id for batch in batches for document in batch.documents]


class Recorder:
    """A sink that keeps the batches that it is given: a real delivery makes them."""

    name = "recorder"
    guarantee: Guarantee = "at-least-once"

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is open."""

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Keep it."""
        await trio.lowlevel.checkpoint()
        self.batches.append(batch)
        return ()


def batches_of(documents: Iterable[Document | None], size: int = BATCH_SIZE) -> list[Batch]:
    """The batches that a delivery makes of them."""
    recorder = Recorder()
    played(deliver_all, Given(documents), [recorder], None, size)
    return recorder.batches


async def deliver_all(
    adapter: Any, sinks: Sequence[Any], point: Checkpoint | None, size: int = BATCH_SIZE
) -> DeliveryReport:
    """Deliver what an adapter gives; batches end by their size alone."""
    stream = IngestionPipeline(adapter).stream_events(resume_from=point)
    return await deliver(stream, *sinks, batch_size=size, max_wait_seconds=3600)


async def live(adapter: Any, sink: Any) -> DeliveryReport:
    """One life of a job, from where the sink says."""
    async with sink:
        return await deliver_all(adapter, [sink], await resume_point(sink))


async def write_each(sink: Any, batches: Iterable[Batch]) -> list[SinkState]:
    """Write them in one opening of the sink; what it must say after each of them."""
    states = []
    async with sink:
        await loaded(sink)
        for batch in batches:
            rejections = checked(batch, await sink.write(batch))
            states.append(batch.delivered(rejections))
    return states


async def loaded(sink: Any) -> SinkState | None:
    """What it says of itself, None also when it says nothing."""
    found: Any = None
    if isinstance(sink, ResumableSink):
        found = await sink.load()
        if found is not None and not isinstance(found, SinkState):
            raise AssertionError(
                f"`load` gave {found!r:.80}. Give a SinkState, as `batch.delivered()` made "
                f"it, or None before the first batch."
            )
    else:
        await trio.lowlevel.checkpoint()
    return cast("SinkState | None", found)


def checked(batch: Batch, rejections: Any) -> Sequence[Rejection]:
    """What `write` returned.

    Raises:
        AssertionError: it is not what a sink returns.
    """
    found = list(rejections or ())
    left = [id(document) for document in batch.documents]
    for one in found:
        if not isinstance(one, Rejection):
            raise AssertionError(  # noqa: TRY004 -- the same
                f"`write` returned {one!r:.80} among its rejections. Return a Rejection for "
                f"each document that cannot be taken, and nothing else."
            )
        if id(one.document) not in left:
            raise AssertionError(
                f"`write` rejected a document {one.document.doc_id!r:.80} that is not in the "
                f"batch, or rejected it twice. Reject the document itself, once."
            )
        if not str(one.reason or "").strip():
            raise AssertionError(
                f"`write` rejected {one.document.doc_id!r:.80} for the reason {one.reason!r}. "
                f"Say why in a sentence: it is all that people will read."
            )
        left.remove(id(one.document))
    return found


@attrs.frozen
class Subject:
    """A sink, as often as a new one is needed.

    Args:
        factory: makes it, in a folder.
        contents: the ids of the documents that are in a folder's sink; or None.
    """

    factory: Callable[[Path], Any]
    contents: Callable[[Path], Iterable[str]] | None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder, for the time of a check."""
        with tempfile.TemporaryDirectory(prefix="check-sink-") as folder:
            yield Path(folder)

    def found(self, folder: Path) -> Counter[str]:
        """The ids of the documents that are there."""
        if self.contents is None:
            skip("No `contents` is given, so nobody knows what the sink has.")
        return Counter(self.contents(folder))

    def sink(self, folder: Path) -> Any:
        """A new one.

        Raises:
            unittest.SkipTest: it keeps no checkpoint.
        """
        sink = self.factory(folder)
        if not isinstance(sink, ResumableSink):
            skip("It keeps no checkpoint: it has no `load` and `forget`.")
        return sink

    def is_exact(self, folder: Path) -> bool:
        """Whether it says that no document is there twice."""
        return bool(self.factory(folder).guarantee == "exactly-once")
