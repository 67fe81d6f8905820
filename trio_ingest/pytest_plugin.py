"""The plug-in that pytest loads where trio_ingest is installed: fixtures of the test kit.

``deterministic`` runs an async function under a seed, ``scripted_adapter`` makes adapters and
holds that they were closed, ``event_log`` keeps the last events of a run. A test that fails
shows them, and the one line that runs it again. It works with pytest-trio and without.

Everything is imported when a test asks for it: pytest loads this file in every session.
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

# Enough to see what led to the end of a run, and little enough to read.
_EVENTS_SHOWN = 30


class EventLog:
    """Keeps the last events that it is called with, and gives each back.

    So it fits wherever a function of an event is asked for: as the ``event_transformer`` of a
    stream, as the ``on_event`` of a delivery, or called by hand.

    Memory: the last thirty events.
    """

    def __init__(self) -> None:
        self.events: deque[PipelineEvent] = deque(maxlen=_EVENTS_SHOWN)
        self.count = 0

    def __call__(self, event: PipelineEvent) -> PipelineEvent:
        """Keep an event, and give it back."""
        self.events.append(event)
        self.count += 1
        return event

    def __str__(self) -> str:
        left_out = self.count - len(self.events)
        lines = [f"… {left_out:,} earlier ones"] if left_out else []
        return "\n".join([*lines, *map(_described, self.events)])


def _described(event: PipelineEvent) -> str:
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
    """Run an async function as ``run_deterministic`` does, under the seed of the option."""
    from .testing import run_deterministic  # noqa: PLC0415 - see the top

    seed: int = request.config.getoption(_OPTION)
    request.node.user_properties.append(("trio_ingest_seed", seed))

    def run(fn: Callable[..., Any], *args: Any) -> Any:
        return run_deterministic(fn, *args, seed=seed)

    return run


@pytest.fixture
def scripted_adapter() -> Iterator[Callable[..., ScriptedAdapter]]:
    """Make a ``ScriptedAdapter``; at the end of the test, each must have been closed."""
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
    """Keep the last events of a run, to be shown when the test fails."""
    log = EventLog()
    request.node.stash[_LOG] = log
    return log


_LOG: pytest.StashKey[EventLog] = pytest.StashKey()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Show what the fixtures know of a test that has failed."""
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
