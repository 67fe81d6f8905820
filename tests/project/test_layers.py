"""Who may import whom: words <- shapes <- rules <- motion <- face <- rooms <- doors."""

from __future__ import annotations

import ast
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.project.tree import NAME, PACKAGE, imports_of, module_name, parsed, sources

# Inwards to outwards. A file imports from its own layer and those before it.
LAYERS = {
    "words": {"_errors", "_documents", "_checkpoints", "_events"},
    "shapes": {"_adapters", "_options"},
    "rules": {
        "_retry",
        "_progress",
        "_watermark",
        "_ordering",
        "_adapter_run",
        "_run",
        "_resume",
    },
    "motion": {
        *("_runtime", "_channel", "_work", "_setup"),
        *("_lane", "_solo", "_crew", "_inline", "_engine"),
    },
    "face": {"_stream", "_results", "_pipeline", "_legacy", ""},
    "rooms": {
        *("threads", "serialization", "delivery", "databases"),
        *("adapters", "consumers", "sinks", "stores", "aio", "testing"),
    },
    "doors": {"cli", "__main__", "pytest_plugin"},
}
ORDER = list(LAYERS)
LAYER_OF = {part: layer for layer, parts in LAYERS.items() for part in parts}

# What rooms may use of each other, in this order: they are as public as the face.
SHARED_ROOMS = ("threads", "serialization", "delivery", "databases")

# A room uses what users have: the public face, and the shared rooms. The exceptions:
BEHIND_THE_FACE = {
    # It supplies another runtime to the same engine, and has one run in another thread.
    "aio": {
        *("_runtime", "_pipeline", "_results", "_options"),
        *("_channel", "_engine", "_setup", "_run", "_adapter_run"),
    },
    # It verifies a log with the book that the engine keeps itself, not with rules of its own.
    "consumers": {"_run", "_adapter_run", "_watermark", "_checkpoints"},
    # It switches the channel's fast path, and gives every pipeline a clock of its own.
    "testing": {"_channel", "_options"},
}

# Beyond the standard library, by layer. What decides does not wait, so it needs no Trio.
THIRD_PARTY = {
    "words": {"attrs"},
    "shapes": {"attrs"},
    "rules": {"attrs"},
    "motion": {"attrs", "trio", "trio_util"},
    "face": {"attrs", "trio"},
    "rooms": {"anyio", "attrs", "cattrs", "hypothesis", "orjson", "trio", "trio_util"},
    "doors": {"anyio", "attrs", "click", "pytest", "rich", "trio"},
}

FILES = pytest.mark.parametrize("path", sources(), ids=module_name)


def part_of(module: str) -> str:
    """The file or folder directly under the package; "" is the package itself.

    A public name (``trio_ingest.Document``) is the package's own.
    """
    part = module.split(".")[1] if "." in module else ""
    here = PACKAGE / part
    return part if here.is_dir() or here.with_suffix(".py").exists() else ""


def inner_imports(path: Path) -> set[tuple[int, str]]:
    ours = {(line, name) for line, name in imports_of(path) if name.split(".")[0] == NAME}
    me = part_of(module_name(path))
    return {(line, part_of(name)) for line, name in ours if part_of(name) != me or me == ""}


@FILES
def test_every_file_has_a_layer(path: Path) -> None:
    part = part_of(module_name(path))
    assert part in LAYER_OF, f"{part} is new: give it a place in LAYERS."


@FILES
def test_imports_go_inwards_only(path: Path) -> None:
    layer = LAYER_OF[part_of(module_name(path))]
    for line, part in inner_imports(path):
        assert ORDER.index(LAYER_OF[part]) <= ORDER.index(layer), (
            f"{path}:{line}: {layer} must not import {part} ({LAYER_OF[part]})."
        )


@FILES
def test_rooms_and_doors_use_the_public_face(path: Path) -> None:
    me = part_of(module_name(path))
    if LAYER_OF[me] not in {"rooms", "doors"}:
        return
    shared = SHARED_ROOMS[: SHARED_ROOMS.index(me)] if me in SHARED_ROOMS else SHARED_ROOMS
    allowed = {"", *shared, *BEHIND_THE_FACE.get(me, ())}
    if LAYER_OF[me] == "doors":
        allowed |= LAYERS["rooms"] | LAYERS["doors"]
    for line, part in inner_imports(path):
        assert part in allowed, f"{path}:{line}: {me} must not import {part}."


def test_no_two_files_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for path in sources():
        me = part_of(module_name(path))
        graph.setdefault(me, set()).update(p for _, p in inner_imports(path) if p != me)
    TopologicalSorter(graph).prepare()


@FILES
def test_each_layer_keeps_to_its_packages(path: Path) -> None:
    layer = LAYER_OF[part_of(module_name(path))]
    for line, name in imports_of(path):
        top = name.split(".")[0]
        if top != NAME and top not in sys.stdlib_module_names:
            assert top in THIRD_PARTY[layer], f"{path}:{line}: {layer} must not use {top}."


@FILES
def test_rules_neither_wait_nor_look_at_a_clock(path: Path) -> None:
    if LAYER_OF[part_of(module_name(path))] != "rules":
        return
    waits = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)
    assert not [node for node in ast.walk(parsed(path)) if isinstance(node, waits)]
    assert not {name for _, name in imports_of(path)} & {"time", "trio", "asyncio"}


def test_the_core_opens_nurseries_where_the_stream_and_its_engine_start_only() -> None:
    core = PACKAGE.glob("_*.py")
    opening = {path.stem for path in core if "open_nursery(" in path.read_text("utf-8")}
    assert opening <= {"_runtime", "_stream", "_engine"}


def test_type_checking_imports_and_relative_ones_are_seen(tmp_path: Path) -> None:
    found = {name for _, name in imports_of(PACKAGE / "_events.py")}
    assert f"{NAME}._documents.Document" in found
    assert "attrs" in found
