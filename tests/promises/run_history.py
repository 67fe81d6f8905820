"""Random facts for the run state machine alone: no loop, no adapter, only ``Run``.

``moves()`` draws what happens; ``DrivenRun.play`` reports it, always legally, and keeps the
events that it was given. A move that would be illegal (an end, when nothing is open) is
left out, so that any list of moves is a history that an engine could have.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import attrs
import hypothesis.strategies as st

from tests.promises.checks import Key
from tests.promises.scripts import Note
from trio_ingest import Document, PipelineEvent
from trio_ingest._core.adapter_run import AdapterRun, Failure, Skip
from trio_ingest._core.run import Run

MOVES = {
    "start": 4,
    "complete": 3,
    "fail": 1,
    "skip": 1,
    "retry": 1,
    "pass_over": 1,
    "cursor": 1,
    "note": 1,
    "progress": 1,
    "checkpoint": 1,
    "acknowledge": 1,
}

FAILURE = Failure("scripted", "OSError", None, is_retryable=True)


def moves(*, most: int = 60) -> st.SearchStrategy[list[tuple[str, int]]]:
    """What happens, and to which of those it could happen to."""
    names = [name for name, weight in MOVES.items() for _ in range(weight)]
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 7)), max_size=most)


def long_history(seed: int, count: int) -> list[tuple[str, int]]:
    """Many moves, the same for the same seed: what would take hypothesis too long."""
    draw = random.Random(seed)
    names, weights = list(MOVES), list(MOVES.values())
    picked = draw.choices(names, weights, k=count)
    return [(name, draw.randrange(8)) for name in picked]


@attrs.define
class Open:
    """A record that was started and has not ended."""

    adapter_run: AdapterRun
    number: int
    retries: int = 0


class DrivenRun:
    """A run, and all that an engine would know of it."""

    def __init__(self, *, most_open: int = 6) -> None:
        self.adapter_runs = [AdapterRun(f"source{i}", {}, "{}") for i in range(2)]
        self.run = Run(
            "run",
            self.adapter_runs,
            0.0,
            buffer_size=10,
            progress_interval=5,
            checkpoint_interval=7,
            estimated_total=None,
        )
        self.events: list[PipelineEvent] = []
        self.open: list[Open] = []
        self.acknowledged = 0
        self.already_done: dict[Key, set[int]] = {
            (adapter_run.source, "{}"): set() for adapter_run in self.adapter_runs
        }
        self._most_open = most_open
        self._now = 0.0
        for adapter_run in self.adapter_runs:
            self.events.append(self.run.state_changed(adapter_run.source, "running", 0.0))

    def play(self, history: Iterable[tuple[str, int]]) -> None:
        """Report what happened."""
        for name, pick in history:
            self._now += 0.5
            getattr(self, name)(pick)

    def end_all(self) -> None:
        """Bring everything that is open to its end, as a drain does."""
        while self.open:
            self.complete(0)

    def start(self, pick: int) -> None:
        if len(self.open) < self._most_open:
            record = Open(*self._take(pick))
            self.open.append(record)
            self.events.append(
                self.run.started(record.adapter_run, record.number, "id", self._now)
            )

    def complete(self, pick: int) -> None:
        if (it := self._pop(pick)) is not None:
            document = Document(str(it.number), it.adapter_run.source, "")
            self.events.append(
                self.run.completed(
                    it.adapter_run, it.number, document, 0.1, it.retries, self._now
                )
            )

    def fail(self, pick: int) -> None:
        if (it := self._pop(pick)) is not None:
            self.events.append(
                self.run.failed(
                    it.adapter_run, it.number, FAILURE, None, None, it.retries, self._now
                )
            )

    def skip(self, pick: int) -> None:
        if (it := self._pop(pick)) is not None:
            skip = Skip("id", "done")
            self.events.append(self.run.skipped(it.adapter_run, it.number, skip, self._now))

    def retry(self, pick: int) -> None:
        if self.open:
            it = self.open[pick % len(self.open)]
            it.retries += 1
            self.events.append(
                self.run.retrying(
                    it.adapter_run, it.number, FAILURE, "id", it.retries, 0.5, self._now
                )
            )

    def pass_over(self, pick: int) -> None:
        adapter_run, number = self._take(pick)
        self.already_done[adapter_run.source, "{}"].add(number)
        self.run.already_done(adapter_run, number)

    def cursor(self, pick: int) -> None:
        adapter_run = self.adapter_runs[pick % 2]
        self.run.cursor_yielded(adapter_run, adapter_run.next_record)

    def note(self, pick: int) -> None:
        self.events.append(self.run.custom_event(Note(index=pick), self._now))

    def progress(self, pick: int, *, checkpoint: bool = False) -> None:
        self.events.append(
            self.run.progress(self._now, self._now, pick, checkpoint=checkpoint)
        )

    def checkpoint(self, pick: int) -> None:
        self.progress(pick, checkpoint=True)

    def acknowledge(self, pick: int) -> None:
        """The consumer has asked for more, up to what there is."""
        self.acknowledged = min(len(self.events), self.acknowledged + pick)
        self.run.acknowledge(self.acknowledged)

    def _take(self, pick: int) -> tuple[AdapterRun, int]:
        adapter_run = self.adapter_runs[pick % 2]
        number = adapter_run.next_record
        adapter_run.next_record = number + 1
        return adapter_run, number

    def _pop(self, pick: int) -> Open | None:
        return self.open.pop(pick % len(self.open)) if self.open else None


def facts_about(driven: DrivenRun, adapter_run: AdapterRun, number: int) -> dict[str, Any]:
    """Every fact about one record that is legal only while it is open."""
    run = driven.run
    document = Document("id", adapter_run.source, "")
    return {
        "completed": lambda: run.completed(adapter_run, number, document, 0.1, 0, 0.0),
        "failed": lambda: run.failed(adapter_run, number, FAILURE, None, None, 0, 0.0),
        "skipped": lambda: run.skipped(adapter_run, number, Skip("id", "done"), 0.0),
        "retrying": lambda: run.retrying(adapter_run, number, FAILURE, "id", 1, 0.5, 0.0),
    }
