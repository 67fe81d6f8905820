"""What the strategies give is what the engine gives, and all of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import find, given, settings

from tests.worlds import run
from trio_ingest import Checkpoint, Cursor, Document, IngestionPipeline, PipelineEvent
from trio_ingest._core.events import ENGINE_EVENTS
from trio_ingest.testing import Crash, ScriptedAdapter
from trio_ingest.testing import strategies as kit


@given(kit.checkpoints())
def test_a_checkpoint_is_one_that_can_be_stored(point: Checkpoint) -> None:
    assert Checkpoint.from_dict(json.loads(json.dumps(point.to_dict()))) == point


@given(kit.documents())
def test_a_document_can_be_compared(document: Document) -> None:
    assert document == Document(
        document.doc_id, document.source, document.content, document.raw, document.metadata
    )


def test_the_source_of_documents_can_be_given() -> None:
    assert find(kit.documents(source="feed"), lambda _: True).source == "feed"


def test_every_event_of_the_engine_is_given() -> None:
    found = set()

    @settings(max_examples=200, derandomize=True, database=None)
    @given(kit.events())
    def collect(event: PipelineEvent) -> None:
        found.add(type(event))

    collect()
    assert found == set(ENGINE_EVENTS)


@given(kit.scripts())
def test_a_script_can_be_played(script: list[Any]) -> None:
    adapter = ScriptedAdapter(script)

    async def consume() -> None:
        async with IngestionPipeline(adapter).stream_events() as events:
            async for event in events:
                assert event.sequence >= 0

    if script and isinstance(script[-1], Crash):
        with pytest.raises(RuntimeError, match="scripted crash"):
            run(consume)
    else:
        run(consume)
    assert adapter.opened == adapter.closed == 1


@given(kit.scripts(crash=False))
def test_no_two_cursors_are_alike_and_nothing_crashes(script: list[Any]) -> None:
    values = [step.value for step in script if isinstance(step, Cursor)]
    assert values == [n for n, step in enumerate(script) if isinstance(step, Cursor)]
    assert not any(isinstance(step, Crash) for step in script)


def test_scripts_end_in_a_crash_now_and_then() -> None:
    found = find(kit.scripts(), lambda s: any(isinstance(step, Crash) for step in s))
    assert isinstance(found[-1], Crash)


@given(kit.json_values())
def test_a_json_value_survives_json(value: Any) -> None:
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_without_hypothesis_it_says_what_to_install() -> None:
    hide = "import sys; sys.modules['hypothesis'] = None\n"
    for module in ("strategies", "stateful"):
        ran = subprocess.run(
            [sys.executable, "-c", f"{hide}import trio_ingest.testing.{module}"],
            capture_output=True,
            text=True,
            check=False,
        )
        said = ran.stderr.splitlines()[-1]
        assert said.startswith("trio_ingest.MissingExtraError: The strategies and")
        assert said.endswith("Install it: pip install 'trio_ingest[testing]'")
