"""A state machine of a pipeline, which must keep its promises in any order of commands."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias

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
from ._stepped_run import SteppedRun
from .deterministic import run_deterministic
from .scripted import ScriptedAdapter
from .strategies import scripts

__all__ = ["PipelineMachine"]

# The most events and virtual seconds that the last run may take to end.
_MOST_STEPS: Final = 2_000

# The most runs that a job may need at the end until it is done.
_MOST_RUNS: Final = 3

# A record: the source of its adapter, and its number.
_Key: TypeAlias = tuple[str, int]


class PipelineMachine(RuleBasedStateMachine):
    """Run a pipeline, and ask, wait, pause, drain, cancel and resume in any order.

    After each step it checks that every record has its start and one end, in order where that
    is promised, that the buffer holds no more events than it may, and that the checkpoint
    covers nothing unacknowledged. When a run has ended, no task of it may be left. Finally the
    job is resumed until it is done: nothing may be lost, and nothing may come twice where the
    adapters declare ``stable_order``.

    With pytest, ``TestPipeline = PipelineMachine.TestCase`` is a test. By default its adapters
    are scripted; override ``adapters`` to have your own, which must give the same each time.

    Memory: the events of one run, and the documents' ids of the job.
    """

    drawn: Sequence[list[Any]]
    _current: SteppedRun | None = None

    def adapters(self) -> list[Any]:
        """Return new adapters, of the same sources each time it is called."""
        return [
            ScriptedAdapter(script, source=f"script{number}")
            for number, script in enumerate(self.drawn)
        ]

    # -- steps, which Hypothesis calls with values that it draws ---------------------------

    @initialize(
        drawn=st.lists(scripts(crash=False), min_size=1, max_size=2),
        seed=st.integers(0, 1_000),
        policy=st.builds(
            dict, workers=st.integers(1, 3), ordered=st.booleans(), attempts=st.integers(1, 3)
        ),
        options=st.builds(
            dict,
            buffer_size=st.sampled_from([1, 2, 3, 10]),
            progress_interval=st.sampled_from([1, 3, 100]),
            checkpoint_interval=st.sampled_from([1, 2, 1000]),
        ),
    )
    def begin(
        self,
        drawn: list[list[Any]],
        seed: int,
        policy: dict[str, Any],
        options: dict[str, Any],
    ) -> None:
        """Record the result of an undisturbed run, and begin the first one."""
        self.drawn = drawn
        self._seed, self._options = seed, options
        retry = RetryPolicy(attempts=policy.pop("attempts"), seed=seed)
        self._policy = {**policy, "retry": retry}
        self._is_ordered = policy["ordered"] or policy["workers"] == 1
        self._is_stable = all(getattr(a, "stable_order", False) for a in self.adapters())
        self._expected = Counter(run_deterministic(self._undisturbed))
        self._delivered: Counter[tuple[str, ...]] = Counter()
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
    @precondition(lambda self: self._run.is_asking)
    def give_up(self) -> None:
        """Cancel the asking; nothing may be lost by that."""
        self._run.give_up()

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 5]))
    @precondition(lambda self: not self._run.is_over)
    def wait(self, seconds: float) -> None:
        """Let virtual time pass."""
        self._run.wait(seconds)

    @rule(what=st.sampled_from(["pause", "resume", "drain"]))
    @precondition(lambda self: not self._run.is_over)
    def tell(self, what: str) -> None:
        """Pause, resume or drain the stream."""
        self._run.control(what)

    @rule()
    @precondition(lambda self: self._is_idle)
    def leave(self) -> None:
        """Leave the block in the middle."""
        self._run.leave()

    @rule()
    @precondition(lambda self: not self._run.is_over)
    def cancel(self) -> None:
        """Cancel the consumer from outside."""
        self._run.cancel()

    @rule()
    @precondition(lambda self: self._run.is_over)
    def go_on(self) -> None:
        """Resume the job from the last checkpoint, as a new process would."""
        self._resume()

    # -- checks ----------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        """Check what is promised at every moment.

        Raises:
            AssertionError: a promise is broken.
        """
        run = self._run
        numbers = [event.sequence for event in run.events]
        assert numbers == list(range(len(numbers))), f"there is a gap: {numbers}"
        started, ended = _check_shape(run.events, self._already)
        if self._is_ordered:
            _check_order(ended)
        depth = run.statistics().queue_depth
        assert depth <= self._options["buffer_size"], f"{depth} events wait"
        acknowledged = {key for key, _ in _record_ends(run.events[: run.acknowledged])}
        missing = _covered(run.checkpoint()) - self._already - acknowledged
        assert not missing, f"the checkpoint claims {min(missing)}, not acknowledged yet"
        if run.is_over:
            assert run.failure is None, f"the run has failed: {run.failure!r}"
            assert run.tasks_left == 0, f"{run.tasks_left} tasks are left"
        if run.ended_well:
            unended = started.difference(ended)
            assert not unended, f"{min(unended)} was started and not ended"

    def teardown(self) -> None:
        """Resume the job until it is done, and compare its result.

        Raises:
            AssertionError: something was lost or came twice, or it does not end.
        """
        if self._current is None:
            return
        try:
            self._finish()
        finally:
            if self._current is not None:
                self._current.stop()

    # -- internals -------------------------------------------------------------------------

    @property
    def _run(self) -> SteppedRun:
        assert self._current is not None
        return self._current

    @property
    def _is_idle(self) -> bool:
        return not self._run.is_over and not self._run.is_asking

    def _pipeline(self) -> IngestionPipeline:
        self._made = self.adapters()
        return IngestionPipeline(*self._made, **self._policy)

    async def _undisturbed(self) -> list[tuple[str, ...]]:
        pipeline = IngestionPipeline(*self.adapters(), retry=self._policy["retry"])
        async with pipeline.stream_events() as events:
            return [end for _, end in _record_ends([event async for event in events])]

    def _begin(self, point: Checkpoint | None) -> None:
        try:
            self._current = SteppedRun(
                self._pipeline, self._seed, resume_from=point, **self._options
            )
        except CheckpointError:
            # An adapter that can only be resumed by ids starts from its first record.
            assert point is not None
            assert not self._is_stable
            self._begin(None)
        else:
            self._already = (
                set() if point is None else _covered(point, is_stable=self._is_stable)
            )

    def _resume(self) -> None:
        run = self._run
        point = Checkpoint.from_dict(json.loads(json.dumps(run.checkpoint().to_dict())))
        self._delivered.update(end for _, end in _record_ends(run.events[: run.acknowledged]))
        self._current = None
        run.stop()
        for adapter in self._made:
            if isinstance(adapter, ScriptedAdapter):
                assert adapter.opened == adapter.closed, f"{adapter.source} was left open"
        self._begin(point)

    def _finish(self) -> None:
        for _ in range(_MOST_RUNS):
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
        for _ in range(_MOST_STEPS):
            self.holds()
            if run.is_over:
                return
            run.control("resume")
            if run.is_asking:
                run.wait(1)
            else:
                run.ask()
        raise AssertionError("the run does not come to its end")


def _check_shape(
    events: Sequence[PipelineEvent], already: set[_Key]
) -> tuple[set[_Key], list[_Key]]:
    """Check that each record has one start before one end; return both, ends in order."""
    started: set[_Key] = set()
    ended: dict[_Key, None] = {}
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
        for key, _ in _record_ends([event]):
            assert key in started, f"{key} ended before it was started"
            assert key not in ended, f"{key} ended twice"
            ended[key] = None
    return started, list(ended)


def _check_order(ended: Sequence[_Key]) -> None:
    """Check that the records of each adapter have ended in their order."""
    last: dict[str, int] = {}
    for adapter, number in ended:
        assert last.get(adapter, -1) < number, f"record {number} of {adapter!r} came too late"
        last[adapter] = number


def _record_ends(events: Sequence[PipelineEvent]) -> Iterator[tuple[_Key, tuple[str, ...]]]:
    """Iterate over records that have ended: each with its key and its outcome."""
    for event in events:
        match event:
            case DocumentCompleted(document=document, record_number=number):
                adapter = event.adapter_metadata["adapter"]
                yield (adapter, number), ("completed", document.source, document.doc_id)
            case DocumentFailed(adapter=adapter, record_number=number, error_type=kind):
                yield (adapter, number), ("failed", adapter, kind, event.error)
            case DocumentSkipped(adapter=adapter, record_number=number):
                yield (adapter, number), ("skipped", adapter, event.doc_id)


def _covered(point: Checkpoint, *, is_stable: bool = True) -> set[_Key]:
    """Return the records that a run which is resumed from here does not give again."""
    found: set[_Key] = set()
    for position in point.positions:
        is_all = is_stable or position.finished
        first = position.watermark if is_all else position.cursor_record or 0
        found.update((position.source, number) for number in range(first))
        for start, stop in position.ended if is_all else ():
            found.update((position.source, number) for number in range(start, stop))
    return found
