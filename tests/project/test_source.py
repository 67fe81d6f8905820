"""Traps that are best seen in the source: which calls and imports it must not contain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.project.tree import PACKAGE, ROOT, imports_of, module_name, parsed, sources

CORE = sorted(
    [*PACKAGE.glob("_*.py"), *PACKAGE.glob("_core/*.py"), *PACKAGE.glob("_engine/*.py")]
)
FILES = pytest.mark.parametrize("path", sources(), ids=module_name)
CORE_FILES = pytest.mark.parametrize("path", CORE, ids=module_name)

# Raises groups, in trio_util, for what the caller raised alone; or uses what Trio removed.
RAISE_GROUPS = {"move_on_when", "run_and_cancelling", "azip", "wait_any", "wait_all"}
USE_REMOVED = {"multi_error_defer_to", "defer_to_cancelled"}
# Private parts of Trio's scheduler.
PRIVATE = {"_r", "_ALLOW_DETERMINISTIC_SCHEDULING"}


def names_in(path: Path) -> Iterator[str]:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr


def calls_in(node: ast.AST) -> list[str]:
    return [ast.unparse(n.func) for n in ast.walk(node) if isinstance(n, ast.Call)]


def test_trio_util_is_used_by_the_runtime_and_the_test_kit_alone() -> None:
    users = {
        module_name(path)
        for path in sources()
        if any(name.split(".")[0] == "trio_util" for _, name in imports_of(path))
    }
    others = users - {"trio_ingest._engine.runtime"}
    assert [name for name in others if name.split(".")[1] != "testing"] == []


@FILES
def test_what_trio_util_raises_groups_from_is_not_used(path: Path) -> None:
    assert not set(names_in(path)) & (RAISE_GROUPS | USE_REMOVED)


@CORE_FILES
def test_ticks_are_iterated_inside_aclosing(path: Path) -> None:
    tree = parsed(path)
    ticking = [call for call in calls_in(tree) if call.endswith(".every")]
    closing = [
        call
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "aclosing"
        for call in calls_in(node)
        if call.endswith(".every")
    ]
    assert ticking == closing
    assert ticking or path.name != "progress_timer.py"


@FILES
def test_hypothesis_trio_is_not_used(path: Path) -> None:
    assert not [n for _, n in imports_of(path) if n.split(".")[0] == "hypothesis_trio"]


def test_tests_do_not_use_hypothesis_trio_either() -> None:
    tests = [path for path in (ROOT / "tests").rglob("*.py") if path != Path(__file__)]
    assert len(tests) > 20
    using = [p.name for p in tests if "hypothesis_trio" in p.read_text(encoding="utf-8")]
    assert using == []


def test_private_parts_of_trios_scheduler_are_touched_in_one_file_at_most() -> None:
    touching = [path for path in sources() if set(names_in(path)) & PRIVATE]
    assert len(touching) <= 1
    assert all(path.parent.name == "testing" for path in touching)


@CORE_FILES
def test_clocks_are_parameters(path: Path) -> None:
    """The defaults of the policy, and the runtime's own clock, are the only ones named."""
    clocks = {"time.time", "time.monotonic", "time.perf_counter", "trio.current_time"}
    assert not set(calls_in(parsed(path))) & clocks
    assert not [c for c in calls_in(parsed(path)) if c.startswith("datetime")]


@CORE_FILES
def test_cancelled_is_never_caught_by_name(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            assert "ancelled" not in ast.unparse(node.type), f"{path}:{node.lineno}"


@CORE_FILES
def test_no_bare_except_and_no_exception_class_left_out(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"{path}:{node.lineno}"


@pytest.mark.parametrize(
    "name",
    [
        "_engine/sequential.py",
        "_engine/worker_pool.py",
        "_core/run.py",
        "_engine/records.py",
        "_engine/channel.py",
    ],
)
def test_what_moves_documents_opens_no_scope_and_no_trio_channel(name: str) -> None:
    calls = calls_in(parsed(PACKAGE / name))
    dear = ("cancel_scope", "open_memory_channel", "as_safe_channel", "grace", "fail_after")
    assert not [call for call in calls if call.rpartition(".")[2] in dear]


def test_cleanup_is_awaited_in_one_place_under_the_grace() -> None:
    users = {
        path.stem
        for path in CORE
        for call in calls_in(parsed(path))
        if call.rpartition(".")[2] == "grace"
    }
    assert users == {"closing"}


def test_async_linter_runs_beside_ruff_with_the_optional_rules_on() -> None:
    config = (ROOT / ".flake8").read_text(encoding="utf-8")
    assert "select = ASYNC" in config
    assert "ASYNC9" not in config.partition("per-file-ignores")[0].partition("disable")[2]
