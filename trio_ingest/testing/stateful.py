"""A state machine of a pipeline: told anything in any order, it must keep its promises."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from trio_ingest import (
    Checkpoint,
    CheckpointError,
    DocumentCompleted,
    DocumentFailed,
    DocumentRetrying,
    DocumentSkipped,
    DocumentStarted,
    IngestionPipeline,
    PipelineEvent,
    RetryPolicy,
)

from ._hypothesis import RuleBasedStateMachine, initialize, invariant, precondition, rule, st
from ._stepped_run import LiveRun
from .deterministic import run_deterministic
from .scripted import ScriptedAdapter
from .strategies import scripts

__all__ = ["PipelineMachine"]

# A run that is left alone must have ended after so many events or virtual seconds.
_PATIENCE: Final = 2_000

# A job that is resumed whenever it has ended must be done after so many lives.
_LIVES: Final = 3


class PipelineMachine(RuleBasedStateMachine):
    """Runs a pipeline, and asks, waits, pauses, drains, cancels and resumes in any order.

    Its consumer is as slow as it likes: it asks for one event or for several, gives up
    asking, or leaves. After each step it holds promises 1, 2, 3 and 6: every record has its
    start and one end, in order where that is promised, no more events wait than the buffer
    has room for, and the checkpoint claims nothing that was not acknowledged. When a run has
    ended, no task is left of it. At the end of all the job is resumed until it is done, and
    then nothing was lost, and nothing came twice where the adapters declare
    ``stable_order``.

    With pytest, ``TestPipeline = PipelineMachine.TestCase`` is a test. By default its adapters
    are scripted; override ``adapters`` to have your own, which must give the same each time.

    Memory: the events of one run.
    """

    drawn: Sequence[list[Any]]

    def adapters(self) -> list[Any]:
        """New adapters, of the same sources each time it is called."""
        return [
            ScriptedAdapter(script, source=f"script{number}")
            for number, script in enumerate(self.drawn)
        ]

    # -- the steps -------------------------------------------------------------------------

    @initialize(
        drawn=st.lists(scripts(crash=False), min_size=1, max_size=2),
        seed=st.integers(0, 1_000),
        policy=st.fixed_dictionaries(
            {
                "workers": st.integers(1, 3),
                "ordered": st.booleans(),
                "attempts": st.integers(1, 3),
            },
        ),
        options=st.fixed_dictionaries(
            {
                "buffer_size": st.sampled_from([1, 2, 3, 10]),
                "progress_interval": st.sampled_from([1, 3, 100]),
                "checkpoint_interval": st.sampled_from([1, 2, 1000]),
            },
        ),
    )
    def begin(
        self,
        drawn: list[list[Any]],
        seed: int,
        policy: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        """Begin the first run, and find out what an undisturbed one gives."""
        self.drawn = drawn
        self._seed, self._options = seed, options
        retry = RetryPolicy(attempts=policy.pop("attempts"), seed=seed)
        self._policy = {**policy, "retry": retry}
        self._is_ordered = policy["ordered"] or policy["workers"] == 1
        self._is_stable = all(getattr(a, "stable_order", False) for a in self.adapters())
        self._expected = Counter(run_deterministic(self._undisturbed))
        self._delivered: Counter[tuple[str, ...]] = Counter()
        self._live: LiveRun | None = None
        self._begin(None)

    @rule(count=st.integers(1, 8))
    @precondition(lambda self: self._is_idle)
    def ask(self, count: int) -> None:
        """Ask for some events, one after the other, until none is there."""
        for _ in range(count):
            if not self._is_idle:
                break
            self._run.ask()

    @rule()
    @precondition(lambda self: self._live is not None and self._live.is_asking)
    def give_up(self) -> None:
        """Ask no more; nothing may be lost by that."""
        self._run.give_up()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 5]))
    @precondition(lambda self: self._is_running)
    def wait(self, seconds: float) -> None:
        """Let time pass, while the consumer does what it does."""
        self._run.wait(seconds)

    @rule(what=st.sampled_from(["pause", "resume", "drain"]))
    @precondition(lambda self: self._is_running)
    def tell(self, what: str) -> None:
        """Pause, resume or drain it, whatever it was told before."""
        self._run.tell(what)

    @rule()
    @precondition(lambda self: self._is_idle)
    def leave(self) -> None:
        """Leave the block in the middle."""
        self._run.leave()

    @rule()
    @precondition(lambda self: self._is_running)
    def cancel(self) -> None:
        """Cancel the consumer from outside."""
        self._run.cancel()

    @rule()
    @precondition(lambda self: self._live is not None and self._live.is_over)
    def go_on(self) -> None:
        """Resume the job from the last checkpoint, as a new process would."""
        self._resume()

    # -- what must hold --------------------------------------------------------------------

    @invariant()
    @precondition(lambda self: self._live is not None)
    def holds(self) -> None:
        """Hold what is promised at every moment."""
        run = self._run
        _check_numbers(run.events)
        ended = _check_shape(run.events, self._already)
        if self._is_ordered:
            _check_order(ended)
        statistics = run.statistics()
        size = self._options["buffer_size"]
        assert statistics.queue_depth <= size, f"{statistics.queue_depth} events wait"
        acknowledged = run.events[: run.acknowledged]
        known = self._already | {key for event in acknowledged if (key := _end_key(event))}
        missing = _claimed(run.checkpoint()) - known
        assert not missing, f"the checkpoint claims {min(missing)}, not acknowledged yet"
        if run.is_over:
            assert run.failure is None, f"the run has failed: {run.failure!r}"
            assert run.tasks_left == 0, f"{run.tasks_left} tasks are left"
        if run.ended_well:
            starts = [event for event in run.events if isinstance(event, DocumentStarted)]
            unended = {(one.adapter, one.record_number) for one in starts}.difference(ended)
            assert not unended, f"{min(unended)} was started and not ended"

    def teardown(self) -> None:
        """Let the job come to its end, and compare."""
        if self._live is None:
            return
        try:
            self._finish()
        finally:
            if self._live is not None:
                self._live.stop()

    # -- how it does it --------------------------------------------------------------------

    @property
    def _run(self) -> LiveRun:
        assert self._live is not None
        return self._live

    @property
    def _is_running(self) -> bool:
        return self._live is not None and not self._live.is_over

    @property
    def _is_idle(self) -> bool:
        return self._is_running and not self._run.is_asking

    def _pipeline(self) -> IngestionPipeline:
        self._made = self.adapters()
        return IngestionPipeline(*self._made, **self._policy)

    async def _undisturbed(self) -> list[tuple[str, ...]]:
        pipeline = IngestionPipeline(*self.adapters(), retry=self._policy["retry"])
        async with pipeline.stream_events() as events:
            return [end async for event in events if (end := _end_of(event))]

    def _begin(self, point: Checkpoint | None) -> None:
        try:
            self._live = LiveRun(
                self._pipeline, self._seed, resume_from=point, **self._options
            )
        except CheckpointError:
            # An adapter that can only be resumed by ids begins at its beginning.
            assert point is not None
            assert not self._is_stable
            self._begin(None)
        else:
            self._already = (
                set() if point is None else _claimed(point, is_stable=self._is_stable)
            )

    def _resume(self) -> None:
        run = self._run
        point = Checkpoint.from_dict(json.loads(json.dumps(run.checkpoint().to_dict())))
        acknowledged = run.events[: run.acknowledged]
        self._delivered.update(end for event in acknowledged if (end := _end_of(event)))
        self._live = None
        run.stop()
        for adapter in self._made:
            if isinstance(adapter, ScriptedAdapter):
                assert adapter.opened == adapter.closed, f"{adapter.source} was left open"
        self._begin(point)

    def _finish(self) -> None:
        for _ in range(_LIVES):
            self._run_to_its_end()
            is_done = self._run.ended_well and self._run.checkpoint().finished
            self._resume()
            if is_done:
                break
        lost = self._expected - self._delivered
        assert not lost, f"lost: {min(lost)}"
        more = self._delivered - self._expected
        strange = set(more) - set(self._expected)
        assert not strange, f"never given by an undisturbed run: {min(strange)}"
        assert not (more and self._is_stable), f"came twice: {min(more)}"

    def _run_to_its_end(self) -> None:
        run = self._run
        for _ in range(_PATIENCE):
            self.holds()
            if run.is_over:
                return
            run.tell("resume")
            if run.is_asking:
                run.wait(1)
            else:
                run.ask()
        raise AssertionError("the run does not come to its end")


def _check_numbers(events: Sequence[PipelineEvent]) -> None:
    numbers = [event.sequence for event in events]
    assert numbers == list(range(len(events))), f"there is a gap: {numbers}"


def _check_shape(
    events: Sequence[PipelineEvent], already: set[tuple[str, int]]
) -> list[tuple[str, int]]:
    """Hold that each record has one start before one end; which ones have ended, in order."""
    started: set[tuple[str, int]] = set()
    ended: dict[tuple[str, int], None] = {}
    for event in events:
        if isinstance(event, DocumentStarted):
            key = (event.adapter, event.record_number)
            assert key not in started, f"{key} was started twice"
            assert key not in already, f"{key} was done in an earlier run"
            started.add(key)
        elif isinstance(event, DocumentRetrying):
            key = (event.adapter, event.record_number)
            assert key in started, f"{key} was tried again before it was started"
            assert key not in ended, f"{key} was tried again after its end"
        elif (end := _end_key(event)) is not None:
            assert end in started, f"{end} ended before it was started"
            assert end not in ended, f"{end} ended twice"
            ended[end] = None
    return list(ended)


def _check_order(ended: Sequence[tuple[str, int]]) -> None:
    """Hold that the records of each adapter have ended in their order."""
    last: dict[str, int] = {}
    for adapter, number in ended:
        assert last.get(adapter, -1) < number, f"record {number} of {adapter!r} came too late"
        last[adapter] = number


def _end_key(event: PipelineEvent) -> tuple[str, int] | None:
    match event:
        case DocumentCompleted(adapter_metadata=metadata, record_number=number):
            return metadata["adapter"], number
        case DocumentFailed() | DocumentSkipped():
            return event.adapter, event.record_number
    return None


def _end_of(event: PipelineEvent) -> tuple[str, ...] | None:
    match event:
        case DocumentCompleted(document=document):
            return "completed", document.source, document.doc_id
        case DocumentFailed():
            return "failed", event.adapter, event.error_type, str(event.error)
        case DocumentSkipped():
            return "skipped", event.adapter, event.doc_id
    return None


def _claimed(point: Checkpoint, *, is_stable: bool = True) -> set[tuple[str, int]]:
    """The records that a run which is resumed from here does not give again."""
    found: set[tuple[str, int]] = set()
    for position in point.positions:
        is_all = is_stable or position.finished
        first = position.watermark if is_all else position.cursor_record or 0
        found.update((position.source, number) for number in range(first))
        for start, stop in position.ended if is_all else ():
            found.update((position.source, number) for number in range(start, stop))
    return found
