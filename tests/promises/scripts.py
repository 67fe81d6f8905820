"""Random pipelines: scripts for adapters, policies, options, a consumer, and how to play them.

``cases()`` draws a ``Case``; ``play(case)`` runs it to its end under a virtual clock, in
the form that the case says, and gives everything that could be seen from outside.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from typing import Any

import anyio
import attrs
import hypothesis.strategies as st

from tests import worlds
from tests.promises.checks import Key, RecordKey, canonical
from tests.worlds import stream_of
from trio_ingest import Checkpoint, Cursor, IngestionPipeline, PipelineEvent, RetryPolicy
from trio_ingest.testing import BadParse, Crash, Fail, FailTimes, Pause, ScriptedAdapter
from trio_ingest.testing import strategies as kit


def records_of(script: Sequence[Any]) -> list[int]:
    """The places in a script where a record is yielded: its numbers are 0, 1, 2…"""
    return [
        index
        for index, step in enumerate(script)
        if not isinstance(step, Pause | Crash | Cursor | PipelineEvent)
    ]


@attrs.frozen(kw_only=True)
class Note(PipelineEvent):
    """An adapter's own event; ``index`` is its place in the script."""

    index: int


class PartsAdapter(ScriptedAdapter):
    """A scripted adapter that takes a param, so that it can have several adapter runs."""

    async def fetch(self, *, part: int = 0, cursor: int | None = None) -> AsyncIterator[Any]:
        async with aclosing(super().fetch(cursor=cursor)) as items:
            async for item in items:
                yield item


class NamingAdapter(PartsAdapter):
    """The same, and it knows each record's id before parsing it."""

    def identify(self, record: Any) -> str:
        return str(record.index)


@attrs.frozen(kw_only=True)
class Case:
    """One pipeline, one run and one consumer, as data."""

    scripts: Sequence[Sequence[Any]]
    parts: int = 1
    workers: int = 1
    ordered: bool = True
    attempts: int = 1
    bare: bool = False
    buffer_size: int = 100
    progress_interval: int = 100
    checkpoint_interval: int = 1000
    consumer_delays: Sequence[float] = (0,)
    stable_order: bool = True
    # Ids that are known as done, and whether the adapters know a record's id beforehand.
    done: AbstractSet[str] | None = None
    names: bool = False
    resume_from: Checkpoint | None = None

    def adapters(self) -> list[PartsAdapter]:
        kind = NamingAdapter if self.names else PartsAdapter
        return [
            kind(script, source=f"source{i}", stable_order=self.stable_order)
            for i, script in enumerate(self.scripts)
        ]

    def stories(self) -> dict[RecordKey, list[str]]:
        """What must happen to each record that is not passed over, when all goes well."""
        return {
            (f"source{i}", canonical({"part": part}), number): self._story(
                index, script[index]
            )
            for i, script in enumerate(self.scripts)
            for part in range(self.parts)
            for number, index in enumerate(records_of(script))
            if not self._passes_over(index)
        }

    def already_done(self) -> dict[Key, set[int]]:
        """The record numbers that are known as done before any work."""
        return {
            (f"source{i}", canonical({"part": part})): {
                number
                for number, index in enumerate(records_of(script))
                if self._passes_over(index)
            }
            for i, script in enumerate(self.scripts)
            for part in range(self.parts)
        }

    def _passes_over(self, index: int) -> bool:
        return self.names and self.done is not None and str(index) in self.done

    def _story(self, index: int, step: Any) -> list[str]:
        if isinstance(step, Fail | BadParse):
            return ["Started", "Failed"]
        failures = step.times if isinstance(step, FailTimes) else 0
        retries = ["Retrying"] * min(failures, self.attempts - 1)
        if failures >= self.attempts:
            return ["Started", *retries, "Failed"]
        skipped = self.done is not None and str(index) in self.done
        return ["Started", *retries, "Skipped" if skipped else "Completed"]

    def pipeline(self, adapters: Sequence[ScriptedAdapter]) -> IngestionPipeline:
        return IngestionPipeline(
            *adapters,
            workers=self.workers,
            ordered=self.ordered,
            retry=RetryPolicy(attempts=self.attempts, seed=7),
            clock=anyio.current_time,
            new_pipeline_id=lambda: "run",
        )

    def options(self) -> dict[str, Any]:
        return {
            "params": [{"part": part} for part in range(self.parts)],
            "buffer_size": self.buffer_size,
            "progress_interval": self.progress_interval,
            "checkpoint_interval": self.checkpoint_interval,
            "completed_ids": self.done,
            "resume_from": self.resume_from,
        }


@attrs.define
class Played:
    """What could be seen of a run: events, its failure, and the checkpoint at each moment."""

    adapters: list[PartsAdapter]
    events: list[PipelineEvent] = attrs.field(factory=list)
    failure: BaseException | None = None
    # ``held[n]``: taken while the consumer had event n in its hands; one more at the end.
    held: list[Checkpoint] = attrs.field(factory=list)
    elapsed: float = 0.0


async def play(case: Case, *, most: int | None = None) -> Played:
    """Play a case to its end, or break off with event number ``most`` in hand."""
    played = Played(case.adapters())
    began = anyio.current_time()
    pipeline = case.pipeline(played.adapters)
    stream = stream_of(pipeline, **case.options())

    async def take(event: PipelineEvent) -> bool:
        played.events.append(event)
        played.held.append(stream.checkpoint())
        delays = case.consumer_delays
        await anyio.sleep(delays[len(played.events) % len(delays)])
        return most is not None and len(played.events) > most

    try:
        if case.bare and worlds.current.name != "bridge":
            events = aiter(stream)
            async for event in events:
                if await take(event):
                    await events.aclose()  # type: ignore[attr-defined]
                    break
        else:
            async with stream:
                async for event in stream:
                    if await take(event):
                        break
    except Exception as error:
        played.failure = error
    played.held.append(stream.checkpoint())
    played.elapsed = anyio.current_time() - began
    return played


def scripts(
    *, steps: st.SearchStrategy[Any] | None = None, crash: bool = True
) -> st.SearchStrategy[list[Any]]:
    """Those of the kit, with events of the adapter's own, which know their places."""
    any_step = kit.script_steps() | st.just(Note(index=0))
    return kit.scripts(steps=any_step if steps is None else steps, crash=crash).map(
        _with_places
    )


def _with_places(script: list[Any]) -> list[Any]:
    return [Note(index=n) if isinstance(step, Note) else step for n, step in enumerate(script)]


@st.composite
def cases(draw: st.DrawFn, *, bare: bool | None = None, crash: bool = True) -> Case:
    """Anything that a pipeline of scripted adapters can be asked to do."""
    is_bare = draw(st.booleans()) if bare is None else bare
    return Case(
        scripts=draw(st.lists(scripts(crash=crash), min_size=1, max_size=3)),
        parts=draw(st.sampled_from([1, 1, 2])),
        workers=1 if is_bare else draw(st.integers(1, 4)),
        ordered=draw(st.booleans()),
        attempts=draw(st.integers(1, 3)),
        bare=is_bare,
        buffer_size=draw(st.sampled_from([1, 2, 3, 5, 100])),
        progress_interval=draw(st.sampled_from([1, 2, 5, 100])),
        checkpoint_interval=draw(st.sampled_from([1, 2, 3, 7, 1000])),
        consumer_delays=draw(st.sampled_from([(0,), (0, 0, 2), (1,)])),
        done=draw(st.none() | st.sets(st.sampled_from("012345"))),
        names=draw(st.booleans()),
    )
