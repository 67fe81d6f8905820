"""The pipeline: adapters plus policies, and the calls that start a run of them."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, TypedDict, TypeVar, Unpack, overload

from trio_ingest._core.adapters import Adapter, plan_of
from trio_ingest._core.checkpoints import Checkpoint
from trio_ingest._core.errors import SetupError, add_note
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.options import DEFAULTS, Policy, RetryPolicy, RunOptions, Shaping
from trio_ingest._core.reprs import listed, summary
from trio_ingest._engine.engine import AnyEngine, Engine
from trio_ingest._engine.runtime import TRIO, Runtime
from trio_ingest._engine.setup import RunSetup

from ._legacy import run_eagerly, warn_once
from ._results import Collector, DocumentStream, PipelineResult, document_of, is_document
from ._stream import EventStream

Shown = TypeVar("Shown")


class RunArguments(TypedDict, total=False):
    """The options of one run; every call that starts one takes them.

    Args:
        params: a list of keyword mappings; each adapter runs once for each of them.
        buffer_size: how many events may wait for the consumer; 100.
        progress_interval: documents between progress events; 100.
        checkpoint_interval: documents between checkpoints; 1,000.
        completed_ids: anything with ``in``; documents whose id is in it are skipped.
        resume_from: the checkpoint of an earlier run.
        estimated_total: how many records to expect, if the adapters cannot tell.
    """

    params: Iterable[Mapping[str, Any]]
    buffer_size: int
    progress_interval: int
    checkpoint_interval: int
    completed_ids: Container[str] | None
    resume_from: Checkpoint | None
    estimated_total: int | None


RunArguments.__module__ = "trio_ingest"


class IngestionPipeline:
    """Adapters plus policies; holds no run state, so it can be run again and again.

    Args:
        adapters: objects with ``source``, ``fetch`` and ``parse``; they run at the same
            time in the ``async with`` form, one after another in the bare form.
        workers: tasks that parse the records of each adapter. More than one helps when
            ``parse`` awaits something.
        ordered: with several workers, keep the order of the source.
        retry: when a failed parse is tried again; never, by default.
        cleanup_grace_seconds: how long an adapter may take to close after a cancellation.
        clock: gives the timestamps of events, in seconds since the epoch; the system's when
            None.
        new_pipeline_id: names each run; 32 random hexadecimal digits when None.

    Raises:
        SetupError: when an adapter lacks something, or an argument is out of range.
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
        *,
        event_filter: Callable[[PipelineEvent], bool] | None = None,
        event_transformer: None = None,
        **options: Unpack[RunArguments],
    ) -> EventStream[PipelineEvent]: ...

    @overload
    def stream_events(
        self,
        *,
        event_filter: Callable[[PipelineEvent], bool] | None = None,
        event_transformer: Callable[[PipelineEvent], Shown],
        **options: Unpack[RunArguments],
    ) -> EventStream[Shown]: ...

    def stream_events(
        self,
        *,
        event_filter: Callable[[PipelineEvent], bool] | None = None,
        event_transformer: Callable[[PipelineEvent], Any] | None = None,
        **options: Unpack[RunArguments],
    ) -> EventStream[Any]:
        """The primary API: one run as a stream of events.

        Args:
            event_filter: which events the caller sees; changes no bookkeeping.
            event_transformer: what the caller sees instead of each.
            options: see ``RunArguments``.

        Raises:
            SetupError: when an option is wrong, or asyncio is running here.
            CheckpointError: when ``resume_from`` does not fit.

        Memory: ``buffer_size`` events and twice ``workers`` records, however many
        documents there are.
        """
        shaping = shaping_of(event_filter, event_transformer)
        return stream_of(self, TRIO, shaping, options)

    def iter_results(self, **options: Unpack[RunArguments]) -> DocumentStream:
        """The documents of the completed events alone, in the same two forms.

        Failed documents are passed over: whoever must know of them uses ``stream_events``.

        Raises: as ``stream_events``.

        Memory: as ``stream_events``.
        """
        return DocumentStream(
            stream_of(self, TRIO, Shaping(is_document, document_of), options)
        )

    async def run_async(self, **options: Unpack[RunArguments]) -> PipelineResult:
        """Run to the end and return everything in one object.

        Raises:
            Exception: a dead adapter's failure, with a note of what was discarded.

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
        """Deprecated: the old eager loop, without events, workers, retries or backpressure.

        Memory: every document and every failure.
        """
        warn_once()
        options = RunOptions(params=params, completed_ids=completed_ids)
        setup = RunSetup(self._plans, self._policy, options)
        return await run_eagerly(setup.plans, setup.policy, options)


def shaping_of(
    event_filter: Callable[[PipelineEvent], bool] | None,
    event_transformer: Callable[[PipelineEvent], Any] | None,
) -> Shaping | None:
    """What the caller wants to see of the events; None when that is everything."""
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
    """A stream of a pipeline's events, on any runtime.

    Raises: as ``stream_events``.
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
    """Run a stream to its end, and keep everything.

    Raises: as ``run_async``.

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
