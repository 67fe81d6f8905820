"""The bare form: the same run in the consumer's own task, one record at a time.

No task, no buffer, no nursery: the async generator does each step when it is asked for
the next event, so asking acknowledges, and a consumer that stops asking stops the run.
No cancel scope is ever open across a ``yield`` here (PEP 789).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ._adapters import AdapterPlan
from ._documents import Document
from ._errors import EngineBug, SetupError
from ._events import PipelineEvent
from ._lane import close_fetch, close_within_grace, open_fetch, refuse_open_scope
from ._run import Run
from ._runtime import Runtime
from ._setup import RunSetup, estimate_totals, failure_of, reason_of, where
from ._work import Tries, Work

# Progress by time comes at the next record after this.
_DUE_SECONDS = 1.0


class Inline:
    """One run in the bare form.

    Memory: one record and its events.
    """

    def __init__(self, setup: RunSetup, runtime: Runtime) -> None:
        self._setup = setup
        self._runtime = runtime
        self._clock = runtime.clock()
        self._wall = setup.policy.clock
        self._mark = self._clock()
        self.run: Run = setup.begin(self._mark)
        self.events: AsyncGenerator[PipelineEvent, None] = self._all_adapters()

    @property
    def acknowledged(self) -> int:
        """How many events the consumer has acknowledged."""
        # Known only to the generator itself: is it at a yield, or past one?
        events: Any = self.events
        asked = events.ag_running or events.ag_frame is None
        return self.run.sequence if asked else max(0, self.run.sequence - 1)

    async def _all_adapters(self) -> AsyncGenerator[PipelineEvent, None]:
        setup, run, runtime, wall = self._setup, self.run, self._runtime, self._wall
        failures: list[Exception] = []
        run.estimated_total = await estimate_totals(setup, run)
        self._mark = self._clock()
        for index, plan in enumerate(setup.plans):
            yield run.state_changed(plan.source, "running", wall())
            self._book_consumer()
            failure: Exception | None = None
            try:
                try:
                    for work in setup.works(run, index, self._clock):
                        if not work.adapter_run.finished:
                            async with aclosing(self._adapter_run(plan, work)) as events:
                                async for event in events:
                                    yield event
                finally:
                    if plan.aclose is not None:
                        grace = setup.policy.cleanup_grace_seconds
                        what = f"aclose of {plan.source!r}"
                        # It shields, for the grace.
                        await close_within_grace(  # noqa: ASYNC102
                            plan.aclose, runtime, grace, what
                        )
            except EngineBug:
                raise
            except Exception as error:
                failure = error
            if failure is None:
                yield run.state_changed(plan.source, "finished", wall())
                self._book_consumer()
            else:
                failures.append(failure)
                yield run.state_changed(plan.source, "failed", wall(), reason_of(failure))
                self._book_consumer()
        yield run.progress(self._clock(), wall(), 0, checkpoint=True)
        await runtime.cancellation_point()
        ended_by = failure_of(failures)
        if ended_by is not None:
            raise ended_by

    def _book_consumer(self) -> None:
        now = self._clock()
        self.run.consumer_seconds += now - self._mark
        self._mark = now

    async def _adapter_run(
        self, plan: AdapterPlan, work: Work
    ) -> AsyncGenerator[PipelineEvent, None]:
        # One generator for the whole loop: each one that an event passes through costs
        # as much as making the event does.
        run, adapter_run, clock, wall = self.run, work.adapter_run, self._clock, self._wall
        admit, attempt = work.admit, work.attempt
        runtime = self._runtime
        unchecked: tuple[float, int] | None
        unchecked = runtime.open_deadline(), runtime.open_nurseries()
        mark = self._mark
        items = open_fetch(plan, work)
        if hasattr(items, "__aenter__"):
            raise SetupError(
                f"fetch of the adapter {plan.source!r} gives a block to enter, which the bare "
                f"form must not hold open across a yield. Use `async with "
                f"pipeline.stream_events() as events:`."
            )
        try:
            async for record in items:
                now = clock()
                run.fetch_seconds += now - mark
                mark = now
                if unchecked is not None:
                    deadline, nurseries = unchecked
                    if (
                        runtime.open_deadline() < deadline
                        or runtime.open_nurseries() > nurseries
                    ):
                        await refuse_open_scope(items, plan.source)
                    unchecked = None
                doc_id = admit(record)
                if isinstance(doc_id, str):
                    number = work.number
                    yield run.started(adapter_run, number, doc_id, wall())
                    now = clock()
                    run.consumer_seconds += now - mark
                    outcome = attempt(record)
                    mark = clock()
                    run.parse_seconds += mark - now
                    if outcome.__class__ is Document:
                        yield run.completed(
                            adapter_run, number, outcome, mark - now, 0, wall()
                        )
                    else:
                        tries = Tries(number, doc_id, record, outcome, mark - now)
                        async with aclosing(work.settle(tries)) as delays:
                            async for delay in delays:
                                run.parse_seconds += clock() - mark
                                mark = clock()
                                yield work.retrying(tries, delay)
                                run.consumer_seconds += clock() - mark
                                mark = clock()
                                await runtime.sleep(delay)
                                run.throttle_seconds += clock() - mark
                                mark = clock()
                        run.parse_seconds += clock() - mark
                        mark = clock()
                        yield work.end(tries)
                    now = clock()
                    run.consumer_seconds += now - mark
                    mark = now
                elif doc_id is not None:
                    if isinstance(doc_id, Tries):
                        yield work.start(doc_id)
                        yield work.end(doc_id)
                    else:
                        yield run.own_event(doc_id, wall())
                    run.consumer_seconds += clock() - mark
                    mark = clock()
                if run.quiet <= 0 or mark - run.progress_at >= _DUE_SECONDS:
                    run.settle(run.sequence)
                    late = mark - run.progress_at >= _DUE_SECONDS
                    if late or run.progress_is_due():
                        yield run.progress(mark, wall(), 0, checkpoint=late and run.has_news)
                    run.begin_quiet()
                    await runtime.cancellation_point()
                    now = clock()
                    run.consumer_seconds += now - mark
                    mark = now
            adapter_run.finished = True
        except Exception as error:
            error.add_note(where(adapter_run))
            raise
        finally:
            grace = self._setup.policy.cleanup_grace_seconds
            await close_fetch(items, plan, runtime, grace)  # noqa: ASYNC102 -- it shields
            self._mark = clock()
            run.fetch_seconds += self._mark - mark
