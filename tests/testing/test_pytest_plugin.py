"""The pytest plug-in, as it is in a user's project."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

TESTS = """
import trio
from trio_ingest import IngestionPipeline
from trio_ingest.testing import Crash, SlowParse

async def order():
    found = []
    async def run(name):
        await trio.lowlevel.checkpoint()
        found.append(name)
    async with trio.open_nursery() as nursery:
        for name in "abcdef":
            nursery.start_soon(run, name)
    return "".join(found)

def test_order(deterministic):
    assert deterministic(order) == deterministic(order) == "REPLACED"

def test_events(deterministic, scripted_adapter, event_log):
    async def main():
        adapter = scripted_adapter([1, SlowParse(3600), 3])
        stream = IngestionPipeline(adapter).stream_events(event_transformer=event_log)
        async with stream as events:
            async for event in events:
                pass
    deterministic(main)
    assert event_log.count == 9, event_log.count

def test_left_open(scripted_adapter):
    scripted_adapter(["a"], source="feed").opened = 1

def test_passes(deterministic, event_log):
    assert deterministic(order)
"""


@pytest.mark.one_in(2)
@pytest.mark.parametrize("options", [[], ["-p", "no:trio"]], ids=["pytest-trio", "without"])
def test_a_failing_test_shows_its_last_events_and_how_to_run_it_again(
    pytester: pytest.Pytester, options: list[str]
) -> None:
    pytester.makeini("[pytest]")  # or the settings of a folder above would count
    pytester.makepyfile(TESTS)
    run = pytester.runpytest_subprocess("--trio-ingest-seed=5", *options)
    run.assert_outcomes(passed=2, failed=2, errors=1)
    run.stdout.fnmatch_lines(
        [
            "The scripted adapter 'feed' was opened 1 times and closed 0 *",
            "*- to run it again -*",
            "pytest 'test_a_failing*.py::test_order' --trio-ingest-seed=5",
            "*- last events -*",
            "<AdapterStateChange * 'script': running -> finished>",
        ]
    )


def test_another_seed_gives_another_order(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]")  # or the settings of a folder above would count
    pytester.makepyfile(TESTS)
    found = set()
    for seed in range(2):
        # By its id: the file is named after this test, which `-k order` would match as well.
        test = "test_another_seed_gives_another_order.py::test_order"
        result = pytester.runpytest_subprocess(f"--trio-ingest-seed={seed}", test)
        # Where CI is set, the summary at the end repeats the whole line.
        [line] = [
            text for text in result.outlines if text.startswith("E       AssertionError")
        ]
        found.add(line)
    assert len(found) > 1


def test_the_option_is_explained(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--help")
    result.stdout.fnmatch_lines(["trio_ingest:", "*--trio-ingest-seed=N*"])
