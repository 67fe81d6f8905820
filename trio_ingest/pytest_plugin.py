"""The pytest plug-in: fixtures of the test kit, with pytest-trio and without.

``deterministic`` runs an async function under a seed, ``scripted_adapter`` makes adapters and
checks that they were closed, ``event_log`` keeps the last events of a run. A test that fails
shows them, and the command that runs it again.

Imports are inside of the fixtures: pytest loads this file in every session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from trio_ingest import PipelineEvent

    from .testing import ScriptedAdapter

__all__ = ["EventLog", "deterministic", "event_log", "scripted_adapter"]

_OPTION = "--trio-ingest-seed"

_EVENTS_SHOWN = 30


class EventLog:
    """A callable that keeps the last events, and gives each back.

    It can be the ``event_transformer`` of a stream, or the ``on_event`` of a delivery.

    Memory: the last thirty events.
    """

    def __init__(self) -> None:
        self.events: deque[PipelineEvent] = deque(maxlen=_EVENTS_SHOWN)
        self.count = 0

    def __call__(self, event: PipelineEvent) -> PipelineEvent:
        """Keep an event, and return it."""
        self.events.append(event)
        self.count += 1
        return event

    def __str__(self) -> str:
        left_out = self.count - len(self.events)
        lines = [f"… {left_out:,} earlier ones"] if left_out else []
        return "\n".join([*lines, *map(_describe, self.events)])


def _describe(event: PipelineEvent) -> str:
    text = repr(event)
    return text if len(text) <= 300 else text[:297] + "..."


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the seed."""
    parser.getgroup("trio_ingest").addoption(
        _OPTION,
        type=int,
        default=0,
        metavar="N",
        help="the seed of the fixture `deterministic`; another one gives another schedule",
    )


@pytest.fixture
def deterministic(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Run async functions with ``run_deterministic``, under the seed of the option."""
    from .testing import run_deterministic  # noqa: PLC0415 - see the top

    seed: int = request.config.getoption(_OPTION)
    request.node.user_properties.append(("trio_ingest_seed", seed))

    def run(fn: Callable[..., Any], *args: Any) -> Any:
        return run_deterministic(fn, *args, seed=seed)

    return run


@pytest.fixture
def scripted_adapter() -> Iterator[Callable[..., ScriptedAdapter]]:
    """Make ``ScriptedAdapter`` objects, and fail if one was not closed at the end."""
    from .testing import ScriptedAdapter  # noqa: PLC0415 - see the top

    made: list[ScriptedAdapter] = []

    def make(*args: Any, **options: Any) -> ScriptedAdapter:
        made.append(ScriptedAdapter(*args, **options))
        return made[-1]

    yield make
    for adapter in made:
        if adapter.opened != adapter.closed:
            pytest.fail(
                f"The scripted adapter {adapter.source!r} was opened {adapter.opened} times "
                f"and closed {adapter.closed} times.",
                pytrace=False,
            )


@pytest.fixture
def event_log(request: pytest.FixtureRequest) -> EventLog:
    """Make an ``EventLog`` that is shown when the test fails."""
    log = EventLog()
    request.node.stash[_LOG] = log
    return log


_LOG: pytest.StashKey[EventLog] = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show the seed and the last events of a test that has failed."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    if not report.failed:
        return
    seeds = [value for name, value in item.user_properties if name == "trio_ingest_seed"]
    if seeds:
        again = f"pytest '{item.nodeid}' {_OPTION}={seeds[0]}"
        report.sections.append(("to run it again", again))
    log = item.stash.get(_LOG, None)
    if log is not None and log.count:
        report.sections.append(("last events", str(log)))
