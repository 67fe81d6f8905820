"""Each promise is kept in every world: ``@pytest.mark.worlds(...)`` says where not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds import WORLDS, World, in_world

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
    """The bare form runs in the task that asks, which on a bridge is not where Trio runs."""
    left_out = [item for item in items if _is_bare_bridge(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_bare_bridge(item: pytest.Item) -> bool:
    params = getattr(item, "callspec", None) and item.callspec.params  # type: ignore[attr-defined]
    return bool(params) and params.get("world") == "bridge" and bool(params.get("bare"))
