"""The bare form: the same run in the consumer's own task, one record at a time.

No task, no buffer, no nursery: an async generator does each step when it is asked for the
next event, so asking acknowledges, and a consumer that stops asking stops the run. No
cancel scope is ever open across a ``yield`` here (PEP 789).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from trio_ingest._core.adapters import AdapterPlan
from trio_ingest._core.documents import Document
from trio_ingest._core.errors import (
    EngineBug,
    SetupError,
    add_note,
    described,
    with_closing_error,
)
from trio_ingest._core.events import PipelineEvent
from trio_ingest._core.run import Run

from .closing import close_adapter, close_fetch
from .fetching import first_item, open_early, open_fetch
from .records import RecordAttempts, RecordProcessor, error_to_report
from .runtime import Runtime
from .setup import RunSetup, estimate_totals, failure_note, failure_of

# Progress by time comes at the next record after this.
_DUE_SECONDS = 1.0


class InlineEngine:
    """The engine of a run in the bare form.

    Memory: one record and its events.
    """

    def __init__(self, setup: RunSetup, runtime: Runtime) -> None:
        self._setup = setup
        self._runtime = runtime
        self._clock = runtime.clock()
        self._wall = setup.policy.clock
        self._mark = self._clock()
        self.run: Run = setup.begin(self._mark)
        self._processors = [
            setup.processors(self.run, index, runtime) for index in range(len(setup.plans))
        ]
        for plan, processors in zip(setup.plans, self._processors, strict=True):
            open_early(plan, processors[0])
            if processors[0].opened_early is not None and not hasattr(
                processors[0].opened_early, "__anext__"
            ):
                raise SetupError(
                    f"fetch of the adapter {plan.source!r} gives a block to enter, which the "
                    f"bare form must not hold open across a yield. Use `async with "
                    f"pipeline.stream_events() as events:`."
                )
        self.failure: Exception | None = None
        self.was_left = False
        self.ended_well = False

    async def events(self) -> AsyncGenerator[PipelineEvent, None]:
        """Return the generator of the events, once; the caller must keep the only reference.

        A reference from this object would make a cycle, and then an abandoned stream would be
        closed, and warned of, only when the garbage collector runs.
        """
        setup, run, wall = self._setup, self.run, self._wall
        failures: list[Exception] = []
        unclosed = list(range(len(setup.plans)))
        try:
            run.estimated_total = await estimate_totals(setup, run, self._runtime)
            self._account_fetch()
            for index, plan in enumerate(setup.plans):
                yield run.state_changed(plan.source, "running", wall())
                self._account_consumer()
                failure: Exception | None = None
                try:
                    for processor in self._processors[index]:
                        if not processor.adapter_run.finished:
                            async with aclosing(self._adapter_run(plan, processor)) as events:
                                async for event in events:
                                    try:
                                        yield event
                                    except GeneratorExit:
                                        self.was_left = True
                                        raise
                except EngineBug:
                    raise
                except Exception as error:
                    if self.was_left:
                        raise  # the consumer has left, so no event can report it
                    failure = error
                unclosed.remove(index)
                failure = with_closing_error(failure, await self._closing_error(index))
                if failure is not None:
                    failures.append(failure)
                if failure is None:
                    yield run.state_changed(plan.source, "finished", wall())
                else:
                    yield run.state_changed(plan.source, "failed", wall(), described(failure))
                self._account_consumer()
            yield run.progress(self._clock(), wall(), 0, checkpoint=True)
        except GeneratorExit:
            self.was_left = True  # with an event that is not acknowledged
            raise
        finally:
            closing = [await self._closing_error(i) for i in unclosed]  # noqa: ASYNC102
            if any(closing):
                raise next(error for error in closing if error is not None)
        await self._runtime.cancellation_point()
        self.failure = failure_of(failures)
        self.ended_well = self.failure is None
        if self.failure is not None:
            raise self.failure

    async def _closing_error(self, index: int) -> Exception | None:
        plan, processor = self._setup.plans[index], self._processors[index][0]
        try:
            grace = self._setup.policy.cleanup_grace_seconds
            await close_adapter(plan, processor, self._runtime, grace)
        except BaseException as error:  # noqa: ASYNC103 -- re-raised unless it is a failure
            if not self._runtime.is_failure(error):
                raise
            return error_to_report(error, plan.source, self._runtime)  # noqa: ASYNC104 -- the same
        finally:
            self._account_fetch()
        return None

    def _account_fetch(self) -> None:
        now = self._clock()
        self.run.fetch_seconds += now - self._mark
        self._mark = now

    def _account_consumer(self) -> None:
        now = self._clock()
        self.run.consumer_seconds += now - self._mark
        self._mark = now

    async def _adapter_run(
        self, plan: AdapterPlan, processor: RecordProcessor
    ) -> AsyncGenerator[PipelineEvent, None]:
        # One generator for the whole loop: each one more that an event passes through costs
        # as much as making the event does. For the same reason the calls that the other form
        # makes through ``TaskTimer`` are written out.
        run, adapter_run, clock, wall = (
            self.run,
            processor.adapter_run,
            self._clock,
            self._wall,
        )
        admit, attempt = processor.admit, processor.attempt
        runtime = self._runtime
        mark = self._mark
        items = open_fetch(plan, processor)
        try:
            record = await first_item(items, plan.source, runtime)
            fetch_next = items.__anext__
            while True:
                now = clock()
                run.fetch_seconds += now - mark
                mark = now
                number, doc_id, ready = admit(record)
                if doc_id is not None:
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
                        attempts = RecordAttempts(number, doc_id, record, outcome, mark - now)
                        while (delay := await processor.finish_attempt(attempts)) is not None:
                            run.parse_seconds += clock() - mark
                            mark = clock()
                            yield processor.retrying(attempts, delay)
                            run.consumer_seconds += clock() - mark
                            mark = clock()
                            await runtime.sleep(delay)
                            run.throttle_seconds += clock() - mark
                            mark = clock()
                            processor.try_again(attempts)
                        run.parse_seconds += clock() - mark
                        mark = clock()
                        yield processor.end(attempts)
                    now = clock()
                    run.consumer_seconds += now - mark
                    mark = now
                elif ready is not None:
                    if isinstance(ready, RecordAttempts):
                        yield processor.start(ready)
                        yield processor.end(ready)
                    else:
                        yield run.custom_event(ready, wall())
                    run.consumer_seconds += clock() - mark
                    mark = clock()
                if run.ends_until_upkeep <= 0 or mark - run.progress_at >= _DUE_SECONDS:
                    run.acknowledge(run.sequence)
                    late = mark - run.progress_at >= _DUE_SECONDS
                    if late or run.progress_is_due():
                        checkpoint = late and run.has_new_ends
                        yield run.progress(mark, wall(), 0, checkpoint=checkpoint)
                    run.schedule_upkeep()
                    await runtime.cancellation_point()
                    now = clock()
                    run.consumer_seconds += now - mark
                    mark = now
                record = await fetch_next()
        except StopAsyncIteration:
            adapter_run.check_end()
            run.exhausted(adapter_run)
        except Exception as error:
            reported = error_to_report(error, plan.source, runtime)
            add_note(reported, failure_note(adapter_run))
            if reported is error:
                raise
            raise reported from error
        finally:
            grace = self._setup.policy.cleanup_grace_seconds
            await close_fetch(items, plan, runtime, grace)  # noqa: ASYNC102 -- it shields
            self._mark = clock()
            run.fetch_seconds += self._mark - mark
