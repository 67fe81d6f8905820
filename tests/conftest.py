"""What all tests share: hypothesis profiles, CI's share, the choice to run without extras.

CI leaves out what is marked ``slow``, and `nox -s slow` runs it: by hand, because it takes
seconds, or here, because it is one of many cases. Of a test marked ``one_in(n)`` CI runs
every n-th case in the order in which they are written; of a test that runs in several worlds
all cases on Trio, and on the others every so many-th, beginning with another one in each.
Places count, never names: a rename changes nothing. The run's first lines say how many tests
were left out.
"""

from __future__ import annotations

import gc
import os
import tempfile
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.worlds import ONE_IN, WORLDS

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "fast")
# Derandomised: the same tree gives the same result, here and in CI. No deadline:
# nothing in this suite is judged by the clock.
hypothesis.settings.register_profile("fast", derandomize=True, deadline=None, max_examples=40)
hypothesis.settings.register_profile(
    "slow", derandomize=True, deadline=None, max_examples=1000
)
hypothesis.settings.load_profile(PROFILE)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--without-extras",
        action="store_true",
        help="leave out tests/cli, which needs the `cli` extra",
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Left out only when asked: a missing extra is otherwise an error, not a smaller suite."""
    left_out = config.rootpath / "tests" / "cli"
    return (
        True if config.getoption("--without-extras") and collection_path == left_out else None
    )


def pytest_report_header(config: pytest.Config) -> str:
    left_out = "; tests/cli left out" if config.getoption("--without-extras") else ""
    return f"hypothesis profile: {PROFILE}{left_out}"


# -- CI's share ----------------------------------------------------------------------------

LEFT_OUT = pytest.StashKey[int]()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the cases that CI leaves out, before ``-m "not slow"`` does it."""
    cases: dict[tuple[Any, ...], list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("slow"):
            continue
        test = getattr(item, "originalname", item.name)
        cases[item.parent, test, world_of(item)].append(item)
    for (_, _, world), of_one_test in cases.items():
        marker = of_one_test[0].get_closest_marker("one_in")
        one_in = (1 if marker is None else marker.args[0]) * ONE_IN.get(world, 1)
        first = list(WORLDS).index(world) % len(of_one_test) if one_in > 1 and world else 0
        for number, item in enumerate(of_one_test):
            if number % one_in != first % one_in:
                item.add_marker(pytest.mark.slow)


def world_of(item: pytest.Item) -> str:
    """The world of a test that runs in several of which one is Trio; the others are whole."""
    marker = item.get_closest_marker("worlds")
    if not hasattr(item, "callspec") or (marker is not None and "trio" not in marker.args):
        return ""
    return str(item.callspec.params.get("world", ""))


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count what is left out because it is slow, and not what ``-k`` leaves out."""
    if all(item.get_closest_marker("slow") for item in items):
        items[0].config.stash[LEFT_OUT] = len(items)


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    return left_out_line(config.stash.get(LEFT_OUT, 0))


def left_out_line(count: int) -> str:
    return f"{count:,} tests are left to `nox -s slow`." if count else "No test is left out."


# With xdist the workers collect, and the process that writes only hears of what they run: a
# worker writes the number in a file.


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    with tempfile.NamedTemporaryFile(delete=False) as file:
        node.workerinput["left_out"] = file.name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any) -> None:
    file = Path(node.workerinput["left_out"])
    count = int(file.read_text())
    file.unlink()
    if node.gateway.id == "gw0":
        node.config.get_terminal_writer().line(left_out_line(count))


# -- the garbage collector -----------------------------------------------------------------
#
# Many tests, and ``cancel_everywhere`` itself, call for a full collection, which would
# otherwise go through thousands of collected tests, and all modules, each time. What a test
# makes is collected as ever.


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


@pytest.hookimpl(tryfirst=True)  # before a worker tells what it has collected
def pytest_collection_finish(session: pytest.Session) -> None:
    if hasattr(session.config, "workerinput"):
        count = session.config.stash.get(LEFT_OUT, 0)
        Path(session.config.workerinput["left_out"]).write_text(str(count))
    freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(
    item: pytest.Item, nextitem: pytest.Item | None
) -> Generator[None, None, None]:
    yield
    if nextitem is None or nextitem.path != item.path:
        freeze()


def freeze() -> None:
    gc.collect()
    gc.freeze()
