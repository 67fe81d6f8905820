"""What all tests share: hypothesis profiles, and the choice to run without extras."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import hypothesis
import pytest

# Derandomised: the same tree gives the same result, here and in CI. No deadline:
# nothing in this suite is judged by the clock.
hypothesis.settings.register_profile("fast", derandomize=True, deadline=None, max_examples=60)
hypothesis.settings.register_profile(
    "slow", derandomize=True, deadline=None, max_examples=1000
)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fast"))


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
    return f"hypothesis profile: {os.environ.get('HYPOTHESIS_PROFILE', 'fast')}{left_out}"


def pytest_collection_finish() -> None:
    """Put thousands of collected tests out of the garbage collector's way.

    Many tests, and ``cancel_everywhere`` itself, call for a full collection, which would
    otherwise go through all of them each time. What a test makes is collected as ever.
    """
    gc.collect()
    gc.freeze()
