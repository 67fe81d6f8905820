"""``restart`` forgets what the sinks have when the first batch is there, and not before."""

from __future__ import annotations

import attrs
import pytest

from tests.delivery.memory_sinks import Table, lived, rows_of, stream_of
from tests.promises.scripts import Case
from tests.worlds import run
from trio_ingest import CheckpointError, SetupError
from trio_ingest.delivery import SinkState, Totals, deliver
from trio_ingest.testing import Crash, Fail, Hang

CASE = Case(scripts=[["a", Fail(), "b", "c"]])


class Unreadable(Table):
    """Cannot say what it has; ``forget`` may help or not."""

    curable = True

    async def load(self) -> SinkState | None:
        raise CheckpointError("It is damaged.")

    async def forget(self) -> None:
        if not self.curable:
            raise CheckpointError("It is not mine.")
        await super().forget()


def test_job_begins_again_with_totals_of_its_own() -> None:
    one, two = Table(name="one"), Table(name="two")
    assert lived(CASE, one, two)
    one.rows.clear()
    two.rows.clear()
    run(lambda: deliver(stream_of(CASE), one, two, restart=True))
    for sink in (one, two):
        assert sorted(sink.rows) == rows_of(CASE)
        assert sink.totals == Totals(completed=3, failed=1)


def test_run_that_cannot_even_begin_forgets_nothing() -> None:
    sink = Table()
    assert lived(CASE, sink)
    before = sink.delivered
    dead = Case(scripts=[[Crash(OSError("gone")), "a"]])
    with pytest.raises(OSError, match="gone"):
        run(lambda: deliver(stream_of(dead), sink, restart=True))
    assert sink.delivered == before
    later = Case(scripts=[["a", Crash(OSError("gone")), "b"]])
    with pytest.raises(OSError, match="gone"):
        run(lambda: deliver(stream_of(later), sink, restart=True))
    assert sink.totals == Totals(completed=1)


def test_run_that_is_drained_before_its_first_document_forgets_nothing() -> None:
    sink = Table()
    assert lived(CASE, sink)
    before = sink.delivered

    async def drained() -> None:
        async with stream_of(Case(scripts=[[Hang(), "a"]])) as stream:
            stream.drain()
            report = await deliver(stream, sink, restart=True)
        assert not report.checkpoint.finished

    run(drained)
    assert sink.delivered == before
    # A source that is empty has nothing to offer, and that is a result.
    run(lambda: deliver(stream_of(Case(scripts=[[]])), sink, restart=True))
    assert sink.totals == Totals()


def test_sink_that_cannot_be_read_is_forgotten_first_or_nothing_is() -> None:
    good, bad = Table(name="good"), Unreadable(name="bad")
    assert lived(CASE, good)
    before = good.delivered
    bad.curable = False
    with pytest.raises(CheckpointError, match="not mine"):
        run(lambda: deliver(stream_of(CASE), good, bad, restart=True))
    assert good.delivered == before
    bad.curable = True
    run(lambda: deliver(stream_of(CASE), good, bad, restart=True))
    assert sorted(bad.rows) == rows_of(CASE)


def test_restart_of_a_resumed_stream_is_refused() -> None:
    sink = Table()
    assert lived(CASE, sink)
    case = attrs.evolve(CASE, resume_from=sink.delivered.checkpoint)
    with pytest.raises(SetupError, match="one of restart and resume_from"):
        run(lambda: deliver(stream_of(case), sink, restart=True))
