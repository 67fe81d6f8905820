"""The state machine passes on our engine, and finds adapters that break a promise."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import trio
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.testing import bad_adapters
from trio_ingest import IngestionPipeline
from trio_ingest.testing import ScriptedAdapter, _stepped_run
from trio_ingest.testing._stepped_run import SteppedRun
from trio_ingest.testing.stateful import PipelineMachine

FEW = settings(max_examples=15, stateful_step_count=30, deadline=None)
# Shrinking takes long, and is none of our business.
UNSHRUNK = settings(FEW, max_examples=200, phases=[Phase.generate], derandomize=True)


class Unstable(PipelineMachine):
    """Resumed by cursors alone."""

    def adapters(self) -> list[Any]:
        return [ScriptedAdapter(script, stable_order=False) for script in self.drawn[:1]]


class Own(PipelineMachine):
    """One of a user's own."""

    def adapters(self) -> list[Any]:
        return [bad_adapters.Good()]


class CannotResume(PipelineMachine):
    """Neither cursors nor a stable order: each run begins at the beginning."""

    def adapters(self) -> list[Any]:
        class Plain(bad_adapters.Good):
            async def fetch(self) -> AsyncIterator[Any]:
                for number in range(3):
                    await trio.lowlevel.checkpoint()
                    yield [number]

        return [Plain()]


@pytest.mark.one_in(2)
@pytest.mark.parametrize("machine", [PipelineMachine, Unstable, Own, CannotResume])
def test_our_engine_keeps_its_promises(machine: type[PipelineMachine]) -> None:
    run_state_machine_as_test(machine, settings=FEW)  # type: ignore[no-untyped-call]


@pytest.mark.slow
@pytest.mark.parametrize("machine", [PipelineMachine, Unstable, Own, CannotResume])
def test_our_engine_keeps_its_promises_for_long(machine: type[PipelineMachine]) -> None:
    long = settings(FEW, max_examples=2_000, stateful_step_count=60)
    run_state_machine_as_test(machine, settings=long)  # type: ignore[no-untyped-call]


def fails(adapter: type) -> str:
    class Bad(PipelineMachine):
        def adapters(self) -> list[Any]:
            return [adapter()]

    try:
        run_state_machine_as_test(Bad, settings=UNSHRUNK)  # type: ignore[no-untyped-call]
    except AssertionError as error:
        return str(error)
    except ExceptionGroup as group:
        return str(group.exceptions)
    return "nothing"


@pytest.mark.one_in(5)
@pytest.mark.parametrize(
    ("adapter", "message"),
    [
        (bad_adapters.PassesOverOne, "lost: ('completed', 'good', '"),
        # One that fails, or a good one: what hypothesis draws depends on what is loaded.
        (bad_adapters.GoesBackOne, "came twice: ('"),
        (
            bad_adapters.ResumesElsewhere,
            "never given by an undisturbed run: ('completed'",
        ),
        (bad_adapters.ComplainsWhenLeft, "the run has failed: ValueError('not yet')"),
        (bad_adapters.SharesItsRecord, "lost: ('completed', 'good', '"),
    ],
)
def test_an_adapter_that_breaks_a_promise_is_found(adapter: type, message: str) -> None:
    assert message in fails(adapter)


def test_a_run_that_cannot_begin_says_why() -> None:
    def pipeline() -> IngestionPipeline:
        return IngestionPipeline(bad_adapters.HasNoParse())

    with pytest.raises(ValueError, match="needs a method `parse`"):
        SteppedRun(pipeline, 0)


def test_a_run_that_cannot_be_stopped_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    done = trio.Event()

    class Shields(bad_adapters.Good):
        async def fetch(self) -> AsyncIterator[Any]:
            yield [1]
            with trio.CancelScope(shield=True):
                await done.wait()

    run = SteppedRun(lambda: IngestionPipeline(Shields()), 0)
    monkeypatch.setattr(_stepped_run, "_REAL_SECONDS", 0.1)
    with pytest.raises(AssertionError, match="does not end when it is stopped"):
        run.stop()
    run._token.run_sync_soon(done.set)
    run._thread.join(10)
    assert not run._thread.is_alive()
