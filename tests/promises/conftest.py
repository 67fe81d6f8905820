"""Each promise is kept in every world: ``@pytest.mark.worlds(...)`` says where not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from zlib import crc32

import pytest

from tests.worlds import WORLDS, World, in_world

# In CI, one test in so many: it is one engine, over other primitives. The profile `slow` runs
# them all.
ONE_IN = {"trio": 1, "asyncio": 2, "uvloop": 6, "bridge": 3}

# What is only about Trio, its scheduler or its instruments; or about no loop at all.
ONLY_TRIO = {
    "test_6_shorter",
    "test_7_kit",
    "test_9_determinism",
    "test_any_schedule",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("worlds")
    names = list(WORLDS) if marker is None else list(marker.args)
    if metafunc.module.__name__.rpartition(".")[2] in ONLY_TRIO:
        names = ["trio"]
    metafunc.parametrize("world", names, indirect=True, scope="module")


@pytest.fixture(autouse=True, scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with in_world(request.param) as current:
        yield current


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not exist, and what others stand for."""
    left_out = {item for item in items if _is_bare_bridge(item) or _is_left_to_others(item)}
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _params(item: pytest.Item) -> dict[str, object]:
    return dict(item.callspec.params) if hasattr(item, "callspec") else {}


def _is_bare_bridge(item: pytest.Item) -> bool:
    """The bare form runs in the task that asks, which on a bridge is not where Trio runs."""
    params = _params(item)
    return params.get("world") == "bridge" and bool(params.get("bare"))


def _is_left_to_others(item: pytest.Item) -> bool:
    if os.environ.get("HYPOTHESIS_PROFILE") == "slow":
        return False
    if item.module.__name__.endswith("test_7_asyncio"):  # type: ignore[attr-defined]
        return False  # which is about these primitives
    share = ONE_IN.get(str(_params(item).get("world")), 1)
    return crc32(item.nodeid.encode()) % share != 0
