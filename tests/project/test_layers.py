"""Who may import whom: _core <- _engine <- face <- rooms, each step only what stands below."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.project.tree import NAME, PACKAGE, imports_of, module_name, parsed, sources

# From the inside out. A file imports from its own room and from the steps before its own;
# rooms of one step do not import each other.
STEPS: list[set[str]] = [
    {"_core"},
    {"_engine"},
    {"_statistics", "_bare", "_stream", "_results", "_pipeline", "_legacy", ""},
    {"threads", "serialization", "delivery", "connectors"},
    {"storage"},
    {"adapters", "sinks", "stores", "transforms", "metrics", "eventlog", "consumers", "aio"},
    {"testing"},
    {"config"},
    {"distributed"},
    {"web", "cli"},
    {"__main__", "pytest_plugin"},
]
STEP_OF = {part: number for number, parts in enumerate(STEPS) for part in parts}
FACE = STEP_OF[""]

# A room uses what users have: the public face. The exceptions, each with its doors:
DOORS = {
    # It supplies another runtime to the same engine, and has one run in another thread.
    "aio": {
        *("_pipeline", "_results", "_legacy"),
        *("_core.options", "_core.run", "_core.adapter_run"),
        *("_engine.runtime", "_engine.channel", "_engine.engine", "_engine.setup"),
    },
    # It holds a log against the state machine of the engine, not against rules of its own.
    "eventlog": {
        *("_core.run", "_core.adapter_run", "_core.watermark"),
        *("_core.positions", "_core.ranges"),
    },
    # It names a class as the engine does.
    "serialization": {"_core.reprs"},
    # It switches the channel's fast path, and gives every pipeline a clock of its own.
    "testing": {"_engine.channel", "_core.options"},
}

# Beyond the standard library. What decides does not wait, so it needs no Trio.
THIRD_PARTY = {
    "_core": {"attrs"},
    "_engine": {"attrs", "trio", "trio_util"},
    "serialization": {"attrs", "cattrs", "orjson"},
    "threads": {"anyio", "attrs", "trio"},
    "connectors": {"attrs"},
    "storage": {"anyio", "attrs"},
    "aio": {"anyio", "attrs", "trio"},
    "testing": {"anyio", "attrs", "hypothesis", "trio", "trio_util"},
    "cli": {"anyio", "attrs", "click", "rich", "trio"},
    "pytest_plugin": {"pytest", "trio"},
    "_statistics": {"attrs"},
    "_bare": set(),
    "_stream": {"attrs", "trio"},
    "_results": {"attrs", "trio"},
    "_pipeline": {"attrs", "trio"},
    "_legacy": {"attrs", "trio"},
}
ROOMS_MAY_USE = {"anyio", "attrs"}

FILES = pytest.mark.parametrize("path", sources(), ids=module_name)
MODULES = {module_name(path) for path in sources()}


def part_of(module: str) -> str:
    """The file or folder directly under the package; "" is the package itself.

    A public name (``trio_ingest.Document``) is the package's own.
    """
    part = module.split(".")[1] if "." in module else ""
    here = PACKAGE / part
    return part if here.is_dir() or here.with_suffix(".py").exists() else ""


def imported_module(name: str) -> str:
    """The module that an imported name is, or is in."""
    return name if name in MODULES else name.rpartition(".")[0]


def inner_imports(path: Path) -> set[tuple[int, str]]:
    """Line and module of each import from the package."""
    names = {(line, name) for line, name in imports_of(path) if name.split(".")[0] == NAME}
    return {(line, imported_module(name)) for line, name in names if name != NAME}


@FILES
def test_every_file_has_a_step(path: Path) -> None:
    part = part_of(module_name(path))
    assert part in STEP_OF, f"{part} is new: give it a place in STEPS."


@FILES
def test_imports_go_down_only(path: Path) -> None:
    me = part_of(module_name(path))
    for line, module in inner_imports(path):
        part = part_of(module)
        if part == me or STEP_OF[part] == STEP_OF[me] == FACE:
            continue
        assert STEP_OF[part] < STEP_OF[me], f"{path}:{line}: {me} must not import {part}."


@FILES
def test_rooms_use_the_public_face_but_for_their_declared_doors(path: Path) -> None:
    me = part_of(module_name(path))
    if STEP_OF[me] <= FACE:
        return
    for line, module in inner_imports(path):
        part = part_of(module)
        inner = module.removeprefix(f"{NAME}.")
        if part and STEP_OF[part] <= FACE:
            assert inner in DOORS.get(me, ()), f"{path}:{line}: {me} must not import {inner}."


def test_every_declared_door_is_used() -> None:
    used: dict[str, set[str]] = {}
    for path in sources():
        me = part_of(module_name(path))
        modules = {module.removeprefix(f"{NAME}.") for _, module in inner_imports(path)}
        used.setdefault(me, set()).update(modules)
    assert {me: doors - used[me] for me, doors in DOORS.items() if doors - used[me]} == {}


@FILES
def test_nobody_enters_another_rooms_private_file(path: Path) -> None:
    me = part_of(module_name(path))
    for line, module in inner_imports(path):
        if part_of(module) == me or STEP_OF[part_of(module)] <= FACE:
            continue
        inside = module.split(".")[2:]
        assert not any(name.startswith("_") for name in inside), f"{path}:{line}: {module}"


def test_no_file_imports_itself_by_any_road() -> None:
    """Also not for type checking, and not inside one room."""
    graph = {
        module_name(path): {module for _, module in inner_imports(path)} - {NAME}
        for path in sources()
        if module_name(path) != NAME
    }
    TopologicalSorter(graph).prepare()


@FILES
def test_each_room_keeps_to_its_packages(path: Path) -> None:
    allowed = THIRD_PARTY.get(part_of(module_name(path)), ROOMS_MAY_USE)
    for line, name in imports_of(path):
        top = name.split(".")[0]
        if top != NAME and top not in sys.stdlib_module_names:
            assert top in allowed, f"{path}:{line}: {top} must not be used here."


@pytest.mark.parametrize("path", sorted((PACKAGE / "_core").glob("*.py")), ids=module_name)
def test_what_decides_neither_waits_nor_looks_at_a_clock(path: Path) -> None:
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    assert not [node for node in ast.walk(parsed(path)) if isinstance(node, waits)]
    assert not {name.split(".")[0] for _, name in imports_of(path)} & {"trio", "asyncio"}


def test_nurseries_are_opened_where_the_stream_and_its_engine_start_only() -> None:
    core = [*PACKAGE.glob("_*.py"), *(PACKAGE / "_engine").glob("*.py")]
    opening = {path.stem for path in core if "open_nursery(" in path.read_text("utf-8")}
    assert opening <= {"runtime", "_stream", "engine"}


def test_type_checking_imports_and_relative_ones_are_seen() -> None:
    found = {name for _, name in imports_of(PACKAGE / "_core" / "events.py")}
    assert f"{NAME}._core.documents.Document" in found
    assert "attrs" in found
