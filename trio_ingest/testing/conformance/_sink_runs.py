"""A sink under test, batches for it, and the documents that it has afterwards."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, cast

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

from ._check import run_strictly, skip

BATCH_SIZE: Final = 3
SAMPLE_SIZE: Final = 8


class AdapterFailed(Exception):
    """The planned failure of a ``ListAdapter``."""


class ListAdapter:
    """An adapter of given documents; None among them is a record that fails.

    Args:
        documents: the documents of its records.
        fails_at: the record before which ``fetch`` raises; none when None.
    """

    source = "check"
    stable_order = True

    def __init__(
        self, documents: Iterable[Document | None], *, fails_at: int | None = None
    ) -> None:
        self._documents = list(documents)
        self._fails_at = fails_at

    async def fetch(self) -> AsyncIterator[Document | None]:
        """Yield the documents."""
        for number, document in enumerate(self._documents):
            if number == self._fails_at:
                raise AdapterFailed
            await trio.lowlevel.checkpoint()
            yield document

    def parse(self, record: Document | None) -> Document:
        """Return the document, or fail."""
        if record is None:
            raise ValueError("It is bad on purpose.")
        return record


def sample(name: str = "document") -> list[Document | None]:
    """Make documents that no sink has a reason to reject, and a record that fails."""
    documents: list[Document | None] = [
        Document(f"{name} {number}", "check", f"The text of {name} {number}.")
        for number in range(SAMPLE_SIZE)
    ]
    documents[4] = None
    return documents


def ids_of(batches: Iterable[Batch]) -> list[str]:
    """List the ids of the documents of batches."""
    return [document.doc_id for batch in batches for document in batch.documents]


class BatchCollector:
    """A sink that keeps the batches that a real delivery makes."""

    name = "collector"
    guarantee: Guarantee = "at-least-once"

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    async def __aenter__(self) -> Self:
        await trio.lowlevel.checkpoint()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Do nothing: no file is open."""

    async def write(self, batch: Batch) -> Sequence[Rejection]:
        """Keep the batch."""
        await trio.lowlevel.checkpoint()
        self.batches.append(batch)
        return ()


def make_batches(documents: Iterable[Document | None]) -> list[Batch]:
    """Make batches of documents, as a delivery does."""
    collector = BatchCollector()
    run_strictly(_deliver_all, ListAdapter(documents), collector, None)
    return collector.batches


async def _deliver_all(adapter: Any, sink: Any, point: Checkpoint | None) -> DeliveryReport:
    stream = IngestionPipeline(adapter).stream_events(resume_from=point)
    # A wait so long that batches end by their size alone.
    return await deliver(stream, sink, batch_size=BATCH_SIZE, max_wait_seconds=3600)


async def run_delivery(adapter: Any, sink: Any) -> DeliveryReport:
    """Run a job, from the checkpoint of the sink."""
    async with sink:
        return await _deliver_all(adapter, sink, await resume_point(sink))


async def write_each(sink: Any, batches: Iterable[Batch]) -> list[SinkState]:
    """Write batches in one opening of the sink; return the state due after each of them."""
    states = []
    async with sink:
        await load_state(sink)
        for batch in batches:
            rejections = check_rejections(batch, await sink.write(batch))
            states.append(batch.delivered(rejections))
    return states


async def load_state(sink: Any) -> SinkState | None:
    """Return the state that a sink loads, None also when it keeps none.

    Raises:
        AssertionError: it loads something else.
    """
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


async def read_state(sink: Any) -> SinkState | None:
    """Open a sink, and return the state that it loads."""
    async with sink:
        return await load_state(sink)


def check_rejections(batch: Batch, rejections: Any) -> Sequence[Rejection]:
    """Return the rejections that ``write`` returned.

    Raises:
        AssertionError: there is something else among them.
    """
    found = list(rejections or ())
    left = [id(document) for document in batch.documents]
    for one in found:
        if not isinstance(one, Rejection):
            raise AssertionError(  # noqa: TRY004 -- a check raises nothing else
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
class SinkUnderTest:
    """The factory of a sink, and the contents of what it makes.

    Args:
        factory: makes it, in a folder.
        contents: lists the ids of the documents in a folder's sink; or None.
    """

    factory: Callable[[Path], Any]
    contents: Callable[[Path], Iterable[str]] | None

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Make an empty folder, for the time of a check."""
        with tempfile.TemporaryDirectory(prefix="check-sink-") as folder:
            yield Path(folder)

    def found(self, folder: Path) -> Counter[str]:
        """Count the documents that are there, by id.

        Raises:
            unittest.SkipTest: there is no ``contents``.
        """
        if self.contents is None:
            skip("No `contents` is given, so it cannot be told what the sink has.")
        return Counter(self.contents(folder))

    def resumable(self, folder: Path) -> Any:
        """Make a sink.

        Raises:
            unittest.SkipTest: it keeps no checkpoint.
        """
        sink = self.factory(folder)
        if not isinstance(sink, ResumableSink):
            skip("It keeps no checkpoint: it has no `load` and `forget`.")
        return sink

    def is_exact(self, folder: Path) -> bool:
        """Return True if it promises exactly-once."""
        return bool(self.factory(folder).guarantee == "exactly-once")
