"""CI's share of the tests does not depend on names, and what it leaves out is counted."""

from __future__ import annotations

import re

import pytest

pytest_plugins = ["pytester"]

CONFTEST = """
from tests.conftest import (
    pytest_collection_modifyitems,
    pytest_deselected,
    pytest_report_collectionfinish,
)
"""
INI = """
[pytest]
addopts = -m "not slow"
markers =
    slow
    one_in(n)
    worlds(*names)
"""
TESTS = """
import pytest

@pytest.mark.one_in(3)
@pytest.mark.parametrize("NAME", range(8), ids=[f"NAME-{n}" for n in range(8)])
def test_NAME(NAME): pass

@pytest.mark.parametrize("other", range(7))
@pytest.mark.parametrize("world", ["trio", "asyncio", "uvloop", "bridge"])
def test_in_worlds_NAME(world, other): pass

@pytest.mark.slow
def test_slow_NAME(): pass
"""


def run_with(pytester: pytest.Pytester, name: str, *options: str) -> tuple[list[str], str]:
    """The cases that ran, and what was said of the others."""
    pytester.makeini(INI)
    pytester.makeconftest(CONFTEST)
    path = pytester.makepyfile(**{f"test_{name}": TESTS.replace("NAME", name)})
    result = pytester.runpytest_inprocess("-v", "-p", "no:cacheprovider", path, *options)
    ran = re.findall(r"\[(\S+)\] PASSED", result.stdout.str())
    [said] = [line for line in result.outlines if " left " in line]
    return [case.replace(name, "x") for case in ran], said


def test_a_rename_changes_nothing(pytester: pytest.Pytester) -> None:
    before = run_with(pytester, "before")
    assert before == run_with(pytester, "zebra")
    ran, said = before
    assert [case for case in ran if "x" in case] == ["x-0", "x-3", "x-6"]
    in_worlds = [case.split("-")[0] for case in ran if "x" not in case]
    assert {name: in_worlds.count(name) for name in in_worlds} == {
        "trio": 7,
        "asyncio": 2,
        "uvloop": 1,
        "bridge": 1,
    }
    assert said == f"{8 + 28 + 1 - len(ran)} tests are left to `nox -s slow`."


def test_what_is_left_out_can_be_run(pytester: pytest.Pytester) -> None:
    ran, said = run_with(pytester, "all", "-m", "slow or not slow")
    assert len(ran) == 8 + 28
    assert said == "No test is left out."


def test_what_was_not_asked_for_is_not_counted(pytester: pytest.Pytester) -> None:
    ran, said = run_with(pytester, "some", "-k", "in_worlds and uvloop")
    assert len(ran) == 1
    assert said == "6 tests are left to `nox -s slow`."
