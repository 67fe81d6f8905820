"""Each promise is kept in every world: ``@pytest.mark.worlds(...)`` says where not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.worlds import WORLDS, World, in_world


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("worlds")
    names = list(WORLDS) if marker is None else list(marker.args)
    metafunc.parametrize("world", names, indirect=True, scope="module")


@pytest.fixture(autouse=True, scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    with in_world(request.param) as current:
        yield current


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what does not exist, before CI's share is counted off."""
    left_out = {item for item in items if _is_bare_bridge(item)}
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _is_bare_bridge(item: pytest.Item) -> bool:
    """The bare form runs in the task that asks, which on a bridge is not where Trio runs."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return params.get("world") == "bridge" and bool(params.get("bare"))
