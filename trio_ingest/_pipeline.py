"""The pipeline: adapters plus policies, and the calls that start a run of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

from trio_ingest._core.adapters import Adapter, plan_of
from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.errors import SetupError, add_note
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.options import (
    DEFAULT_BUFFER_SIZE,
    DEFAULTS,
    Policy,
    RetryPolicy,
    RunOptions,
    Shaping,
)
from trio_ingest._core.reprs import listed, summary
from trio_ingest._engine.engine import AnyEngine, Engine
from trio_ingest._engine.runtime import TRIO, Runtime
from trio_ingest._engine.setup import RunSetup

from ._legacy import run_eagerly, warn_once
from ._results import Collector, DocumentStream, PipelineResult, document_of, is_document
from ._stream import EventStream

Shown = TypeVar("Shown")


class StreamArguments(TypedDict, total=False):
    """The options of one run, but for the size of the buffer.

    Args:
        params: a list of keyword mappings; each adapter runs once for each of them; ``[{}]``.
        progress_interval: documents between progress events; 100.
        checkpoint_interval: documents between checkpoints; 1,000.
        completed_ids: anything with ``in``; documents whose id is in it are skipped; None.
        resume_from: the checkpoint of an earlier run; None.
        estimated_total: records to expect in all; comes before the adapters' own estimates.
    """

    params: Iterable[Mapping[str, Any]]
    progress_interval: int
    checkpoint_interval: int
    completed_ids: Container[str] | None
    resume_from: Checkpoint | None
    estimated_total: int | None


class RunArguments(StreamArguments, total=False):
    """The options of one run; every call that starts one takes them.

    Args:
        buffer_size: events that may wait for the consumer; 100.

    The others are those of ``StreamArguments``.
    """

    buffer_size: int


StreamArguments.__module__ = RunArguments.__module__ = "trio_ingest"


class IngestionPipeline:
    """Adapters plus policies; holds no run state, so it can be run again and again.

    Args:
        adapters: objects with ``source``, ``fetch`` and ``parse``; they run at the same
            time in the ``async with`` form, one after another in the bare form.
        workers: tasks that parse the records of each adapter; 1. More help when ``parse``
            awaits something.
        ordered: with several workers, keep the order of the source; True.
        retry: when a failed parse is tried again; None: never.
        cleanup_grace_seconds: how long an adapter may take to close; 5.0.
        clock: gives the timestamps of events, in seconds since the epoch; None: the
            system's.
        new_pipeline_id: names each run; None: 32 random hexadecimal digits.
        on_error: called with the exception of each failed attempt and the ``source`` of its
            adapter, where it happens; events have its text. What it raises is a
            ``RuntimeWarning``; None: nothing is called.

    Raises:
        SetupError: an adapter lacks something, two share a ``source``, or an argument is
            out of range.
    """

    __module__ = "trio_ingest"

    def __init__(
        self,
        *adapters: Adapter,
        workers: int = 1,
        ordered: bool = True,
        retry: RetryPolicy | None = None,
        cleanup_grace_seconds: float = 5.0,
        clock: Callable[[], float] | None = None,
        new_pipeline_id: Callable[[], str] | None = None,
        on_error: Callable[[Exception, str], object] | None = None,
    ) -> None:
        if not adapters:
            raise SetupError(
                "A pipeline needs at least one adapter: IngestionPipeline(MyAdapter())."
            )
        self._plans = tuple(plan_of(adapter) for adapter in adapters)
        sources = [plan.source for plan in self._plans]
        for source in sources:
            if sources.count(source) > 1:
                raise SetupError(
                    f"Two adapters share the source {source!r}, so their events could not "
                    f"be told apart. Give each a source of its own."
                )
        self._policy = Policy(
            workers=workers,
            ordered=ordered,
            retry=RetryPolicy() if retry is None else retry,
            cleanup_grace_seconds=cleanup_grace_seconds,
            clock=DEFAULTS.clock if clock is None else clock,
            new_pipeline_id=(
                DEFAULTS.new_pipeline_id if new_pipeline_id is None else new_pipeline_id
            ),
            on_error=on_error,
        )

    def __repr__(self) -> str:
        return summary(self, self._details)

    def _details(self) -> str:
        workers = self._policy.workers
        order = "" if workers == 1 else ", ordered" if self._policy.ordered else ", unordered"
        sources = listed([plan.source for plan in self._plans])
        return f" {sources}: {workers:,} worker{'' if workers == 1 else 's'}{order}"

    @overload
    def stream_events(
        self,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
        *,
        event_filter: Callable[[PipelineEvent], bool] | None = None,
        event_transformer: None = None,
        **options: Unpack[StreamArguments],
    ) -> EventStream[PipelineEvent]: ...

    @overload
    def stream_events(
        self,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
        *,
        event_filter: Callable[[PipelineEvent], bool] | None = None,
        event_transformer: Callable[[PipelineEvent], Shown],
        **options: Unpack[StreamArguments],
    ) -> EventStream[Shown]: ...

    def stream_events(
        self,
        buffer_size: int = DEFAULT_BUFFER_SIZE,
        *,
        event_filter: Callable[[PipelineEvent], bool] | None = None,
        event_transformer: Callable[[PipelineEvent], Any] | None = None,
        **options: Unpack[StreamArguments],
    ) -> EventStream[Any]:
        """Return a stream of the events of one run: the primary API.

        Nothing starts before the stream is entered or iterated.

        Args:
            buffer_size: events that may wait for the consumer.
            event_filter: a function of an event that says whether the caller sees it; None:
                all of them. Counts and checkpoints stay those of the whole run.
            event_transformer: a function of an event that gives what the caller sees
                instead; None: the event itself.
            options: see ``StreamArguments``.

        Returns:
            the stream, for ``async with`` and ``async for``, or for ``async for`` alone.

        Raises:
            SetupError: an option is wrong, or asyncio is running here.
            CheckpointError: ``resume_from`` does not fit this pipeline and these params.

        Memory: as ``EventStream``, however many documents there are.
        """
        shaping = shaping_of(event_filter, event_transformer)
        return stream_of(self, TRIO, shaping, {"buffer_size": buffer_size, **options})

    def iter_results(self, **options: Unpack[RunArguments]) -> DocumentStream:
        """Return a stream of the documents of the ``DocumentCompleted`` events alone.

        Failed documents are passed over; ``stream_events`` tells of them.

        Args:
            options: see ``RunArguments``.

        Returns:
            the stream, in the two forms of ``stream_events``.

        Raises:
            SetupError: an option is wrong, or asyncio is running here.
            CheckpointError: ``resume_from`` does not fit this pipeline and these params.

        Memory: as ``EventStream``.
        """
        return DocumentStream(
            stream_of(self, TRIO, Shaping(is_document, document_of), options)
        )

    async def run_async(self, **options: Unpack[RunArguments]) -> PipelineResult:
        """Run to the end and return everything in one object.

        Args:
            options: see ``RunArguments``.

        Returns:
            the documents and the failures, in the order of the adapters.

        Raises:
            SetupError: an option is wrong, or asyncio is running here.
            CheckpointError: ``resume_from`` does not fit this pipeline and these params.
            Exception: a dead adapter's failure, with a note of what was discarded.

        Cancelled, every adapter is closed, and the documents are discarded.

        Memory: every document and every failure. Past 10,000 documents a
        ``RuntimeWarning`` says so; ``stream_events`` needs a few hundred objects.
        """
        return await collected(self, stream_of(self, TRIO, None, options))

    async def run_async_legacy(
        self,
        *,
        params: Iterable[Mapping[str, Any]] = ({},),
        completed_ids: Container[str] | None = None,
    ) -> PipelineResult:
        """Run the old eager loop: no events, workers, retries or backpressure. Deprecated.

        Args:
            params: a list of keyword mappings; each adapter runs once for each; ``[{}]``.
            completed_ids: anything with ``in``; documents whose id is in it are left out.

        Returns:
            the documents, and for each record that became none an event in ``errors``.

        Raises:
            SetupError: an argument is wrong, or asyncio is running here.
            Exception: what ``fetch`` or ``aclose`` of an adapter raised, at once.

        ``on_error`` of the pipeline is not called. Cancelled, every adapter is closed within
        the pipeline's grace, and the documents are discarded.

        Memory: every document and every failure.
        """
        TRIO.check_host()
        warn_once()
        return await collected_eagerly(self, TRIO, params, completed_ids)


def shaping_of(
    event_filter: Callable[[PipelineEvent], bool] | None,
    event_transformer: Callable[[PipelineEvent], Any] | None,
) -> Shaping | None:
    """Return the filter and the transformer together; None when there is neither.

    Raises:
        SetupError: one is no plain function.
    """
    if event_filter is None and event_transformer is None:
        return None
    return Shaping(event_filter, event_transformer)


def stream_of(
    pipeline: IngestionPipeline,
    runtime: Runtime,
    shaping: Shaping | None,
    options: RunArguments,
    new_engine: Callable[[RunSetup, Runtime], AnyEngine] = Engine,
) -> EventStream[Any]:
    """Return a stream of a pipeline's events, on any runtime.

    Raises: as ``IngestionPipeline.stream_events``.
    """
    runtime.check_host()
    unknown = set(options) - set(RunArguments.__annotations__)
    if unknown:
        raise SetupError(
            f"A run has no option {', '.join(sorted(unknown))} here. It takes "
            f"{', '.join(RunArguments.__annotations__)}; and stream_events alone takes "
            f"event_filter and event_transformer."
        )
    setup = RunSetup(pipeline._plans, pipeline._policy, RunOptions(**options))  # noqa: SLF001 -- its own module
    return EventStream(setup, runtime, shaping, new_engine)


async def collected(
    pipeline: IngestionPipeline, stream: EventStream[PipelineEvent]
) -> PipelineResult:
    """Run a stream to its end and return everything.

    Raises: as ``IngestionPipeline.run_async``.

    Memory: every document and every failure.
    """
    clock = pipeline._policy.clock  # noqa: SLF001 -- its own module
    sources = [plan.source for plan in pipeline._plans]  # noqa: SLF001 -- the same
    collector = Collector(sources, clock())
    try:
        async with stream as events:
            async for event in events:
                collector.take(event)
    except Exception as error:
        add_note(
            error,
            f"{collector.count} documents completed and were discarded: use stream_events",
        )
        raise
    return collector.result(clock())


async def collected_eagerly(
    pipeline: IngestionPipeline,
    runtime: Runtime,
    params: Iterable[Mapping[str, Any]],
    completed_ids: Container[str] | None,
) -> PipelineResult:
    """Run the old loop to its end and return everything.

    Raises: as ``IngestionPipeline.run_async_legacy``.

    Memory: every document and every failure.
    """
    options = RunOptions(params=params, completed_ids=completed_ids)
    setup = RunSetup(pipeline._plans, pipeline._policy, options)  # noqa: SLF001 -- its own module
    return await run_eagerly(setup.plans, setup.policy, options, runtime)
